/* ir/ops/op_resize_eval.c - kernels of Resize and Upsample.
 *
 * Interpolation is done dim by dim: along each resized dim, every output is a weighted sum of some
 * inputs, whose numbers and weights are tables made beforehand. Coordinates are computed in 32-bit
 * floats, as the operator's scales are: ties of the nearest mode depend on it. */
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/op_resize.h"
#include "ir/ops/pick.h"
#include "ir/ops/simd.h"
#include <math.h>

/* The standard's length_resized where the corners are aligned: scale times length, before it is
 * rounded down to the number of outputs, as the standard's reference has it; with scales made from
 * sizes the two are the same. */
static float aligned_length(const struct ox_resize_plan *plan, int d) {
    double length = (double)plan->scale[d] * (double)plan->in[d], out = (double)plan->out[d];
    return (float)(fabs(length - out) <= 1e-5 * out ? out : length);
}

/* Where output x lies in the input. */
static float original(const struct ox_resize_params *p, const struct ox_resize_plan *plan, int d,
                      int64_t i) {
    float x = (float)i, in = (float)plan->in[d], out = (float)plan->out[d], scale = plan->scale[d];
    float start = plan->roi_start[d], end = plan->roi_end[d];
    switch (p->coords) {
    case OX_COORDS_HALF_PIXEL:
        return (x + 0.5f) / scale - 0.5f;
    case OX_COORDS_HALF_PIXEL_SYMMETRIC: {
        float adjustment = out / (scale * in);
        return in / 2 * (1 - adjustment) + (x + 0.5f) / scale - 0.5f;
    }
    case OX_COORDS_PYTORCH_HALF_PIXEL:
        return plan->out[d] > 1 ? (x + 0.5f) / scale - 0.5f : 0;
    case OX_COORDS_ALIGN_CORNERS:
        return plan->out[d] > 1 ? x * (in - 1) / (aligned_length(plan, d) - 1) : 0;
    case OX_COORDS_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5f) / scale;
    case OX_COORDS_TF_CROP_AND_RESIZE:
        return plan->out[d] > 1 ? start * (in - 1) + x * (end - start) * (in - 1) / (out - 1)
                                : 0.5f * (start + end) * (in - 1);
    default:
        return x / scale;
    }
}

/* Along one dim: output i is the sum over t < taps of weight[i * taps + t] times input index[i *
 * taps + t]. */
struct table {
    size_t taps;
    int64_t *index;
    double *weight;
    bool *outside; /* tf_crop_and_resize: the output is the extrapolation value; else NULL */
};

static void free_table(ox_ctx *ctx, struct table *t) {
    ox_free(ctx, t->index);
    ox_free(ctx, t->weight);
    ox_free(ctx, t->outside);
}

static int64_t clamp_index(float x, int64_t n) {
    if (!(x > 0)) return 0;
    if (x >= (float)n) return n - 1;
    return (int64_t)x < n ? (int64_t)x : n - 1;
}

static float nearest(const struct ox_resize_params *p, float x, float scale) {
    switch (p->nearest) {
    case OX_NEAREST_ROUND_PREFER_FLOOR:
        return ceilf(x - 0.5f);
    case OX_NEAREST_ROUND_PREFER_CEIL:
        return floorf(x + 0.5f);
    case OX_NEAREST_FLOOR:
        return floorf(x);
    case OX_NEAREST_CEIL:
        return ceilf(x);
    default:
        return scale < 1 ? ceilf(x) : floorf(x);
    }
}

