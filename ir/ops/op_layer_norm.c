/* ir/ops/op_layer_norm.c - LayerNormalization, InstanceNormalization, GroupNormalization: rows of
 * neighbouring elements are brought to mean 0 and variance 1, then scaled. RMSNormalization: the
 * same without the mean. */
#include "ir/ops/broadcast.h"
#include "ir/ops/convert.h"
#include "ir/ops/kernel_norm.h"
#include "ir/ops/op_args.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_norm.h"
#include "ir/ops/op_priv.h"
#include <math.h>

/* Before it was standard (opset 17), exporters wrote LayerNormalization with scale and bias of
 * another float type than the data; the result is of theirs. */
static bool may_mix(const struct ox_call *call) {
    return call->opset < 17 && call->op->since < 17 &&
           strcmp(call->op->name, "LayerNormalization") == 0;
}

static ox_status check_types(const struct ox_call *call, struct ox_infer *io) {
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_FLOATS));
        size_t like = may_mix(call) && i > 0 ? 1 : 0;
        OX_TRY(ox_expect_same_dtype(call, like, ox_in_dtype(io, like), i, ox_in_dtype(io, i)));
    }
    return OX_OK;
}

static ox_status check_tensors(const struct ox_call *call, const ox_tensor *const *in) {
    for (size_t i = 0; i < call->n_in; i++) {
        if (!in[i]) continue;
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, OX_FLOATS));
        OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, i, in[i]->dtype));
    }
    return OX_OK;
}

/* ---- instances and groups -------------------------------------------------------------------- */

ox_status ox_decode_group_norm(const struct ox_call *call, void *params) {
    struct ox_group_norm_params *p = params;
    bool instance = strcmp(call->op->name, "InstanceNormalization") == 0;
    OX_TRY(ox_attr_float(&p->epsilon, call, "epsilon", 1e-5f));
    p->per_channel = instance || call->opset >= 21;
    if (instance) return OX_OK;
    OX_TRY(ox_attr_int(&p->groups, call, "num_groups", 0));
    if (p->groups < 1) return ox_bad_attr(call, "num_groups is %lld", (long long)p->groups);
    return OX_OK;
}

ox_status ox_infer_group_norm(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_group_norm_params *p = params;
    OX_TRY(check_types(call, io));
    OX_TRY(ox_infer_same(io, 0, 0));
    int rank = ox_in_rank(io, 0);
    if (rank < 0) return OX_OK;
    if (rank < 2) return ox_bad_shape(call, "the data has rank %d, expected 2 or more", rank);
    ox_dim channels = io->in[0]->dims[1];
    if (p->groups > 0 && ox_dim_is_const(channels) && channels.k % p->groups != 0)
        return ox_bad_shape(call, "%lld channels cannot be split into %lld groups",
                            (long long)channels.k, (long long)p->groups);
    ox_dim expected = p->per_channel ? channels : ox_dim_const(p->groups);
    for (size_t i = 1; i < 3; i++) {
        int r = ox_in_rank(io, i);
        if (r < 0) continue;
        if (r != 1) return ox_bad_shape(call, "input %zu has rank %d, expected 1", i, r);
        ox_dim n = io->in[i]->dims[0];
        if (ox_dim_is_const(n) && ox_dim_is_const(expected) && n.k != expected.k)
            return ox_bad_shape(call, "input %zu has %lld elements, expected %lld", i,
                                (long long)n.k, (long long)expected.k);
    }
    return OX_OK;
}

struct groups {
    ox_dtype dtype;
    const void *x, *scale, *bias;
    void *y;
    double epsilon;
    size_t groups, per_group,
        plane; /* groups of a sample; channels of a group; elements of a channel */
    bool per_channel;
};

