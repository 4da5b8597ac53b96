/* tools/onnxopt/save_native.h - a model compiled into a native file: with packed weights on demand,
 * and with what running it will take. */
#ifndef ONNXOPT_SAVE_NATIVE_H
#define ONNXOPT_SAVE_NATIVE_H

#include "cli.h"

#include <onnxopt/runtime.h>

/* Compiles into cli->flag.output. With --pack the weights are added as this processor wants them.
 * *arena gets what native_arena tells, unless nobody asks. */
OX_MUST_USE ox_status save_native(struct cli *cli, ox_model *model, uint64_t *bytes,
                                  uint64_t *arena);
/* Bytes of the arena that a session of the program takes where all shapes are fixed, found by
 * running once; 0: they are not, or it is not known. */
uint64_t native_arena(struct cli *cli, const oxr_program *program);

#endif
