/* tools/onnxopt/info_native.h - `info` of a native program: what runs where, and why. */
#ifndef ONNXOPT_INFO_NATIVE_H
#define ONNXOPT_INFO_NATIVE_H

#include "engine.h"

/* Returns an exit code. */
int info_native(struct cli *cli);

#endif
