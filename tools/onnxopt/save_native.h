/* tools/onnxopt/save_native.h - a model compiled into a native file: with packed weights on demand, and with what running it will take. */
#ifndef ONNXOPT_SAVE_NATIVE_H
#define ONNXOPT_SAVE_NATIVE_H

#include "cli.h"

#include <onnxopt/runtime.h>

/* Compiles into cli->flag.output. With --pack the weights are added as this processor wants them. */
OX_MUST_USE ox_status save_native(struct cli *cli, ox_model *model, uint64_t *bytes);

#endif