#define RANGE_FN(T, name)                                                                          \
    static void groups_##name(void *arg, size_t begin, size_t end) {                               \
        const struct groups *g = arg;                                                              \
        size_t n = g->per_group * g->plane;                                                        \
        for (size_t i = begin; i < end; i++) {                                                     \
            const T *x = (const T *)g->x + i * n, *scale = g->scale, *bias = g->bias;              \
            T *y = (T *)g->y + i * n;                                                              \
            double mean, variance;                                                                 \
            ox_moments_##name(x, n, &mean, &variance);                                             \
            ox_standardize_##name(y, x, n, (T)mean, (T)(1 / sqrt(variance + g->epsilon)));         \
            for (size_t c = 0; c < g->per_group; c++) {                                            \
                size_t group = i % g->groups;                                                      \
                size_t k = g->per_channel ? group * g->per_group + c : group;                      \
                ox_scale_all_##name(y + c * g->plane, g->plane, scale[k], bias[k]);                \
            }                                                                                      \
        }                                                                                          \
    }
RANGE_FN(float, f32)
RANGE_FN(double, f64)
#undef RANGE_FN

ox_status ox_eval_group_norm(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_group_norm_params *p = params;
    const ox_tensor *x = in[0];
    if (ox_is_narrow(x->dtype)) return ox_eval_wide(ox_eval_group_norm, call, params, in, out, 1);
    OX_TRY(check_tensors(call, in));
    if (x->rank < 2) return ox_bad_shape(call, "the data has rank %d, expected 2 or more", x->rank);
    int64_t channels = x->dims[1], groups = p->groups ? p->groups : channels;
    if (groups > 0 && channels % groups != 0)
        return ox_bad_shape(call, "%lld channels cannot be split into %lld groups",
                            (long long)channels, (long long)groups);
    for (size_t i = 1; i < 3; i++)
        if (in[i]->rank != 1 || in[i]->dims[0] != (p->per_channel ? channels : groups))
            return ox_bad_shape(call, "input %zu is %s for %lld channels in %lld groups", i,
                                ox_dims_text(in[i]->rank, in[i]->dims).text, (long long)channels,
                                (long long)groups);
    struct groups g = {.dtype = x->dtype,
                       .x = x->data,
                       .scale = in[1]->data,
                       .bias = in[2]->data,
                       .epsilon = (double)p->epsilon,
                       .per_channel = p->per_channel};
    OX_TRY(ox_tensor_new_raw(&out[0], &g.y, call->ctx, x->dtype, x->rank, x->dims));
    if (x->count == 0) return OX_OK;
    g.groups = (size_t)groups;
    g.per_group = (size_t)(channels / groups);
    g.plane = x->count / (size_t)x->dims[0] / (size_t)channels;
    ox_parallel(call->ctx, (size_t)x->dims[0] * g.groups, 1 + 10000 / (g.per_group * g.plane),
                x->dtype == OX_FLOAT ? groups_f32 : groups_f64, &g);
    return OX_OK;
}

/* ---- layers ---------------------------------------------------------------------------------- */

ox_status ox_decode_layer_norm(const struct ox_call *call, void *params) {
    struct ox_layer_norm_params *p = params;
    int64_t stash;
    OX_TRY(ox_attr_float(&p->epsilon, call, "epsilon", 1e-5f));
    OX_TRY(ox_attr_int(&p->axis, call, "axis", -1));
    OX_TRY(ox_attr_int(&stash, call, "stash_type", OX_FLOAT));
    if (stash != OX_FLOAT && stash != OX_BFLOAT16)
        return ox_bad_attr(call, "stash_type is %lld, expected 1 or 16", (long long)stash);
    p->stash = (ox_dtype)stash;
    return OX_OK;
}

