/* tools/onnxopt/native_runner.h - the native runtime as what runs models for passes (struct
 * ox_model_runner). */
#ifndef ONNXOPT_NATIVE_RUNNER_H
#define ONNXOPT_NATIVE_RUNNER_H

#include "cli.h"

/* What --runner asks for: NULL for the reference executor. *ok: false after a message, where the
 * name is neither. */
const struct ox_model_runner *native_runner(struct cli *cli, struct ox_model_runner *room,
                                            bool *ok);

#endif
