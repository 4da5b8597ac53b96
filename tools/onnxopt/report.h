/* tools/onnxopt/report.h - the report of `optimize`, as a table or as JSON. */
#ifndef ONNXOPT_REPORT_H
#define ONNXOPT_REPORT_H

#include "cli.h"

struct report {
    const char *in, *out;
    struct ox_model_stats before, after;
    uint64_t bytes_in, bytes_out, arena; /* arena: of a native program, or 0 */
    const ox_outcome *outcome;
    double seconds;
};

/* Returns an exit code. */
int report_print(struct cli *cli, const struct report *report);

#endif
