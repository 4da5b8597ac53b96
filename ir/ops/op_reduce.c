/* ir/ops/op_reduce.c - the Reduce operators: decode, infer, and one engine for all of them.
 *
 * Dims of one kind (kept or reduced) that stand side by side are one. If the innermost is reduced,
 * an output element is made from runs of elements; if it is kept, a tile of outputs is made from
 * rows. Floats are summed in doubles, integers modulo 2^64. The order of every sum is a matter of
 * the shape alone: few outputs of many elements are made from parts of a fixed size, which threads
 * may share. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include "ir/ops/wide.h"
#include <math.h>

/* clang-format off */
const struct ox_reduce_kind ox_reduce_kinds[OX_REDUCE_COUNT] = {
    [OX_RED_L1] = {OX_RED_L1, OX_NUMBERS, 18},
    [OX_RED_L2] = {OX_RED_L2, OX_NUMBERS, 18},
    [OX_RED_LogSum] = {OX_RED_LogSum, OX_NUMBERS, 18},
    [OX_RED_LogSumExp] = {OX_RED_LogSumExp, OX_NUMBERS, 18},
    [OX_RED_Max] = {OX_RED_Max, OX_NUMBERS | OX_BIT(OX_BOOL), 18},
    [OX_RED_Mean] = {OX_RED_Mean, OX_NUMBERS, 18},
    [OX_RED_Min] = {OX_RED_Min, OX_NUMBERS | OX_BIT(OX_BOOL), 18},
    [OX_RED_Prod] = {OX_RED_Prod, OX_NUMBERS, 18},
    [OX_RED_Sum] = {OX_RED_Sum, OX_NUMBERS, 13},
    [OX_RED_SumSquare] = {OX_RED_SumSquare, OX_NUMBERS, 18},
};
/* clang-format on */

/* ---- decode and infer ------------------------------------------------------------------------ */

ox_status ox_decode_reduce(const struct ox_call *call, void *params) {
    const struct ox_reduce_kind *kind = call->op->family;
    struct ox_reduce_params *p = params;
    int64_t keepdims, noop = 0;
    OX_TRY(ox_attr_int(&keepdims, call, "keepdims", 1));
    p->keepdims = keepdims != 0;
    if (call->opset >= kind->input_since) {
        OX_TRY(ox_attr_int(&noop, call, "noop_with_empty_axes", 0));
        p->noop = noop != 0;
        return ox_ints_input(&p->axes, call, 1);
    }
    if (call->n_in > 1)
        return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                       "axes of %s became an input with opset %d", call->op->name,
                       kind->input_since);
    return ox_ints_attr(&p->axes, call, "axes");
}

ox_status ox_reduce_axes(bool *reduced, const struct ox_call *call,
                         const struct ox_reduce_params *params, int rank) {
    struct ox_ints axes = params->axes;
    for (int i = 0; i < rank; i++)
        reduced[i] = axes.n == 0 && !params->noop;
    OX_TRY(ox_axes_resolve(&axes, call, rank));
    for (int i = 0; i < axes.n; i++)
        reduced[axes.at[i]] = true;
    return OX_OK;
}

/* Shape arithmetic: one number made from all elements of a vector. */
static ox_status reduce_value(const struct ox_call *call, struct ox_infer *io, bool all) {
    const struct ox_reduce_kind *kind = call->op->family;
    const struct ox_partial *v = ox_in_value(io, 0);
    ox_status (*step)(ox_dim *, struct ox_dims *, ox_dim, ox_dim) =
        kind->op == OX_RED_Prod  ? ox_dim_mul
        : kind->op == OX_RED_Sum ? ox_dim_add
        : kind->op == OX_RED_Max ? ox_dim_max
        : kind->op == OX_RED_Min ? ox_dim_min
                                 : NULL;
    if (!v || !all || !step || v->rank != 1 || ox_in_dtype(io, 0) != OX_INT64) return OX_OK;
    if (v->count == 0 && kind->op != OX_RED_Prod && kind->op != OX_RED_Sum) return OX_OK;
    ox_dim total = v->count ? v->elems[0] : ox_dim_const(kind->op == OX_RED_Prod);
    for (size_t i = 1; i < v->count; i++)
        OX_TRY(step(&total, io->dims, total, v->elems[i]));
    return ox_infer_value(io, 0, io->out[0]->rank, 1, &total);
}

