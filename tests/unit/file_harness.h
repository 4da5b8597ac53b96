/* file_harness.h - for suites of frontend/: a context whose last diagnostic is kept, and files in a
 * folder of their own. */
#ifndef OX_TESTS_FILE_HARNESS_H
#define OX_TESTS_FILE_HARNESS_H

#include "ir/ir.h"
#include "tests/badmodels/pb_build.h"
#include <check.h>
#include <onnxopt/load.h>

extern struct front {
    ox_ctx *ctx;
    char folder[64]; /* removed by front_end */
    int count;       /* diagnostics */
    char id[64], text[700], file[256], node[256], op[64], graph[64];
    long long offset;
} front;

/* A checked fixture's halves: a fresh context and an empty folder; at the end everything must have
 * been freed. */
void front_begin(void);
void front_end(void);
/* With limits other than the defaults. */
void front_begin_with(const struct ox_limits *limits);
/* Path of a file in the folder (static buffer of several, so that two can be used at once). */
const char *front_path(const char *name);
void front_write(const char *name, const void *data, size_t size);

/* Loads a message as a model; consumes it. *out may be NULL where the status is expected not to be
 * OX_OK. */
ox_status front_load(ox_model **out, struct pb *model);
/* The same without verification and inference. */
ox_status front_read(ox_model **out, struct pb *model);

/* The status and the id of its diagnostic. */
#define ck_fails(expr, status, diag_id)                                                            \
    do {                                                                                           \
        front.id[0] = 0;                                                                           \
        ck_assert_int_eq((expr), (status));                                                        \
        ck_assert_str_eq(front.id, (diag_id));                                                     \
    } while (0)
#define ck_ok(expr)                                                                                \
    do {                                                                                           \
        ox_status ck_status = (expr);                                                              \
        ck_assert_msg(ck_status == OX_OK, "%s: %s (%s)", #expr, front.text, front.id);             \
    } while (0)

#endif