/* The interpolation kernel at distance x >= 0. */
static double kernel_at(const struct ox_resize_params *p, double x) {
    double a = (double)p->cubic_a;
    if (p->mode == OX_RESIZE_LINEAR) return x < 1 ? 1 - x : 0;
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Weights of one output that lies at x: taps neighbours from `first` on, distances stretched by
 * `shrink`. */
static void weigh(const struct ox_resize_params *p, double *weight, int64_t *index, size_t taps,
                  double x, double first, double shrink, int64_t n) {
    double sum = 0;
    for (size_t t = 0; t < taps; t++) {
        double at = first + (double)t;
        bool outside = at < 0 || at > (double)(n - 1);
        weight[t] = p->exclude_outside && outside ? 0 : kernel_at(p, fabs(at - x) * shrink);
        index[t] = at < 0 ? 0 : at > (double)(n - 1) ? n - 1 : (int64_t)at;
        sum += weight[t];
    }
    bool stretched = shrink < 1;
    for (size_t t = 0; (stretched || p->exclude_outside) && sum != 0 && t < taps; t++)
        weight[t] /= sum;
}

static ox_status make_table(struct table *t, const struct ox_call *call,
                            const struct ox_resize_params *p, const struct ox_resize_plan *plan,
                            int d) {
    int64_t n = plan->in[d];
    size_t out = (size_t)plan->out[d], cells;
    double shrink = p->antialias && plan->scale[d] < 1 ? (double)plan->scale[d] : 1;
    double support = (p->mode == OX_RESIZE_CUBIC ? 2 : 1) / shrink;
    *t = (struct table){.taps = 1};
    if (p->mode != OX_RESIZE_NEAREST) {
        /* more taps than there are inputs see the same border again and again; the bound is for
         * absurd scales */
        if (support > 0x1p24) return ox_no_kernel(call, "antialiasing by a factor of %g", support);
        t->taps = 2 * (size_t)ceil(support);
    }
    if (ox_mul_size(&cells, out, t->taps)) return ox_bad_shape(call, "the output is too large");
    OX_TRY(ox_alloc(call->ctx, &t->index, cells, sizeof *t->index));
    OX_TRY(ox_alloc(call->ctx, &t->weight, cells, sizeof *t->weight));
    bool crop = p->coords == OX_COORDS_TF_CROP_AND_RESIZE;
    if (crop) OX_TRY(ox_alloc(call->ctx, &t->outside, out, sizeof *t->outside));
    for (size_t i = 0; i < out; i++) {
        float x = original(p, plan, d, (int64_t)i);
        if (crop) t->outside[i] = !(x >= 0 && x <= (float)(n - 1));
        if (p->mode == OX_RESIZE_NEAREST) {
            t->index[i] = clamp_index(nearest(p, x, plan->scale[d]), n);
            t->weight[i] = 1;
        } else {
            double first = floor((double)x) + 1 - (double)(t->taps / 2);
            weigh(p, t->weight + i * t->taps, t->index + i * t->taps, t->taps, (double)x, first,
                  shrink, n);
        }
    }
    return OX_OK;
}

/* ---- one pass -------------------------------------------------------------------------------- */

/* [outer][n][inner] to [outer][m][inner]. */
struct pass {
    const struct table *table;
    size_t n, m, inner, size; /* size: bytes of an element, for copying */
    const void *x;
    void *y;
};

static void copy_rows(void *arg, size_t begin, size_t end) {
    const struct pass *p = arg;
    size_t bytes = p->inner * p->size;
    for (size_t r = begin; r < end; r++) {
        size_t from = r / p->m * p->n + (size_t)p->table->index[r % p->m];
        memcpy((unsigned char *)p->y + r * bytes, (const unsigned char *)p->x + from * bytes,
               bytes);
    }
}

/* Single elements: the last dim. */
#define COPY_FN(T)                                                                                 \
    static void copy_##T(void *arg, size_t begin, size_t end) {                                    \
        const struct pass *p = arg;                                                                \
        for (size_t o = begin; o < end; o++) {                                                     \
            const T *x = (const T *)p->x + o * p->n;                                               \
            T *y = (T *)p->y + o * p->m;                                                           \
            for (size_t i = 0; i < p->m; i++)                                                      \
                y[i] = x[p->table->index[i]];                                                      \
        }                                                                                          \
    }
COPY_FN(uint8_t)
COPY_FN(uint16_t)
COPY_FN(uint32_t)
COPY_FN(uint64_t)
#undef COPY_FN

