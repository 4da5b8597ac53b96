/* tests/property/random_gen.h - what random networks (random_net.h) are made with, one value at a
 * time.
 *
 * A maker takes a float value and adds nodes on it; it returns what came out, or NULL where that
 * does not go (another rank is needed, inference refuses): what it has added by then is swept away
 * at the end. No memory is an abort: this is test code.
 *
 * exact: every engine computes the same bits, since nothing is rounded. Operators that jump (Floor,
 * Less, ArgMax, ...) are only given exact values: elsewhere the last bit of a sum would decide the
 * result, and there would be nothing to compare. */
#ifndef RANDOM_GEN_H
#define RANDOM_GEN_H

#include "ir/ir.h"

enum { RG_VALUES = 400 };

struct rg_value {
    struct ox_value *v;
    bool exact;
    double step; /* an engine may be off by so much, not only by roundings: a quantization step, or
                    0 */
};

struct rg {
    struct ox_model *m;
    struct ox_graph *g;
    int64_t opset;
    uint64_t state; /* of golden_random */
    struct rg_value values[RG_VALUES];
    size_t n;
};

typedef struct ox_value *(*rg_make_fn)(struct rg *g, struct ox_value *x);
/* Ends with NULL. */
extern const rg_make_fn rg_float_makers[], rg_block_makers[], rg_int8_makers[];

size_t rg_below(struct rg *g, size_t n);                     /* 0 <= result < n */
int64_t rg_between(struct rg *g, int64_t low, int64_t high); /* both included */
bool rg_chance(struct rg *g, double p);
double rg_real(struct rg *g, double low, double high);
struct ox_value *rg_pick(struct rg *g); /* one of the values so far, mostly a late one */

/* Constants: initializers with random elements. */
struct ox_value *rg_const(struct rg *g, int rank, const int64_t *dims, double low, double high);
struct ox_value *rg_scalar(struct rg *g, double value);
struct ox_value *rg_ints(struct rg *g, const int64_t *v, size_t n);
struct ox_value *rg_int(struct rg *g, int64_t v); /* of rank 0 */

/* Nodes. Operands that are NULL are absent. The attributes are set before rg_out infers the node.
 */
struct ox_node *rg_node_in(struct rg *g, struct ox_graph *graph, const char *op, size_t n_out,
                           size_t n_in, struct ox_value *const *in);
struct ox_node *rg_node(struct rg *g, const char *op, struct ox_value *a, struct ox_value *b,
                        struct ox_value *c);
void rg_set(struct ox_node *n, const char *name, int64_t value);
void rg_set_float(struct ox_node *n, const char *name, double value);
void rg_set_text(struct ox_node *n, const char *name, const char *value);
void rg_set_ints(struct ox_node *n, const char *name, const int64_t *values, size_t count);
/* The first output of a node whose attributes are set, of a known shape; NULL: the node is not
 * possible, or its result too large, and it has been taken away. `n` may be NULL. */
struct ox_value *rg_out(struct rg *g, struct ox_node *n);
/* Node and output at once; NULL where an operand is NULL that another one follows. */
struct ox_value *rg_op(struct rg *g, const char *op, struct ox_value *a, struct ox_value *b);

int rg_rank(const struct ox_value *v);
int64_t rg_dim(const struct ox_value *v, int axis);
bool rg_is_exact(const struct rg *g, const struct ox_value *v); /* constants are */
/* Engines may differ by this much in the value. */
void rg_may_be_off(struct rg *g, struct ox_value *v, double step);

#endif
