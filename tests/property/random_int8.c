/* tests/property/random_int8.c - makers of what quantized networks have: operators between DequantizeLinear and QuantizeLinear. */
#include "tests/property/random_gen.h"

#include "passes/rules/consts.h"

#include <stdlib.h>

static struct ox_value *zero_point(struct rg *g, ox_dtype dtype, int64_t at)
{
    ox_tensor *t;
    struct ox_value *v;
    if (ox_const_scalar(&t, g->m->ctx, dtype, (double)at) != OX_OK || ox_graph_add_init(&v, g->g, NULL, t) != OX_OK) abort();
    return v;
}

/* Rounded to 8 bits and back: exact where x is, else off by a step where x is close to the middle between two. */
static struct ox_value *rounded(struct rg *g, struct ox_value *x)
{
    double scale = rg_real(g, 0.005, 0.05);
    bool is_signed = rg_chance(g, 0.5), exact = rg_is_exact(g, x);
    struct ox_value *s = rg_scalar(g, scale), *z = zero_point(g, is_signed ? OX_INT8 : OX_UINT8, is_signed ? rg_between(g, -20, 20) : rg_between(g, 100, 140));
    struct ox_value *q = rg_out(g, rg_node(g, "QuantizeLinear", x, s, z));
    struct ox_value *d = q ? rg_out(g, rg_node(g, "DequantizeLinear", q, s, z)) : NULL;
    if (d && !exact) rg_may_be_off(g, d, scale);
    return d;
}

const rg_make_fn rg_int8_makers[] = {rounded, NULL};
