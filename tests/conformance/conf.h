/* conf.h - what the files of the conformance runner share.
 *
 *   conf_main.c     command line, summary
 *   conf_walk.c     folders -> cases
 *   conf_data.c     the files beside a model -> tensors
 *   conf_case.c     one case: load, run, compare, and the five checks
 *   conf_check.c    the checks: types, text, write, default
 *   conf_native.c   the check native
 *   conf_compare.c  two tensors
 *   conf_list.c     cases.txt
 *   conf_score.c    the scoreboard
 *
 * A case is a model with or without recorded data. What holds of it is four flags and a verdict;
 * cases.txt says what is expected to hold. */
#ifndef OX_TESTS_CONF_H
#define OX_TESTS_CONF_H

#include "ir/ir.h"
#include <stdio.h>

enum conf_verdict {
    CONF_PASS, /* every output has the recorded type, shape and values */
    CONF_SKIP, /* the case needs what is not there yet: the reason names it */
    CONF_FAIL  /* it ran and the answer is wrong, or it should have run */
};

enum { /* checks: X must hold for every model, whether it can be executed or not (types and default:
          only if it can) */
       CONF_TYPES =
           1, /* inferred types and known values agree with every tensor that was computed */
       CONF_TEXT =
           2, /* text form -> parse -> text form is the same text, and the graphs are equal */
       CONF_WRITE = 4,   /* read -> write -> read -> write: equal bytes */
       CONF_DEFAULT = 8, /* the pipeline "default" leaves the outputs as they were */
       CONF_NATIVE = 16, /* compiled to a blob and run from there, the outputs are the same */
       CONF_CHECKS = 5,
       CONF_ALL = 31
};

/* One kind of operator in a case. */
struct conf_op {
    char domain[48], name[48];
    int opset;
};

struct conf_case {
    char *name;  /* "node/test_abs" */
    char *model; /* path of the model */
    char *data;  /* folder that holds test_data_set_*, or NULL */
    char *light; /* path prefix of <prefix>_output_<i>.pb where the input is the official runner's
                    ramp, or NULL */
    double rtol, atol;

    enum conf_verdict verdict;
    unsigned checks;
    bool native_differs; /* with some set of data */
    bool random; /* a random operator decides the values: type and shape are compared only */
    char reason[400];
    char broken[400]; /* why the first check that does not hold does not */
    struct conf_op *ops;
    size_t n_ops;
    size_t values, vague; /* computed tensors seen; those whose rank was not inferred */
    double seconds;
};

struct conf_cases {
    struct conf_case *at;
    size_t n, cap;
};

/* Tensors that belong together: inputs or outputs of a model. NULL entries are absent. */
struct conf_tensors {
    ox_tensor **at;
    size_t n, cap;
};

void *conf_realloc(void *p, size_t size); /* exits when out of memory */
char *conf_format(const char *format, ...) OX_PRINTF(1, 2);

/* ---- conf_walk.c ---- */
/* Does the name begin with one of the comma-separated prefixes in `only` (NULL: all)? */
bool conf_chosen(const char *name, const char *only);
/* Adds the cases beneath `root` that are chosen, in alphabetical order, named relative to it.
 * False: cannot be read. */
bool conf_walk(struct conf_cases *cases, const char *root, const char *only);
void conf_cases_free(struct conf_cases *cases);

/* ---- conf_data.c ---- */
/* How many sets of recorded data a case has, 1 where inputs are made up. */
size_t conf_data_sets(const struct conf_case *c);
/* The inputs and expected outputs of one set, in the order of the model's ports. Without recorded
 * outputs, out stays empty. */
ox_status conf_data_load(struct conf_tensors *in, struct conf_tensors *out,
                         const struct conf_case *c, size_t set, struct ox_model *model);
void conf_tensors_free(struct conf_tensors *t);

/* ---- conf_compare.c ---- */
/* Type, shape and values as the official runner compares them: |actual - expected| <= atol + rtol *
 * |expected|, NaN equals NaN; integers, booleans and strings exactly. False: `why` says what
 * differs first. */
bool conf_compare(char *why, size_t size, const ox_tensor *actual, const ox_tensor *expected,
                  double rtol, double atol, bool values);

/* The largest finite magnitude in a tensor of floats; 0 for others. */
double conf_range(const ox_tensor *t);

/* ---- conf_check.c ---- */
enum { CONF_SYMBOLS = 64 };
/* Watches a run: every tensor must be what inference said, with the symbols that the inputs fix put
 * in. */
struct conf_watch {
    struct conf_case *c;
    const struct ox_shapes *shapes; /* values known in part, or NULL */
    struct {
        ox_name name;
        int64_t value;
    } symbols[CONF_SYMBOLS];
    size_t n_symbols;
    bool agrees;
};
ox_status conf_watch_value(void *user, const struct ox_value *value, const ox_tensor *tensor);
/* conf_data.c: runs the model on its recorded inputs with the reference executor, watched. *out is
 * the caller's to free, also on failure. */
ox_status conf_execute(struct conf_tensors *out, struct ox_model *model,
                       const struct conf_tensors *in, struct conf_watch *watch);
void conf_check_text(struct conf_case *c, struct ox_model *model);
void conf_check_write(struct conf_case *c, struct ox_model *model);

/* ---- conf_native.c ---- */
/* Outputs are counted for the caller, also on failure those that are there. */
ox_status conf_native_run(struct conf_tensors *out, struct ox_model *model,
                          const struct conf_tensors *in);

/* Why a case cannot pass, by its name; NULL: it can. conf_errata.c. */
const char *conf_erratum(const char *name);
/* ---- conf_case.c ---- */
void conf_run(struct conf_case *c, int threads);

/* ---- conf_list.c ---- */
/* Compares what was found with the list and prints what differs, chosen cases that are listed and
 * were not there included. Returns the number of differences. */
size_t conf_list_check(const char *path, const struct conf_cases *cases, const char *only);
bool conf_list_write(const char *path, const struct conf_cases *cases);

/* ---- conf_score.c ---- */
/* Rewrites the part of the page between the two marks. */
bool conf_score_write(const char *path, const struct conf_cases *cases);

#endif
