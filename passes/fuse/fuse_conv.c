/* passes/fuse/fuse_conv.c - constant per-channel operators before and behind a convolution go into
 * its weights; padding before a convolution or pool goes into its pads.
 *
 *   (x ∗ w + b) s + t  =  x ∗ (w s) + (b s + t)                    s, t per output channel
 *   (x s + t) ∗ w + b  =  x ∗ (s w) + (b + t Σw)                   s, t per input channel; t only
 * where nothing is padded
 *
 * Bound: weights are computed in double and rounded once to their type, so each product changes by
 * at most 2^-24 of itself (float); the order of additions stays. Weights that others use are copied
 * only if they are small. */
#include "ir/ops/params.h"
#include "passes/fuse/affine.h"
#include "passes/rules/consts.h"

#include <math.h>

/* How the weight tensor of a convolution is seen. */
struct filter {
    bool transposed;
    size_t group, in, out; /* channels in all */
    size_t taps;           /* product of the kernel's dims */
    int rank;              /* of the weight and the data */
    bool padded;           /* some border is padded, or may be */
    const ox_tensor *w, *b;
};

static ox_status read_filter(bool *fits, struct filter *f, struct ox_match *m) {
    struct ox_node *n = ox_match_node(m, "conv");
    const struct ox_window *win;
    struct ox_conv_params p;
    struct ox_conv_transpose_params t;
    *fits = false;
    *f = (struct filter){.transposed = ox_node_is(n, "ConvTranspose"),
                         .w = ox_match_const(m, "w"),
                         .b = ox_match_const(m, "b")};
    if (f->transposed) {
        OX_TRY(ox_match_params(&t, sizeof t, m, n));
        f->group = (size_t)t.group;
        win = &t.window;
        f->padded = true; /* border taps are missing in another way: never a shift of the input */
    } else {
        OX_TRY(ox_match_params(&p, sizeof p, m, n));
        f->group = (size_t)p.group;
        win = &p.window;
        f->padded = win->auto_pad == OX_PAD_SAME_UPPER || win->auto_pad == OX_PAD_SAME_LOWER;
        for (int i = 0; i < OX_WINDOW_MAX; i++)
            if (win->begin[i] || win->end[i]) f->padded = true;
    }
    if (f->w->rank < 3 || f->w->count == 0 || !ox_const_readable(f->w->dtype))
        return ox_match_refuse(m, "the weight has no usual form");
    f->rank = f->w->rank;
    f->taps = f->w->count / ((size_t)f->w->dims[0] * (size_t)f->w->dims[1]);
    f->in = (size_t)f->w->dims[f->transposed ? 0 : 1] * (f->transposed ? 1 : f->group);
    f->out = (size_t)f->w->dims[f->transposed ? 1 : 0] * (f->transposed ? f->group : 1);
    if (f->in % f->group || f->out % f->group || (f->b && f->b->count != f->out))
        return ox_match_refuse(m, "channels and groups do not fit");
    if (!ox_affine_may_copy(ox_match_value(m, "w")))
        return ox_match_refuse(m, "the weight has other uses");
    *fits = true;
    return OX_OK;
}

/* Multiplies the weight by one factor per output channel (or per input channel). */
static ox_status scale_weight(ox_tensor **out, struct ox_match *m, const struct filter *f,
                              const double *factor, bool by_input) {
    ox_ctx *ctx = ox_match_run(m)->ctx;
    size_t d0 = (size_t)f->w->dims[0], d1 = (size_t)f->w->dims[1];
    if (by_input == f->transposed)
        return ox_const_scale(out, ctx, f->w, 1, d0, d1 * f->taps, factor);
    /* The channel is dim 1 within its group, which dim 0 tells. */
    double *each;
    OX_TRY(ox_alloc(ctx, &each, d0 * d1, sizeof *each));
    for (size_t i = 0; i < d0; i++)
        for (size_t j = 0; j < d1; j++)
            each[i * d1 + j] = factor[i / (d0 / f->group) * d1 + j];
    ox_status s = ox_const_scale(out, ctx, f->w, 1, d0 * d1, f->taps, each);
    ox_free(ctx, each);
    return s;
}