ox_status ox_infer_layer_norm(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_layer_norm_params *p = params;
    OX_TRY(check_types(call, io));
    int rank = ox_in_rank(io, 0), axis;
    ox_dim dims[OX_MAX_RANK];
    if (may_mix(call))
        OX_TRY(
            ox_infer_tensor(io, 0, ox_in_dtype(io, 1), rank, rank >= 0 ? io->in[0]->dims : NULL));
    else
        OX_TRY(ox_infer_same(io, 0, 0));
    if (rank >= 0) {
        OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
        for (int d = 0; d < rank; d++)
            dims[d] = d < axis ? io->in[0]->dims[d] : ox_dim_const(1);
        for (size_t i = 1; i < call->n_in; i++) {
            int r = ox_in_rank(io, i);
            if (r > rank)
                return ox_bad_shape(call, "input %zu has rank %d, the data %d", i, r, rank);
            for (int d = 0; d < r; d++) {
                ox_dim a = io->in[i]->dims[d], x = io->in[0]->dims[rank - r + d];
                if (ox_dim_is_const(a) && a.k != 1 && ox_dim_is_const(x) && a.k != x.k)
                    return ox_bad_shape(call, "input %zu %s cannot be broadcast to the data %s", i,
                                        ox_sym_dims_text(r, io->in[i]->dims).text,
                                        ox_sym_dims_text(rank, io->in[0]->dims).text);
            }
        }
    }
    for (size_t i = 1; i < call->n_out; i++)
        OX_TRY(ox_infer_tensor(io, i, p->stash, rank, dims));
    return OX_OK;
}

struct layers {
    const void *x, *scale, *bias; /* bias may be NULL */
    void *y;
    float *means, *inverses; /* or NULL */
    double epsilon;
    size_t n;  /* elements of a row */
    bool rows; /* scale and bias are one row for all, else as many elements as the data */
    bool rms;  /* the mean stays: rows are brought to mean square 1 */
};

#define RANGE_FN(T, name)                                                                          \
    static void layers_##name(void *arg, size_t begin, size_t end) {                               \
        const struct layers *l = arg;                                                              \
        for (size_t i = begin; i < end; i++) {                                                     \
            const T *x = (const T *)l->x + i * l->n, *scale = l->scale, *bias = l->bias;           \
            T *y = (T *)l->y + i * l->n;                                                           \
            double mean, variance;                                                                 \
            ox_moments_##name(x, l->n, &mean, &variance);                                          \
            if (l->rms) variance += mean * mean;                                                   \
            if (l->rms) mean = 0;                                                                  \
            double inverse = 1 / sqrt(variance + l->epsilon);                                      \
            ox_standardize_##name(y, x, l->n, (T)mean, (T)inverse);                                \
            size_t at = l->rows ? 0 : i * l->n;                                                    \
            ox_scale_rows_##name(y, l->n, scale + at, bias ? bias + at : NULL);                    \
            if (l->means) l->means[i] = (float)mean;                                               \
            if (l->inverses) l->inverses[i] = (float)inverse;                                      \
        }                                                                                          \
    }
RANGE_FN(float, f32)
RANGE_FN(double, f64)
#undef RANGE_FN

#define COPY_FN(T, name)                                                                           \
    static void copy_##name(void *out, const void *const *in, unsigned one, size_t n,              \
                            const void *arg) {                                                     \
        const T *from = in[0];                                                                     \
        T *to = out;                                                                               \
        (void)arg;                                                                                 \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = from[one ? 0 : i];                                                             \
    }
COPY_FN(float, f32)
COPY_FN(double, f64)
#undef COPY_FN

/* The operand broadcast to the data's last dims (rows) or, where it varies over rows, to all of
 * them. */
static ox_status spread(ox_tensor **out, const struct ox_call *call, const ox_tensor *operand,
                        const ox_tensor *x, int axis, bool rows) {
    const int64_t *dims = rows ? x->dims + axis : x->dims;
    int rank = rows ? x->rank - axis : x->rank,
        skip = operand->rank > rank ? operand->rank - rank : 0;
    void *data;
    OX_TRY(ox_tensor_new_raw(out, &data, call->ctx, x->dtype, rank, dims));
    struct ox_loop_operand from = ox_loop_operand(operand);
    from.rank -= skip; /* leading dims of 1 */
    from.dims += skip;
    ox_run_loop(call->ctx, x->dtype == OX_FLOAT ? copy_f32 : copy_f64, NULL, 1, data, from.size,
                rank, dims, 1, &from);
    return OX_OK;
}