/* Axes that are not known: no axis is named twice, so it is known how many are left. */
static ox_status infer_some_axes(struct ox_infer *io, const struct ox_reduce_params *p, int rank) {
    int n = ox_ints_count(&p->axes, io, 1), left = n < 0 || n > rank ? -1 : rank - n;
    ox_dim dims[OX_MAX_RANK];
    if (!p->keepdims || rank < 0)
        return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank < 0 ? -1 : left);
    for (int i = 0; i < rank; i++) {
        dims[i] = io->in[0]->dims[i]; /* kept, or 1 */
        if (!ox_dim_is_const(dims[i]) || dims[i].k != 1) OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

ox_status ox_infer_reduce(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_reduce_kind *kind = call->op->family;
    struct ox_reduce_params p = *(const struct ox_reduce_params *)params;
    int rank = ox_in_rank(io, 0), n = 0;
    bool reduced[OX_MAX_RANK];
    ox_dim dims[OX_MAX_RANK];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), kind->types));
    p.axes = ox_ints_late(&p.axes, io, 1);
    if (ox_ints_count(&p.axes, io, 1) == 0) p.axes.known = true;
    if (rank < 0 || (p.axes.given && !p.axes.known)) return infer_some_axes(io, &p, rank);
    OX_TRY(ox_reduce_axes(reduced, call, &p, rank));
    for (int i = 0; i < rank; i++) {
        if (!reduced[i])
            dims[n++] = io->in[0]->dims[i];
        else if (p.keepdims)
            dims[n++] = ox_dim_const(1);
    }
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), n, dims));
    return reduce_value(call, io, rank == 1 && reduced[0]);
}

/* ---- the engine: what is done to wide numbers --------------------------------------------------
 */

enum step { SUM, SQUARES, MAGNITUDES, PRODUCT, GREATEST, LEAST, EXPONENTIALS };

#define LANES 8
/* Adds `value` of x[0 .. n) to acc in eight lanes, then together in a fixed order. */
#define ADD_RUN(type, field, value)                                                                \
    do {                                                                                           \
        type lane[LANES] = {0};                                                                    \
        size_t i = 0;                                                                              \
        for (; i + LANES <= n; i += LANES)                                                         \
            for (size_t j = 0; j < LANES; j++) {                                                   \
                type v = x[i + j].field;                                                           \
                lane[j] += value;                                                                  \
            }                                                                                      \
        for (; i < n; i++) {                                                                       \
            type v = x[i].field;                                                                   \
            lane[0] += value;                                                                      \
        }                                                                                          \
        acc.field += ((lane[0] + lane[4]) + (lane[1] + lane[5])) +                                 \
                     ((lane[2] + lane[6]) + (lane[3] + lane[7]));                                  \
    } while (0)
#define FOLD_RUN(field, result)                                                                    \
    for (size_t i = 0; i < n; i++) {                                                               \
        __typeof__(acc.field) a = acc.field, v = x[i].field;                                       \
        acc.field = result;                                                                        \
    }

/* NaN is kept: it is neither greater nor less, and not equal to itself. */
#define MORE(a, v) ((v) > (a) || (v) != (v) ? (v) : (a))
#define LESS(a, v) ((v) < (a) || (v) != (v) ? (v) : (a))
#define MAGNITUDE_I(v) ((v) < 0 ? 0 - (uint64_t)(v) : (uint64_t)(v))

OX_CLONES static union ox_wide fold_run(enum step step, ox_wide_kind kind, union ox_wide acc,
                                        const union ox_wide *x, size_t n, double shift) {
    bool f = kind == OX_WIDE_F64, s = kind == OX_WIDE_I64;
    switch (step) {
    case SUM:
        if (f)
            ADD_RUN(double, f, v);
        else
            ADD_RUN(uint64_t, u, v);
        break;
    case SQUARES:
        if (f)
            ADD_RUN(double, f, v *v);
        else
            ADD_RUN(uint64_t, u, v * v);
        break;
    case MAGNITUDES:
        if (f)
            ADD_RUN(double, f, fabs(v));
        else if (s)
            FOLD_RUN(u, a + MAGNITUDE_I((int64_t)v))
        else
            ADD_RUN(uint64_t, u, v);
        break;
    case PRODUCT:
        if (f)
            FOLD_RUN(f, a * v)
        else
            FOLD_RUN(u, a * v)
        break;
    case GREATEST:
        if (f)
            FOLD_RUN(f, MORE(a, v))
        else if (s)
            FOLD_RUN(i, v > a ? v : a)
        else
            FOLD_RUN(u, v > a ? v : a)
        break;
    case LEAST:
        if (f)
            FOLD_RUN(f, LESS(a, v))
        else if (s)
            FOLD_RUN(i, v < a ? v : a)
        else
            FOLD_RUN(u, v < a ? v : a)
        break;
    case EXPONENTIALS:
        FOLD_RUN(f, a + exp(v - shift)) break;
    }
    return acc;
}

