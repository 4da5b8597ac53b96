/* fuzz_write.h - a model as ONNX bytes in memory. */
#ifndef OX_TESTS_FUZZ_WRITE_H
#define OX_TESTS_FUZZ_WRITE_H

#include "ir/ir.h"

/* From malloc; NULL: names clash, which only a text that was never a model can bring about. */
unsigned char *fuzz_write_model(size_t *size, const struct ox_model *m);

#endif