static ox_status make_weights(struct ox_match *m, const struct filter *f,
                              const struct ox_affine *a) {
    ox_tensor *w, *b;
    bool scales = false, bias = f->b || a->shifts;
    for (size_t i = 0; i < a->n; i++)
        if (a->scale[i] != 1) scales = true;
    if (scales) {
        OX_TRY(scale_weight(&w, m, f, a->scale, false));
        OX_TRY(ox_affine_make(m, "w2", w, ox_match_value(m, "w")));
    } else {
        OX_TRY(ox_match_bind(m, "w2", ox_match_value(m, "w")));
    }
    if (!bias) return ox_match_bind(m, "b2", NULL);
    OX_TRY(ox_affine_bias(&b, a, f->w->dtype, f->b));
    return ox_affine_make(m, "b2", b, ox_match_value(m, "b"));
}

/* Behind: the root works on the convolution's output y. */
static ox_status behind(struct ox_match *m) {
    struct filter f;
    struct ox_affine a;
    bool fits;
    OX_TRY(read_filter(&fits, &f, m));
    if (!fits) return OX_OK;
    OX_TRY(ox_affine_of(&fits, &a, m, ox_match_root(m), ox_match_value(m, "y"), f.rank, 1, f.out));
    if (!fits) return OX_OK;
    ox_status s = make_weights(m, &f, &a);
    ox_affine_free(&a);
    return s;
}

/* What a shift of the input channels adds to each output channel. */
static void add_shift(double *bias, const struct filter *f, const double *shift) {
    size_t d1 = (size_t)f->w->dims[1], per_group = f->out / f->group;
    for (size_t o = 0; o < f->out; o++) {
        size_t first = o / per_group * d1;
        for (size_t i = 0; i < d1; i++) {
            if (shift[first + i] == 0) continue;
            double sum = 0;
            for (size_t k = 0; k < f->taps; k++)
                sum += ox_const_at(f->w, (o * d1 + i) * f->taps + k);
            bias[o] += shift[first + i] * sum;
        }
    }
}

static ox_status shifted_bias(struct ox_match *m, const struct filter *f,
                              const struct ox_affine *a) {
    struct ox_affine out = {.ctx = a->ctx, .n = f->out};
    ox_tensor *b = NULL;
    ox_status s = ox_alloc(a->ctx, &out.scale, f->out, sizeof *out.scale);
    if (s == OX_OK) s = ox_alloc(a->ctx, &out.shift, f->out, sizeof *out.shift);
    if (s == OX_OK) {
        for (size_t i = 0; i < f->out; i++)
            out.scale[i] = 1;
        add_shift(out.shift, f, a->shift);
        s = ox_affine_bias(&b, &out, f->w->dtype, f->b);
    }
    ox_affine_free(&out);
    return s == OX_OK ? ox_affine_make(m, "b2", b, ox_match_value(m, "b")) : s;
}

/* Before: the node that makes a works on x, whose channels are the convolution's input channels. */
static ox_status before(struct ox_match *m) {
    struct filter f;
    struct ox_affine a;
    ox_tensor *w;
    bool fits;
    const struct ox_type *x = ox_match_type(m, "x");
    OX_TRY(read_filter(&fits, &f, m));
    if (!fits) return OX_OK;
    if (x->rank != f.rank || !ox_dim_same(x->dims[1], ox_dim_const((int64_t)f.in)))
        return ox_match_refuse(m, "its input's channels are not known");
    OX_TRY(
        ox_affine_of(&fits, &a, m, ox_match_node(m, "a"), ox_match_value(m, "x"), f.rank, 1, f.in));
    if (!fits) return OX_OK;
    ox_status s = OX_OK;
    if (a.shifts && f.padded)
        s = ox_match_refuse(m, "the shift does not reach the padding");
    else if (a.shifts)
        s = shifted_bias(m, &f, &a);
    else
        s = ox_match_bind(m, "b2", ox_match_value(m, "b"));
    if (s == OX_OK) s = scale_weight(&w, m, &f, a.scale, true);
    if (s == OX_OK) s = ox_affine_make(m, "w2", w, ox_match_value(m, "w"));
    ox_affine_free(&a);
    return s;
}