/* Whether the operand is the same for every row. */
static bool is_row(const ox_tensor *operand, const ox_tensor *x, int axis) {
    for (int d = 0; d < operand->rank - (x->rank - axis); d++)
        if (operand->dims[d] != 1) return false;
    return true;
}

static ox_status stash_output(ox_tensor **out, float **data, const struct ox_call *call, size_t i,
                              const ox_tensor *x, int axis) {
    int64_t dims[OX_MAX_RANK];
    void *to;
    if (i >= call->n_out || (call->wanted && !call->wanted[i])) return OX_OK;
    for (int d = 0; d < x->rank; d++)
        dims[d] = d < axis ? x->dims[d] : 1;
    OX_TRY(ox_tensor_new_raw(&out[i], &to, call->ctx, OX_FLOAT, x->rank, dims));
    *data = to;
    return OX_OK;
}

static ox_status run_layers(const struct ox_call *call, const struct ox_layer_norm_params *p,
                            const ox_tensor *const *in, ox_tensor **out, int axis,
                            ox_tensor **scale, ox_tensor **bias) {
    const ox_tensor *x = in[0], *b = call->n_in > 2 ? in[2] : NULL;
    struct layers l = {.x = x->data, .epsilon = (double)p->epsilon, .n = 1};
    OX_TRY(ox_tensor_new_raw(&out[0], &l.y, call->ctx, x->dtype, x->rank, x->dims));
    OX_TRY(stash_output(out, &l.means, call, 1, x, axis));
    OX_TRY(stash_output(out, &l.inverses, call, 2, x, axis));
    for (int d = axis; d < x->rank; d++)
        l.n *= (size_t)x->dims[d];
    if (x->count == 0) return OX_OK;
    l.rows = is_row(in[1], x, axis) && (!b || is_row(b, x, axis));
    OX_TRY(spread(scale, call, in[1], x, axis, l.rows));
    if (b) OX_TRY(spread(bias, call, b, x, axis, l.rows));
    l.scale = (*scale)->data;
    l.bias = b ? (*bias)->data : NULL;
    ox_parallel(call->ctx, x->count / l.n, 1 + 10000 / l.n,
                x->dtype == OX_FLOAT ? layers_f32 : layers_f64, &l);
    return OX_OK;
}

static ox_status eval_layer_norm(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_layer_norm_params *p = params;
    int axis;
    OX_TRY(check_tensors(call, in));
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, in[0]->rank));
    for (size_t i = 1; i < call->n_in; i++)
        if (in[i] && !ox_broadcasts_to(in[0]->rank, in[0]->dims, in[i]->rank, in[i]->dims))
            return ox_bad_shape(call, "input %zu %s cannot be broadcast to the data %s", i,
                                ox_dims_text(in[i]->rank, in[i]->dims).text,
                                ox_dims_text(in[0]->rank, in[0]->dims).text);
    ox_tensor *scale = NULL, *bias = NULL;
    ox_status status = run_layers(call, p, in, out, axis, &scale, &bias);
    ox_tensor_unref(scale);
    ox_tensor_unref(bias);
    for (size_t i = 1; status == OX_OK && p->stash != OX_FLOAT && i < call->n_out; i++) {
        ox_tensor *rounded;
        if (!out[i]) continue;
        status = ox_tensor_to(&rounded, call->ctx, out[i], p->stash);
        if (status != OX_OK) break;
        ox_tensor_unref(out[i]);
        out[i] = rounded;
    }
    return status;
}