#define FOLD_ROW(field, result)                                                                    \
    for (size_t i = 0; i < n; i++) {                                                               \
        __typeof__(acc->field) a = acc[i].field, v = x[i].field;                                   \
        acc[i].field = result;                                                                     \
    }

/* The same side by side: acc[i] with x[i]. */
OX_CLONES static void fold_row(enum step step, ox_wide_kind kind, union ox_wide *acc,
                               const union ox_wide *x, size_t n, const double *shift) {
    bool f = kind == OX_WIDE_F64, s = kind == OX_WIDE_I64;
    switch (step) {
    case SUM:
        if (f)
            FOLD_ROW(f, a + v)
        else
            FOLD_ROW(u, a + v)
        break;
    case SQUARES:
        if (f)
            FOLD_ROW(f, a + v * v)
        else
            FOLD_ROW(u, a + v * v)
        break;
    case MAGNITUDES:
        if (f)
            FOLD_ROW(f, a + fabs(v))
        else if (s)
            FOLD_ROW(u, a + MAGNITUDE_I((int64_t)v))
        else
            FOLD_ROW(u, a + v)
        break;
    case PRODUCT:
        if (f)
            FOLD_ROW(f, a * v)
        else
            FOLD_ROW(u, a * v)
        break;
    case GREATEST:
        if (f)
            FOLD_ROW(f, MORE(a, v))
        else if (s)
            FOLD_ROW(i, v > a ? v : a)
        else
            FOLD_ROW(u, v > a ? v : a)
        break;
    case LEAST:
        if (f)
            FOLD_ROW(f, LESS(a, v))
        else if (s)
            FOLD_ROW(i, v < a ? v : a)
        else
            FOLD_ROW(u, v < a ? v : a)
        break;
    case EXPONENTIALS:
        FOLD_ROW(f, a + exp(v - shift[i])) break;
    }
}

/* ---- the engine: walking the input -------------------------------------------------------------
 */

enum { TILE = 256, PART = 32768, FEW = 64 };

/* A list of loops over the input; the last is the innermost. */
struct loops {
    int n;
    size_t dims[OX_MAX_RANK], strides[OX_MAX_RANK];
};

struct plan {
    enum ox_reduce_op op;
    enum step step;
    ox_dtype dtype;
    ox_wide_kind kind; /* in which is computed */
    bool widen;        /* integers are turned to doubles */
    const unsigned char *from;
    unsigned char *to;
    size_t size;
    struct loops kept, reduced; /* without the innermost of all dims, which is: */
    size_t width;               /* kept: outputs side by side, or 0 */
    size_t run;                 /* reduced: elements side by side, or 1 */
    size_t outputs, count;      /* count: elements that make one output */
    size_t tiles;               /* for each row of outputs */
    size_t parts;               /* of count; above 1 they are collected in: */
    union ox_wide *partial;     /* parts x outputs */
};

/* The step that an operator is made of. */
static enum step step_of(enum ox_reduce_op op) {
    switch (op) {
    case OX_RED_L1:
        return MAGNITUDES;
    case OX_RED_L2:
    case OX_RED_SumSquare:
        return SQUARES;
    case OX_RED_LogSumExp:
        return EXPONENTIALS;
    case OX_RED_Max:
        return GREATEST;
    case OX_RED_Min:
        return LEAST;
    case OX_RED_Prod:
        return PRODUCT;
    default:
        return SUM;
    }
}

static size_t offset_of(const struct loops *l, size_t index) {
    size_t offset = 0;
    for (int i = l->n - 1; i >= 0; i--) {
        offset += index % l->dims[i] * l->strides[i];
        index /= l->dims[i];
    }
    return offset;
}

static void load(const struct plan *p, union ox_wide *out, size_t offset, size_t n) {
    ox_wide_load(out, p->dtype, p->from + offset * p->size, 1, n);
    if (!p->widen) return;
    ox_wide_kind from = ox_wide_of(p->dtype);
    for (size_t i = 0; i < n; i++)
        out[i].f = ox_wide_to_double(from, out[i]);
}