#define SUM_FN(T)                                                                                  \
    OX_CLONES static void sum_##T(void *arg, size_t begin, size_t end) {                           \
        const struct pass *p = arg;                                                                \
        size_t taps = p->table->taps;                                                              \
        for (size_t r = begin; r < end; r++) {                                                     \
            const T *x = (const T *)p->x + r / p->m * p->n * p->inner;                             \
            const int64_t *index = p->table->index + r % p->m * taps;                              \
            const double *weight = p->table->weight + r % p->m * taps;                             \
            T *y = (T *)p->y + r * p->inner;                                                       \
            for (size_t i = 0; i < p->inner; i++)                                                  \
                y[i] = (T)weight[0] * x[(size_t)index[0] * p->inner + i];                          \
            for (size_t t = 1; t < taps; t++) {                                                    \
                const T *row = x + (size_t)index[t] * p->inner;                                    \
                T w = (T)weight[t];                                                                \
                for (size_t i = 0; i < p->inner; i++)                                              \
                    y[i] += w * row[i];                                                            \
            }                                                                                      \
        }                                                                                          \
    }
SUM_FN(float)
SUM_FN(double)
#undef SUM_FN

static void run_pass(ox_ctx *ctx, const struct ox_resize_plan *plan, struct pass *p, int d,
                     ox_dtype dtype, bool copies) {
    size_t outer = 1;
    p->inner = 1;
    for (int i = 0; i < d;
         i++) /* passes go from the first dim to the last: those before have their new size */
        outer *= (size_t)plan->out[i];
    for (int i = d + 1; i < plan->rank; i++)
        p->inner *= (size_t)plan->in[i];
    p->n = (size_t)plan->in[d];
    p->m = (size_t)plan->out[d];
    size_t rows = outer * p->m, grain = 1 + 10000 / (p->inner * (copies ? 1 : p->table->taps));
    if (copies && p->inner == 1 && p->size <= 8)
        ox_parallel(ctx, outer, 1 + 10000 / p->m,
                    p->size == 1   ? copy_uint8_t
                    : p->size == 2 ? copy_uint16_t
                    : p->size == 4 ? copy_uint32_t
                                   : copy_uint64_t,
                    p);
    else
        ox_parallel(ctx, rows, grain,
                    copies              ? copy_rows
                    : dtype == OX_FLOAT ? sum_float
                                        : sum_double,
                    p);
}

/* Overwrites what lies outside the cropped region. */
static void extrapolate(const struct ox_resize_plan *plan, const struct table *tables, void *y,
                        size_t count, ox_dtype dtype, float value) {
    int64_t at[OX_MAX_RANK] = {0};
    for (size_t i = 0; i < count; i++) {
        bool outside = false;
        for (int d = 0; d < plan->rank; d++)
            outside = outside || (tables[d].outside && tables[d].outside[at[d]]);
        if (outside && dtype == OX_FLOAT) ((float *)y)[i] = value;
        if (outside && dtype == OX_DOUBLE) ((double *)y)[i] = (double)value;
        for (int d = plan->rank - 1; d >= 0 && ++at[d] == plan->out[d]; d--)
            at[d] = 0;
    }
}

/* Runs all passes on x (any type with `copies`, else float or double). */
static ox_status run_all(const struct ox_call *call, const struct ox_resize_params *p,
                         const struct ox_resize_plan *plan, const struct table *tables,
                         const ox_tensor *x, ox_tensor **out) {
    ox_tensor *now = ox_tensor_ref(x);
    ox_status status = OX_OK;
    bool copies = p->mode == OX_RESIZE_NEAREST;
    for (int d = 0; status == OX_OK && d < plan->rank; d++) {
        if (!tables[d].taps) continue;
        int64_t dims[OX_MAX_RANK];
        for (int i = 0; i < plan->rank; i++)
            dims[i] = i <= d ? plan->out[i] : plan->in[i];
        struct pass pass = {
            .table = &tables[d], .x = now->data, .size = (size_t)ox_dtype_bits(x->dtype) / 8};
        ox_tensor *next;
        status = ox_tensor_new_raw(&next, &pass.y, call->ctx, x->dtype, plan->rank, dims);
        if (status != OX_OK) break;
        run_pass(call->ctx, plan, &pass, d, x->dtype, copies);
        ox_tensor_unref(now);
        now = next;
    }
    if (status != OX_OK) {
        ox_tensor_unref(now);
        return status;
    }
    *out = now;
    return OX_OK;
}

