/* passes/fuse/fuse_activation.c - activations spelled out in elementary operators become the
 * operator that the standard has for them.
 *
 * Bounds, as absolute errors against a computation without rounding, in units of the result's
 * largest value: HardSigmoid computes x/6 + 1/2 where the original computes (x + 3)/6: three
 * roundings either way, 3 * 2^-24. The others are the standard's own definitions; Softplus, Mish
 * and Gelu round less often than what they replace. Softplus is x where exp(x) overflows (x > 88),
 * where the original is infinite. */
#include "ir/ops/params.h"
#include "passes/rules/consts.h"
#include "passes/rules/rule.h"

#include <math.h>

/* Is constant `name` this number, rounded to its type? */
static bool near(const struct ox_match *m, const char *name, double number) {
    double v;
    const ox_tensor *t = ox_match_const(m, name);
    return t && ox_const_splat(&v, t) && fabs(v - number) <= 1e-6 * fabs(number);
}

/* Clip of x + 3 between 0 and 6, as the node that makes c. */
static ox_status clips_to_six(bool *fits, struct ox_match *m) {
    struct ox_clip_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_node(m, "c")));
    *fits = p.has_min && p.min_known && p.min == 0 && p.has_max && p.max_known && p.max == 6 &&
            near(m, "three", 3);
    return *fits ? OX_OK : ox_match_refuse(m, "not a Clip of x + 3 between 0 and 6");
}

static ox_status hard_sigmoid(struct ox_match *m) {
    bool fits;
    OX_TRY(clips_to_six(&fits, m));
    if (!fits) return OX_OK;
    if (ox_match_value(m, "six") ? !near(m, "six", 6) : !near(m, "sixth", 1.0 / 6))
        return ox_match_refuse(m, "not divided by 6");
    OX_TRY(ox_match_set_float(m, "h", "alpha", 1.0f / 6));
    return ox_match_set_float(m, "h", "beta", 0.5f);
}

static ox_status hard_swish(struct ox_match *m) {
    struct ox_unary_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_node(m, "h")));
    return fabsf(p.alpha - 1.0f / 6) < 1e-7f && p.beta == 0.5f
               ? OX_OK
               : ox_match_refuse(m, "alpha is not 1/6 or beta not 1/2");
}

/* max(x, a x) with a in [0, 1] */
static ox_status leaky(struct ox_match *m) {
    double a;
    if (!ox_const_splat(&a, ox_match_const(m, "a")) || a < 0 || a > 1)
        return ox_match_refuse(m, "the slope is not in [0, 1]");
    return ox_match_set_float(m, "l", "alpha", (float)a);
}

static ox_status gelu(struct ox_match *m) {
    if (ox_match_value(m, "root2") ? !near(m, "root2", sqrt(2)) : !near(m, "inverse", sqrt(0.5)))
        return ox_match_refuse(m, "not divided by the root of 2");
    return OX_OK;
}

/* clang-format off */
#define GELU(divided, constant) \
    {"gelu", "d = " divided "  e = Erf(d)  s = Add(e, one)  p = Mul(x, s)  y = Mul(p, half)", "x float; one is 1; half is 0.5; " constant " scalar; y like x", "y = Gelu(x)", gelu}, \
    {"gelu", "d = " divided "  e = Erf(d)  s = Add(e, one)  h = Mul(s, half)  y = Mul(x, h)", "x float; one is 1; half is 0.5; " constant " scalar; y like x", "y = Gelu(x)", gelu}, \
    {"gelu", "d = " divided "  e = Erf(d)  s = Add(e, one)  h = Mul(x, half)  y = Mul(h, s)", "x float; one is 1; half is 0.5; " constant " scalar; y like x", "y = Gelu(x)", gelu}

static const struct ox_rule rules[] = {
    {"hard-sigmoid", "a = Add(x, three)  c = Clip(a, lo, hi)  y = Div(c, six)", "x float; three scalar; six scalar; y like x", "[h] y = HardSigmoid(x)", hard_sigmoid},
    {"hard-sigmoid", "a = Add(x, three)  c = Clip(a, lo, hi)  y = Mul(c, sixth)", "x float; three scalar; sixth scalar; y like x", "[h] y = HardSigmoid(x)", hard_sigmoid},
    {"hard-sigmoid", "a = Add(x, three)  c = Clip(a, lo, hi)  p = Mul(u, c)  y = Div(p, six)", "x float; three scalar; six scalar; y like p",
     "[h] h = HardSigmoid(x)  y = Mul(u, h)", hard_sigmoid},
    {"hard-sigmoid", "a = Add(x, three)  c = Clip(a, lo, hi)  p = Mul(u, c)  y = Mul(p, sixth)", "x float; three scalar; sixth scalar; y like p",
     "[h] h = HardSigmoid(x)  y = Mul(u, h)", hard_sigmoid},
    {"hard-swish", "[h] h = HardSigmoid(x)  y = Mul(x, h)", "x float; y like x", "y = HardSwish(x)", hard_swish},
    {"leaky-relu", "p = Mul(x, a)  y = Max(x, p)", "x float; a scalar; y like x", "[l] y = LeakyRelu(x)", leaky},
    {"leaky-relu", "p = Mul(x, a)  y = Max(p, x)", "x float; a scalar; y like x", "[l] y = LeakyRelu(x)", leaky},
    {"softplus", "e = Exp(x)  s = Add(e, one)  y = Log(s)", "x float; one is 1; s like x", "y = Softplus(x)", NULL},
    {"mish", "s = Softplus(x)  t = Tanh(s)  y = Mul(x, t)", "x float", "y = Mish(x)", NULL},
    GELU("Div(x, root2)", "root2"),
    GELU("Mul(x, inverse)", "inverse"),
};
/* clang-format on */

ox_status ox_pass_fuse_activation(struct ox_pass_run *run) {
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