static union ox_wide identity(const struct plan *p, enum step step) {
    switch (step) {
    case PRODUCT:
        return ox_wide_small(p->kind, 1);
    case GREATEST:
        return p->widen ? (union ox_wide){.f = -INFINITY} : ox_wide_least(p->dtype);
    case LEAST:
        return ox_wide_greatest(p->dtype);
    default:
        return ox_wide_small(p->kind, 0);
    }
}

/* Folds elements [begin, end) of those that make the output at `base`. */
static union ox_wide fold_output(const struct plan *p, enum step step, size_t base, size_t begin,
                                 size_t end, double shift) {
    union ox_wide acc = identity(p, step), x[TILE];
    while (begin < end) {
        size_t column = begin % p->run, n = p->run - column;
        if (n > end - begin) n = end - begin;
        if (n > TILE) n = TILE;
        load(p, x, base + offset_of(&p->reduced, begin / p->run) + column, n);
        acc = fold_run(step, p->kind, acc, x, n, shift);
        begin += n;
    }
    return acc;
}

/* The same for n outputs side by side. */
static void fold_tile(const struct plan *p, enum step step, union ox_wide *acc, size_t base,
                      size_t n, size_t begin, size_t end, const double *shift) {
    union ox_wide x[TILE];
    for (size_t i = 0; i < n; i++)
        acc[i] = identity(p, step);
    for (; begin < end; begin++) {
        load(p, x, base + offset_of(&p->reduced, begin), n);
        fold_row(step, p->kind, acc, x, n, shift);
    }
}

/* What log(sum(exp(x))) subtracts from x before and adds to the result after: the maximum, if it is
 * finite. */
static double shift_of(union ox_wide greatest) {
    return isfinite(greatest.f) ? greatest.f : 0;
}

/* From sums and the like to the result, in the output's kind. */
static union ox_wide finish(const struct plan *p, union ox_wide acc, double shift) {
    double v = acc.f;
    switch (p->op) {
    case OX_RED_Mean:
        if (p->kind == OX_WIDE_F64)
            acc.f /= (double)p->count;
        else if (p->count == 0)
            acc.u = 0;
        else if (p->kind == OX_WIDE_I64)
            acc.i /= (int64_t)p->count;
        else
            acc.u /= p->count;
        return acc;
    case OX_RED_L2:
        v = sqrt(v);
        break;
    case OX_RED_LogSum:
        v = log(v);
        break;
    case OX_RED_LogSumExp:
        v = log(v) + shift;
        break;
    default:
        return acc;
    }
    return p->widen ? ox_wide_from_double(p->dtype, v) : (union ox_wide){.f = v};
}

/* n results, from output `first` on. */
static void put(const struct plan *p, size_t first, size_t part, union ox_wide *acc, size_t n,
                const double *shift) {
    if (p->parts > 1) {
        memcpy(p->partial + part * p->outputs + first, acc, n * sizeof *acc);
        return;
    }
    for (size_t i = 0; i < n; i++)
        acc[i] = finish(p, acc[i], shift ? shift[i] : 0);
    ox_wide_store(p->to + first * p->size, p->dtype, acc, n);
}

/* One item: an output or a tile of them, one part of what makes it. */
static void reduce_item(const struct plan *p, size_t item) {
    size_t part = item % p->parts, begin = part * PART, end = begin + PART;
    union ox_wide acc[TILE];
    double shift[TILE];
    if (p->parts == 1 || end > p->count) end = p->count;
    if (p->parts == 1) begin = 0;
    item /= p->parts;
    bool exponentials = p->step == EXPONENTIALS;
    if (p->width == 0) {
        size_t base = offset_of(&p->kept, item);
        if (exponentials) shift[0] = shift_of(fold_output(p, GREATEST, base, begin, end, 0));
        acc[0] = fold_output(p, p->step, base, begin, end, exponentials ? shift[0] : 0);
        put(p, item, part, acc, 1, exponentials ? shift : NULL);
        return;
    }
    size_t row = item / p->tiles, column = item % p->tiles * TILE;
    size_t n = p->width - column < TILE ? p->width - column : TILE;
    size_t base = offset_of(&p->kept, row) + column;
    if (exponentials) {
        fold_tile(p, GREATEST, acc, base, n, begin, end, NULL);
        for (size_t i = 0; i < n; i++)
            shift[i] = shift_of(acc[i]);
    }
    fold_tile(p, p->step, acc, base, n, begin, end, shift);
    put(p, row * p->width + column, part, acc, n, exponentials ? shift : NULL);
}

