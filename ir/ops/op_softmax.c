/* ir/ops/op_softmax.c - Softmax, LogSoftmax, Hardmax.
 *
 * The data is seen as [outer][n][inner], n being what is normalized. Sums have a fixed order (16
 * lanes, then their sum), so that bits depend neither on threads nor on the vector width. */
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include "ir/ops/vmath.h"

ox_status ox_decode_softmax(const struct ox_call *call, void *params) {
    struct ox_softmax_params *p = params;
    p->flatten = call->opset < 13;
    return ox_attr_int(&p->axis, call, "axis", p->flatten ? 1 : -1);
}

ox_status ox_infer_softmax(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_softmax_params *p = params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    int axis;
    if (ox_in_rank(io, 0) >= 0) OX_TRY(ox_axis(&axis, call, "axis", p->axis, ox_in_rank(io, 0)));
    return ox_infer_same(io, 0, 0);
}

enum kind { SOFTMAX, LOG_SOFTMAX, HARDMAX };
enum { LANES = 16, COLUMNS = 64 };

struct job {
    const void *x;
    void *y;
    size_t n, inner, blocks; /* inner is cut into blocks of COLUMNS */
};

static inline float exp_f32(float x) {
    return ox_vexp(x);
}
static inline double exp_f64(double x) {
    return exp(x);
}
static inline float log_f32(float x) {
    return logf(x);
}
static inline double log_f64(double x) {
    return log(x);
}

/* A row of n neighbours. */
#define ROW_FN(T)                                                                                  \
    OX_CLONES static void row_##T(const T *x, T *y, size_t n, enum kind kind) {                    \
        T lanes[LANES], max = x[0], sum = 0;                                                       \
        size_t whole = n / LANES * LANES;                                                          \
        for (int l = 0; l < LANES; l++)                                                            \
            lanes[l] = x[0];                                                                       \
        for (size_t i = 0; i < whole; i += LANES)                                                  \
            for (int l = 0; l < LANES; l++)                                                        \
                lanes[l] = x[i + (size_t)l] > lanes[l] ? x[i + (size_t)l] : lanes[l];              \
        for (int l = 0; l < LANES; l++)                                                            \
            max = lanes[l] > max ? lanes[l] : max;                                                 \
        for (size_t i = whole; i < n; i++)                                                         \
            max = x[i] > max ? x[i] : max;                                                         \
        if (kind == HARDMAX) {                                                                     \
            bool found = false;                                                                    \
            for (size_t i = 0; i < n; i++) {                                                       \
                y[i] = !found && x[i] == max;                                                      \
                found = found || x[i] == max;                                                      \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = EXP(x[i] - max);                                                                \
        for (int l = 0; l < LANES; l++)                                                            \
            lanes[l] = 0;                                                                          \
        for (size_t i = 0; i < whole; i += LANES)                                                  \
            for (int l = 0; l < LANES; l++)                                                        \
                lanes[l] += y[i + (size_t)l];                                                      \
        for (int l = 0; l < LANES; l++)                                                            \
            sum += lanes[l];                                                                       \
        for (size_t i = whole; i < n; i++)                                                         \
            sum += y[i];                                                                           \
        if (kind == SOFTMAX) {                                                                     \
            T scale = 1 / sum;                                                                     \
            for (size_t i = 0; i < n; i++)                                                         \
                y[i] *= scale;                                                                     \
        } else {                                                                                   \
            T log_sum = LOG(sum);                                                                  \
            for (size_t i = 0; i < n; i++)                                                         \
                y[i] = x[i] - max - log_sum;                                                       \
        }                                                                                          \
    }

/* Up to COLUMNS columns of n elements that stand `inner` apart. */
#define COLUMNS_FN(T)                                                                              \
    OX_CLONES static void columns_##T(const T *x, T *y, size_t n, size_t inner, size_t width,      \
                                      enum kind kind) {                                            \
        T max[COLUMNS], sum[COLUMNS];                                                              \
        for (size_t c = 0; c < width; c++) {                                                       \
            max[c] = x[c];                                                                         \
            sum[c] = 0;                                                                            \
        }                                                                                          \
        for (size_t i = 1; i < n; i++)                                                             \
            for (size_t c = 0; c < width; c++)                                                     \
                max[c] = x[i * inner + c] > max[c] ? x[i * inner + c] : max[c];                    \
        if (kind == HARDMAX) {                                                                     \
            for (size_t i = 0; i < n; i++)                                                         \
                for (size_t c = 0; c < width; c++) {                                               \
                    y[i * inner + c] = sum[c] == 0 && x[i * inner + c] == max[c];                  \
                    sum[c] += y[i * inner + c];                                                    \
                }                                                                                  \
            return;                                                                                \
        }                                                                                          \
        for (size_t i = 0; i < n; i++)                                                             \
            for (size_t c = 0; c < width; c++) {                                                   \
                y[i * inner + c] = EXP(x[i * inner + c] - max[c]);                                 \
                sum[c] += y[i * inner + c];                                                        \
            }                                                                                      \
        for (size_t c = 0; c < width; c++)                                                         \
            sum[c] = kind == SOFTMAX ? 1 / sum[c] : LOG(sum[c]);                                   \
        for (size_t i = 0; i < n; i++)                                                             \
            for (size_t c = 0; c < width; c++) {                                                   \
                size_t at = i * inner + c;                                                         \
                y[at] = kind == SOFTMAX ? y[at] * sum[c] : x[at] - max[c] - sum[c];                \
            }                                                                                      \
    }