ox_status ox_eval_layer_norm(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    if (may_mix(call) && in[0]->dtype != in[1]->dtype) {
        OX_TRY(ox_eval_wide(eval_layer_norm, call, params, in, out, 0));
        ox_tensor *wide = out[0];
        out[0] = NULL;
        ox_status s = ox_tensor_to(&out[0], call->ctx, wide, in[1]->dtype);
        ox_tensor_unref(wide);
        return s;
    }
    if (ox_is_narrow(in[0]->dtype)) return ox_eval_wide(eval_layer_norm, call, params, in, out, 1);
    return eval_layer_norm(call, params, in, out);
}

/* ---- root mean square ------------------------------------------------------------------------ */

ox_status ox_decode_rms_norm(const struct ox_call *call, void *params) {
    struct ox_rms_norm_params *p = params;
    int64_t stash;
    OX_TRY(ox_attr_float(&p->epsilon, call, "epsilon", 1e-5f));
    OX_TRY(ox_attr_int(&p->axis, call, "axis", -1));
    OX_TRY(ox_attr_int(&stash, call, "stash_type", OX_FLOAT));
    if (ox_dtype_valid(stash) && (OX_FLOATS & OX_BIT(stash))) return OX_OK;
    return ox_bad_attr(call, "stash_type is %lld, expected 1, 10, 11 or 16", (long long)stash);
}

/* The result is of the scale's type, which need not be the data's. */
ox_status ox_infer_rms_norm(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_rms_norm_params *p = params;
    int rank = ox_in_rank(io, 0), axis;
    for (size_t i = 0; i < 2; i++)
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_FLOATS));
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 1), -1, NULL);
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 0, rank));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 1), rank, io->in[0]->dims);
}

static ox_status run_rms(ox_tensor **out, const struct ox_call *call,
                         const struct ox_rms_norm_params *p, const ox_tensor *x,
                         const ox_tensor *scale) {
    struct layers l = {.x = x->data, .epsilon = (double)p->epsilon, .n = 1, .rms = true};
    ox_tensor *spreaded = NULL;
    int axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    if (!ox_broadcasts_to(x->rank, x->dims, scale->rank, scale->dims))
        return ox_bad_shape(call, "scale %s cannot be broadcast to the data %s",
                            ox_dims_text(scale->rank, scale->dims).text,
                            ox_dims_text(x->rank, x->dims).text);
    OX_TRY(ox_tensor_new_raw(out, &l.y, call->ctx, x->dtype, x->rank, x->dims));
    for (int d = axis; d < x->rank; d++)
        l.n *= (size_t)x->dims[d];
    if (x->count == 0) return OX_OK;
    l.rows = is_row(scale, x, axis);
    OX_TRY(spread(&spreaded, call, scale, x, axis, l.rows));
    l.scale = spreaded->data;
    ox_parallel(call->ctx, x->count / l.n, 1 + 10000 / l.n,
                x->dtype == OX_FLOAT ? layers_f32 : layers_f64, &l);
    ox_tensor_unref(spreaded);
    return OX_OK;
}

ox_status ox_eval_rms_norm(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    for (size_t i = 0; i < 2; i++)
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, OX_FLOATS));
    ox_dtype work = in[0]->dtype == OX_DOUBLE || in[1]->dtype == OX_DOUBLE ? OX_DOUBLE : OX_FLOAT;
    ox_tensor *x = NULL, *scale = NULL, *y = NULL;
    ox_status s = ox_tensor_cast(&x, call->ctx, in[0], work, true);
    if (s == OX_OK) s = ox_tensor_cast(&scale, call->ctx, in[1], work, true);
    if (s == OX_OK) s = run_rms(&y, call, params, x, scale);
    if (s == OX_OK) s = ox_tensor_cast(&out[0], call->ctx, y, in[1]->dtype, true);
    ox_tensor_unref(x);
    ox_tensor_unref(scale);
    ox_tensor_unref(y);
    return s;
}