static void reduce_items(void *arg, size_t begin, size_t end) {
    for (; begin < end; begin++)
        reduce_item(arg, begin);
}

/* ---- the engine: planning ----------------------------------------------------------------------
 */

static void make_loops(struct plan *p, const ox_tensor *x, const bool *reduced) {
    int64_t strides[OX_MAX_RANK];
    bool last_reduced = true, first = true;
    ox_row_major(strides, x->rank, x->dims);
    p->count = p->outputs = 1;
    for (int i = 0; i < x->rank; i++) {
        size_t dim = (size_t)x->dims[i];
        if (dim == 1) continue;
        struct loops *l = reduced[i] ? &p->reduced : &p->kept;
        *(reduced[i] ? &p->count : &p->outputs) *= dim;
        if (!first && reduced[i] == last_reduced) {
            l->dims[l->n - 1] *= dim;
        } else {
            l->dims[l->n] = dim;
            l->n++;
        }
        l->strides[l->n - 1] = (size_t)strides[i];
        last_reduced = reduced[i];
        first = false;
    }
    p->run = 1;
    if (!last_reduced)
        p->width = p->kept.dims[--p->kept.n];
    else if (p->reduced.n)
        p->run = p->reduced.dims[--p->reduced.n];
}

static ox_status run_plan(const struct ox_call *call, struct plan *p) {
    p->tiles = p->width ? (p->width + TILE - 1) / TILE : 1;
    size_t items = p->width ? p->outputs / p->width * p->tiles : p->outputs;
    size_t cost = (p->width ? p->count * (p->width < TILE ? p->width : TILE) : p->count) + 16;
    p->parts = 1;
    if (items < FEW && p->count > 2 * PART && p->step != EXPONENTIALS) {
        p->parts = (p->count + PART - 1) / PART;
        OX_TRY(ox_alloc_raw(call->ctx, &p->partial, p->parts * p->outputs, sizeof *p->partial));
    }
    ox_parallel(call->ctx, items * p->parts, 32768 / (cost / p->parts) + 1, reduce_items, p);
    if (p->parts == 1) return OX_OK;
    /* Sums of parts are added, as products are multiplied. */
    enum step step = p->step == SQUARES || p->step == MAGNITUDES ? SUM : p->step;
    for (size_t part = 1; part < p->parts; part++)
        fold_row(step, p->kind, p->partial, p->partial + part * p->outputs, p->outputs, NULL);
    p->parts = 1;
    put(p, 0, 0, p->partial, p->outputs, NULL);
    ox_free(call->ctx, p->partial);
    return OX_OK;
}

ox_status ox_eval_reduce(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_reduce_kind *kind = call->op->family;
    const struct ox_reduce_params *p = params;
    const ox_tensor *x = in[0];
    bool reduced[OX_MAX_RANK], none = true;
    int64_t dims[OX_MAX_RANK];
    int n = 0;
    void *data;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, kind->types));
    OX_TRY(ox_reduce_axes(reduced, call, p, x->rank));
    for (int i = 0; i < x->rank; i++) {
        none = none && !reduced[i];
        if (!reduced[i])
            dims[n++] = x->dims[i];
        else if (p->keepdims)
            dims[n++] = 1;
    }
    bool only_gathers = kind->op == OX_RED_Max || kind->op == OX_RED_Min ||
                        kind->op == OX_RED_Sum || kind->op == OX_RED_Prod ||
                        kind->op == OX_RED_Mean;
    if (none && only_gathers && x->rank > 0) {
        out[0] = ox_tensor_ref(x);
        return OX_OK;
    }
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, x->dtype, n, dims));
    if (out[0]->count == 0) return OX_OK;
    struct plan plan = {.op = kind->op,
                        .step = step_of(kind->op),
                        .dtype = x->dtype,
                        .kind = ox_wide_of(x->dtype),
                        .from = x->data,
                        .to = data,
                        .size = (size_t)ox_dtype_bits(x->dtype) / 8};
    bool by_doubles =
        kind->op == OX_RED_L2 || kind->op == OX_RED_LogSum || kind->op == OX_RED_LogSumExp;
    plan.widen = by_doubles && plan.kind != OX_WIDE_F64;
    if (plan.widen) plan.kind = OX_WIDE_F64;
    make_loops(&plan, x, reduced);
    return run_plan(call, &plan);
}