static ox_status resize(const struct ox_call *call, const struct ox_resize_params *p,
                        const struct ox_resize_plan *plan, const ox_tensor *x, ox_tensor **out) {
    struct table *tables;
    ox_status status = OX_OK;
    for (int d = 0; d < plan->rank; d++)
        if (plan->out[d] == 0)
            return ox_tensor_new_raw(out, NULL, call->ctx, x->dtype, plan->rank, plan->out);
    OX_TRY(ox_alloc(call->ctx, &tables, (size_t)plan->rank + 1, sizeof *tables));
    bool crop = p->coords == OX_COORDS_TF_CROP_AND_RESIZE;
    for (int d = 0; status == OX_OK && d < plan->rank; d++) {
        bool moves = plan->in[d] != plan->out[d] || plan->scale[d] != 1 ||
                     (crop && (plan->roi_start[d] != 0 || plan->roi_end[d] != 1));
        if (moves) /* in is not 0 where out is not */
            status = make_table(&tables[d], call, p, plan, d);
    }
    if (status == OX_OK) status = run_all(call, p, plan, tables, x, out);
    if (status == OX_OK && crop && *out != x) {
        /* the result is ours alone as soon as one dim moved */
        bool moved = false;
        for (int d = 0; d < plan->rank; d++)
            moved = moved || tables[d].outside;
        if (moved)
            extrapolate(plan, tables, (void *)(uintptr_t)(*out)->data, (*out)->count, x->dtype,
                        p->extrapolation);
    }
    for (int d = 0; d < plan->rank; d++)
        free_table(call->ctx, &tables[d]);
    ox_free(call->ctx, tables);
    return status;
}

/* ---- integers: through 64-bit floats --------------------------------------------------------- */

#define WIDEN(T)                                                                                   \
    for (size_t i = 0; i < x->count; i++)                                                          \
        to[i] = (double)((const T *)x->data)[i];                                                   \
    break
static ox_status to_double(ox_tensor **out, ox_ctx *ctx, const ox_tensor *x) {
    void *data;
    OX_TRY(ox_tensor_new_raw(out, &data, ctx, OX_DOUBLE, x->rank, x->dims));
    double *to = data;
    switch (x->dtype) {
    case OX_UINT8:
        WIDEN(uint8_t);
    case OX_INT8:
        WIDEN(int8_t);
    case OX_UINT16:
        WIDEN(uint16_t);
    case OX_INT16:
        WIDEN(int16_t);
    case OX_UINT32:
        WIDEN(uint32_t);
    case OX_INT32:
        WIDEN(int32_t);
    case OX_UINT64:
        WIDEN(uint64_t);
    default:
        WIDEN(int64_t);
    }
    return OX_OK;
}
#undef WIDEN

/* Cut off behind the point, and to the type's range. 64-bit limits are the largest exact doubles
 * below. */
#define NARROW(T, low, high)                                                                       \
    for (size_t i = 0; i < wide->count; i++) {                                                     \
        double v = from[i];                                                                        \
        ((T *)data)[i] = v <= (double)(low) ? (T)(low) : v >= (double)(high) ? (T)(high) : (T)v;   \
    }                                                                                              \
    break
