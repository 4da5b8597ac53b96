/* fuzz_wire.h - mutations of protobuf messages that keep their lengths right, so that a fuzzer gets
 * behind the wire format. */
#ifndef OX_TESTS_FUZZ_WIRE_H
#define OX_TESTS_FUZZ_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* For LLVMFuzzerCustomMutator: changes one field somewhere in a message of this type, or, one time
 * in four and where the bytes are no such message, bytes as they come. */
size_t fuzz_wire_mutate(uint8_t *data, size_t size, size_t max_size, unsigned seed,
                        const ProtobufCMessageDescriptor *desc);

#endif
