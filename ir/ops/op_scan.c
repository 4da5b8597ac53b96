/* ir/ops/op_scan.c - ArgMax, ArgMin, CumSum, CumProd: one pass along an axis. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/wide.h"

enum { STRETCH = 64 };

/* All lines of a tensor along an axis. */
struct lines {
    const ox_tensor *x;
    const unsigned char *from;
    size_t dim, inner, size,
        count; /* line `i` begins at start_of(i); its elements are `inner` apart */
    ox_wide_kind kind;
};

static struct lines lines_of(const ox_tensor *x, int axis) {
    struct lines l = {.x = x,
                      .from = x->data,
                      .dim = (size_t)x->dims[axis],
                      .inner = (size_t)ox_count_of(x->rank - axis - 1, x->dims + axis + 1),
                      .size = (size_t)ox_dtype_bits(x->dtype) / 8,
                      .kind = ox_wide_of(x->dtype)};
    l.count = x->count ? x->count / l.dim : 0;
    return l;
}

static size_t start_of(const struct lines *l, size_t line) {
    return line / l->inner * l->dim * l->inner + line % l->inner;
}

/* ---- ArgMax and ArgMin ----------------------------------------------------------------------- */

const bool ox_arg_finds_least[2] = {false, true};

ox_status ox_decode_arg(const struct ox_call *call, void *params) {
    struct ox_arg_params *p = params;
    int64_t keepdims, last = 0;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
    OX_TRY(ox_attr_int(&keepdims, call, "keepdims", 1));
    if (call->opset >= 12) OX_TRY(ox_attr_int(&last, call, "select_last_index", 0));
    p->keepdims = keepdims != 0;
    p->last = last != 0;
    return OX_OK;
}

ox_status ox_infer_arg(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_arg_params *p = params;
    int rank = ox_in_rank(io, 0), axis, n = 0;
    ox_dim dims[OX_MAX_RANK];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_NUMBERS));
    if (rank < 0) return ox_infer_tensor(io, 0, OX_INT64, -1, NULL);
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    for (int i = 0; i < rank; i++) {
        if (i != axis)
            dims[n++] = io->in[0]->dims[i];
        else if (p->keepdims)
            dims[n++] = ox_dim_const(1);
    }
    return ox_infer_tensor(io, 0, OX_INT64, n, dims);
}

struct arg {
    struct lines lines;
    int64_t *out;
    bool least, last;
};

/* NaN wins in both directions, as it does in the maximum and the minimum themselves. */
static void arg_lines(void *arg, size_t begin, size_t end) {
    const struct arg *a = arg;
    const struct lines *l = &a->lines;
    union ox_wide stretch[STRETCH];
    for (size_t line = begin; line < end; line++) {
        const unsigned char *from = l->from + start_of(l, line) * l->size;
        uint64_t best = 0;
        int64_t at = -1;
        for (size_t i = 0; i < l->dim; i += STRETCH) {
            size_t n = l->dim - i < STRETCH ? l->dim - i : STRETCH;
            ox_wide_load(stretch, l->x->dtype, from + i * l->inner * l->size, (ptrdiff_t)l->inner,
                         n);
            for (size_t k = 0; k < n; k++) {
                uint64_t key = ox_wide_key(l->kind, stretch[k]);
                if (a->least && !(l->kind == OX_WIDE_F64 && key == UINT64_MAX)) key = ~key;
                if (at >= 0 && (a->last ? key < best : key <= best)) continue;
                best = key;
                at = (int64_t)(i + k);
            }
        }
        a->out[line] = at;
    }
}

ox_status ox_eval_arg(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    const struct ox_arg_params *p = params;
    const ox_tensor *x = in[0];
    const bool *least = call->op->family;
    int axis, n = 0;
    int64_t dims[OX_MAX_RANK];
    void *data;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_NUMBERS));
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    for (int i = 0; i < x->rank; i++) {
        if (i != axis)
            dims[n++] = x->dims[i];
        else if (p->keepdims)
            dims[n++] = 1;
    }
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, OX_INT64, n, dims));
    if (x->dims[axis] == 0 && out[0]->count > 0)
        return ox_bad_shape(call, "%s of %s along axis %d: there is nothing to choose from",
                            call->op->name, ox_dims_text(x->rank, x->dims).text, axis);
    struct arg a = {lines_of(x, axis), data, *least, p->last};
    ox_parallel(call->ctx, a.lines.count, 8192 / (a.lines.dim + 1) + 1, arg_lines, &a);
    return OX_OK;
}

/* ---- CumSum and CumProd ---------------------------------------------------------------------- */

#define CUM_SUM_TYPES                                                                              \
    (OX_FLOATS | OX_BIT(OX_INT32) | OX_BIT(OX_INT64) | OX_BIT(OX_UINT32) | OX_BIT(OX_UINT64))

const bool ox_cum_multiplies[2] = {false, true};

ox_status ox_decode_cum_sum(const struct ox_call *call, void *params) {
    struct ox_cum_sum_params *p = params;
    int64_t exclusive, reverse;
    OX_TRY(ox_attr_int(&exclusive, call, "exclusive", 0));
    OX_TRY(ox_attr_int(&reverse, call, "reverse", 0));
    p->exclusive = exclusive != 0;
    p->reverse = reverse != 0;
    return OX_OK;
}

ox_status ox_infer_cum_sum(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), CUM_SUM_TYPES));
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    return ox_infer_same(io, 0, 0);
}

struct cum_sum {
    struct lines lines;
    unsigned char *to;
    bool exclusive, reverse, multiplies;
};

static void sum_line(const struct cum_sum *c, size_t line) {
    const struct lines *l = &c->lines;
    union ox_wide sum = ox_wide_small(l->kind, c->multiplies), v;
    size_t start = start_of(l, line);
    for (size_t i = 0; i < l->dim; i++) {
        size_t at = (start + (c->reverse ? l->dim - 1 - i : i) * l->inner) * l->size;
        ox_wide_load(&v, l->x->dtype, l->from + at, 1, 1);
        if (c->exclusive) ox_wide_store(c->to + at, l->x->dtype, &sum, 1);
        if (l->kind == OX_WIDE_F64)
            sum.f = c->multiplies ? sum.f * v.f : sum.f + v.f;
        else
            sum.u = c->multiplies ? sum.u * v.u : sum.u + v.u;
        if (!c->exclusive) ox_wide_store(c->to + at, l->x->dtype, &sum, 1);
    }
}

static void sum_lines(void *arg, size_t begin, size_t end) {
    for (; begin < end; begin++)
        sum_line(arg, begin);
}

ox_status ox_eval_cum_sum(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_cum_sum_params *p = params;
    const ox_tensor *x = in[0];
    int64_t axis;
    int at;
    void *data;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, CUM_SUM_TYPES));
    OX_TRY(ox_expect_index(call, 1, in[1]->dtype));
    OX_TRY(ox_scalar_int(&axis, call, "the axis", in[1]));
    OX_TRY(ox_axis(&at, call, "axis", axis, x->rank));
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, x->dtype, x->rank, x->dims));
    struct cum_sum c = {lines_of(x, at), data, p->exclusive, p->reverse,
                        *(const bool *)call->op->family};
    ox_parallel(call->ctx, c.lines.count, 4096 / (c.lines.dim + 1) + 1, sum_lines, &c);
    return OX_OK;
}