/* ---- padding -----------------------------------------------------------------------------------
 */

/* Pads of spatial dims that can be added to a window's; the value they are filled with must be
 * `fill`. */
static ox_status read_pads(bool *fits, int64_t *pads, int *spatial, struct ox_match *m,
                           double fill) {
    struct ox_pad_params p;
    struct ox_node *n = ox_match_node(m, "p");
    const struct ox_type *x = ox_match_type(m, "x");
    *fits = false;
    OX_TRY(ox_match_params(&p, sizeof p, m, n));
    if (!ox_type_is_tensor(x) || x->rank < 3 || x->rank - 2 > OX_WINDOW_MAX)
        return ox_match_refuse(m, "the rank is not known");
    if (p.mode != OX_PAD_CONSTANT || !p.known || (p.axes.given && !p.axes.known))
        return ox_match_refuse(m, "it does not pad by constants");
    struct ox_value *value = ox_node_in(n, 2);
    double v = p.has_value ? (double)p.value : 0;
    if (value && (!ox_value_const(value) || !ox_const_splat(&v, ox_value_const(value))))
        return ox_match_refuse(m, "it does not pad by a constant");
    if (v != fill) return ox_match_refuse(m, "it pads by another value than the window does");
    *spatial = x->rank - 2;
    memset(pads, 0, sizeof *pads * 2 * (size_t)*spatial);
    for (int i = 0; i < p.n / 2; i++) {
        int64_t axis = p.axes.given ? p.axes.at[i] : i, begin = p.pads[i],
                end = p.pads[i + p.n / 2];
        if (axis < 0) axis += x->rank;
        if (begin < 0 || end < 0 || (axis < 2 && (begin || end)))
            return ox_match_refuse(m, "it cuts, or pads channels");
        if (axis < 2) continue;
        pads[axis - 2] = begin;
        pads[axis - 2 + *spatial] = end;
    }
    *fits = true;
    return OX_OK;
}

/* Adds the pads to those of a window and sets the attribute of the replacement. */
static ox_status set_pads(struct ox_match *m, const char *label, const struct ox_window *w,
                          int64_t *pads, int spatial, bool below_kernel) {
    if (w->auto_pad != OX_PAD_NOTSET && w->auto_pad != OX_PAD_VALID)
        return ox_match_refuse(m, "auto_pad decides the padding");
    for (int i = 0; i < spatial; i++) {
        pads[i] += w->begin[i];
        pads[i + spatial] += w->end[i];
        if (pads[i] > INT32_MAX || pads[i + spatial] > INT32_MAX)
            return ox_match_refuse(m, "the pads are very large");
        if (below_kernel && (pads[i] >= w->kernel[i] || pads[i + spatial] >= w->kernel[i]))
            return ox_match_refuse(m, "the pads would not be below the kernel's size");
    }
    OX_TRY(ox_match_drop(m, label, "auto_pad"));
    return ox_match_set_ints(m, label, "pads", pads, 2 * (size_t)spatial);
}

static ox_status pad_conv(struct ox_match *m) {
    int64_t pads[2 * OX_WINDOW_MAX];
    int spatial;
    bool fits;
    struct ox_conv_params p;
    OX_TRY(read_pads(&fits, pads, &spatial, m, 0));
    if (!fits) return OX_OK;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    return set_pads(m, "conv", &p.window, pads, spatial, false);
}