static ox_status from_double(ox_tensor **out, ox_ctx *ctx, const ox_tensor *wide, ox_dtype dtype) {
    void *data;
    const double *from = wide->data;
    OX_TRY(ox_tensor_new_raw(out, &data, ctx, dtype, wide->rank, wide->dims));
    switch (dtype) {
    case OX_UINT8:
        NARROW(uint8_t, 0, UINT8_MAX);
    case OX_INT8:
        NARROW(int8_t, INT8_MIN, INT8_MAX);
    case OX_UINT16:
        NARROW(uint16_t, 0, UINT16_MAX);
    case OX_INT16:
        NARROW(int16_t, INT16_MIN, INT16_MAX);
    case OX_UINT32:
        NARROW(uint32_t, 0, UINT32_MAX);
    case OX_INT32:
        NARROW(int32_t, INT32_MIN, INT32_MAX);
    case OX_UINT64:
        NARROW(uint64_t, 0, UINT64_MAX - 2047);
    default:
        NARROW(int64_t, INT64_MIN, INT64_MAX - 1023);
    }
    return OX_OK;
}
#undef NARROW

static ox_status resize_integers(const struct ox_call *call, const struct ox_resize_params *p,
                                 const struct ox_resize_plan *plan, const ox_tensor *x,
                                 ox_tensor **out) {
    ox_tensor *wide = NULL, *result = NULL;
    ox_status status = to_double(&wide, call->ctx, x);
    if (status == OX_OK) status = resize(call, p, plan, wide, &result);
    if (status == OX_OK) status = from_double(out, call->ctx, result, x->dtype);
    ox_tensor_unref(wide);
    ox_tensor_unref(result);
    return status;
}

/* The nearest mode for types that are not whole bytes long or not to be copied as bytes (strings):
 * the same on their numbers. */
static ox_status resize_numbered(const struct ox_call *call, const struct ox_resize_params *p,
                                 const struct ox_resize_plan *plan, const ox_tensor *x,
                                 ox_tensor **out) {
    ox_tensor *numbers = NULL, *at = NULL;
    ox_status status = ox_numbered(&numbers, call->ctx, x, OX_INT64, 0);
    if (status == OX_OK) status = resize(call, p, plan, numbers, &at);
    if (status == OX_OK) status = ox_pick(out, call->ctx, x, at);
    ox_tensor_unref(numbers);
    ox_tensor_unref(at);
    return status;
}

ox_status ox_eval_resize(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_resize_params *p = params;
    const ox_tensor *x = in[0], *inputs[3] = {NULL, NULL, NULL};
    bool crop = p->coords == OX_COORDS_TF_CROP_AND_RESIZE;
    bool plain = p->mode == OX_RESIZE_NEAREST && !crop;
    if (!plain && !(OX_NUMBERS & OX_BIT(x->dtype)))
        return ox_no_arithmetic(call, "%s of %s can only take the nearest element, without a crop",
                                call->op->name, ox_dtype_name(x->dtype));
    const int at[3] = {p->roi_at, p->scales_at, p->sizes_at};
    for (int i = 0; i < 3; i++)
        if (at[i] >= 0 && (size_t)at[i] < call->n_in) inputs[i] = in[at[i]];
    struct ox_resize_plan plan;
    OX_TRY(ox_resize_plan(&plan, call, p, x->rank, x->dims, inputs[0], inputs[1], inputs[2]));
    if (x->dtype == OX_STRING || ox_dtype_bits(x->dtype) % 8 != 0)
        return resize_numbered(call, p, &plan, x, &out[0]);
    if (plain || x->dtype == OX_FLOAT || x->dtype == OX_DOUBLE)
        return resize(call, p, &plan, x, &out[0]);
    if (!ox_is_narrow(x->dtype)) return resize_integers(call, p, &plan, x, &out[0]);
    ox_tensor *wide = NULL, *result = NULL;
    ox_status status = ox_tensor_to(&wide, call->ctx, x, OX_FLOAT);
    if (status == OX_OK) status = resize(call, p, &plan, wide, &result);
    if (status == OX_OK) status = ox_tensor_to(&out[0], call->ctx, result, x->dtype);
    ox_tensor_unref(wide);
    ox_tensor_unref(result);
    return status;
}