#define RANGE_FN(T, kind_name, kind)                                                               \
    static void range_##T##_##kind_name(void *arg, size_t begin, size_t end) {                     \
        const struct job *j = arg;                                                                 \
        for (size_t i = begin; i < end; i++) {                                                     \
            size_t first = i % j->blocks * COLUMNS;                                                \
            size_t at = i / j->blocks * j->n * j->inner + first;                                   \
            size_t width = j->inner - first < COLUMNS ? j->inner - first : COLUMNS;                \
            if (j->inner == 1)                                                                     \
                row_##T((const T *)j->x + at, (T *)j->y + at, j->n, kind);                         \
            else                                                                                   \
                columns_##T((const T *)j->x + at, (T *)j->y + at, j->n, j->inner, width, kind);    \
        }                                                                                          \
    }
#define FUNCTIONS(T)                                                                               \
    ROW_FN(T)                                                                                      \
    COLUMNS_FN(T)                                                                                  \
    RANGE_FN(T, softmax, SOFTMAX)                                                                  \
    RANGE_FN(T, log_softmax, LOG_SOFTMAX)                                                          \
    RANGE_FN(T, hardmax, HARDMAX)
#define EXP exp_f32
#define LOG log_f32
FUNCTIONS(float)
#undef EXP
#undef LOG
#define EXP exp_f64
#define LOG log_f64
FUNCTIONS(double)
#undef EXP
#undef LOG

static ox_status run(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                     ox_tensor **out, ox_range_fn f32, ox_range_fn f64) {
    const struct ox_softmax_params *p = params;
    const ox_tensor *x = in[0];
    int axis;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    struct job j = {.x = x->data, .n = 1, .inner = 1};
    OX_TRY(ox_tensor_new_raw(&out[0], &j.y, call->ctx, x->dtype, x->rank, x->dims));
    if (x->count == 0) return OX_OK;
    for (int d = axis; d < x->rank; d++) {
        if (d == axis || p->flatten)
            j.n *= (size_t)x->dims[d];
        else
            j.inner *= (size_t)x->dims[d];
    }
    j.blocks = (j.inner + COLUMNS - 1) / COLUMNS;
    size_t items = x->count / (j.n * j.inner) * j.blocks;
    size_t each = j.n * (j.inner < COLUMNS ? j.inner : COLUMNS);
    ox_parallel(call->ctx, items, 1 + 10000 / each, x->dtype == OX_FLOAT ? f32 : f64, &j);
    return OX_OK;
}

#define EVAL_FN(name)                                                                              \
    ox_status ox_eval_##name(const struct ox_call *call, const void *params,                       \
                             const ox_tensor *const *in, ox_tensor **out) {                        \
        if (ox_is_narrow(in[0]->dtype))                                                            \
            return ox_eval_wide(ox_eval_##name, call, params, in, out, 1);                         \
        return run(call, params, in, out, range_float_##name, range_double_##name);                \
    }
EVAL_FN(softmax)
EVAL_FN(log_softmax)
EVAL_FN(hardmax)