/* MaxPool does not look at its padding, as if it were -infinity. */
static ox_status pad_max(struct ox_match *m) {
    int64_t pads[2 * OX_WINDOW_MAX];
    int spatial;
    bool fits;
    struct ox_pool_params p;
    OX_TRY(read_pads(&fits, pads, &spatial, m, -(double)INFINITY));
    if (!fits) return OX_OK;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    if (p.window.ceil_mode)
        return ox_match_refuse(m, "a last window that begins in the padding would be left out");
    return set_pads(m, "pool", &p.window, pads, spatial, true);
}

/* AveragePool counts its padding as zeros if told so, which needs that it had none that was not
 * counted. */
static ox_status pad_average(struct ox_match *m) {
    int64_t pads[2 * OX_WINDOW_MAX];
    int spatial;
    bool fits, padded = false;
    struct ox_pool_params p;
    OX_TRY(read_pads(&fits, pads, &spatial, m, 0));
    if (!fits) return OX_OK;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    for (int i = 0; i < spatial; i++)
        if (p.window.begin[i] || p.window.end[i]) padded = true;
    if (p.window.ceil_mode || (padded && !p.count_include_pad))
        return ox_match_refuse(m, "windows at the border count otherwise");
    OX_TRY(ox_match_set_int(m, "pool", "count_include_pad", 1));
    return set_pads(m, "pool", &p.window, pads, spatial, true);
}

/* clang-format off */
#define FLOATS "x float; w const; b const"
#define BEHIND(conv, counter, root) \
    {counter, "[conv] y = " conv "(x, w, b)  z = " root, FLOATS, "[conv] z = " conv "(x, w2, b2)", behind}
#define BEFORE(counter, node) \
    {counter, "a = " node "  [conv] y = Conv(a, w, b)", FLOATS, "[conv] y = Conv(x, w2, b2)", before}, \
    {counter, "a = " node "  [conv] y = ConvTranspose(a, w, b)", FLOATS, "[conv] y = ConvTranspose(x, w2, b2)", before}

static const struct ox_rule rules[] = {
    BEHIND("Conv", "bn-behind", "BatchNormalization(y, s, t, mean, var)"),
    BEHIND("Conv", "mul-behind", "Mul(y, c)"),
    BEHIND("Conv", "mul-behind", "Div(y, c)"),
    BEHIND("Conv", "add-behind", "Add(y, c)"),
    BEHIND("Conv", "add-behind", "Sub(y, c)"),
    BEHIND("Conv", "add-behind", "Sub(c, y)"),
    BEHIND("ConvTranspose", "bn-behind", "BatchNormalization(y, s, t, mean, var)"),
    BEHIND("ConvTranspose", "mul-behind", "Mul(y, c)"),
    BEHIND("ConvTranspose", "mul-behind", "Div(y, c)"),
    BEHIND("ConvTranspose", "add-behind", "Add(y, c)"),
    BEHIND("ConvTranspose", "add-behind", "Sub(y, c)"),
    BEHIND("ConvTranspose", "add-behind", "Sub(c, y)"),
    BEFORE("bn-before", "BatchNormalization(x, s, t, mean, var)"),
    BEFORE("mul-before", "Mul(x, c)"),
    BEFORE("mul-before", "Div(x, c)"),
    BEFORE("add-before", "Add(x, c)"),
    BEFORE("add-before", "Sub(x, c)"),
    BEFORE("add-before", "Sub(c, x)"),
    {"pad", "p = Pad(x, n, v, axes)  [conv] y = Conv(p, w, b)", NULL, "[conv] y = Conv(x, w, b)", pad_conv},
    {"pad", "p = Pad(x, n, v, axes)  [pool] y = MaxPool(p)", NULL, "[pool] y = MaxPool(x)", pad_max},
    {"pad", "p = Pad(x, n, v, axes)  [pool] y = AveragePool(p)", NULL, "[pool] y = AveragePool(x)", pad_average},
};
/* clang-format on */

ox_status ox_pass_fuse_conv(struct ox_pass_run *run) {
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
