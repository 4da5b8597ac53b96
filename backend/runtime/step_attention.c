/* backend/runtime/step_attention.c - softmax(scale * Q K^T + mask) V; the work is that of
 * ir/ops/attention.h. */
#include "backend/runtime/step.h"
#include "ir/ops/attention.h"

#include <math.h>

#define bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)
#define bad_type(env, shape)                                                                       \
    ox_fail((env)->ctx, OX_INVALID, "wrong-type", NULL, "attention of %s",                         \
            ox_dtype_name((shape)->dtype))

struct attention {
    const struct ox_step_attention_params *p;
    struct ox_attention a;
    bool empty, masked;
};

/* Extents and strides of an operand. */
struct part {
    int64_t batch, heads, rows, size;
    struct ox_attention_at at;
};

static ox_status attention_create(void **state, const struct oxr_env *env,
                                  const struct ox_step *step) {
    struct attention *a;
    OX_TRY(ox_alloc(env->ctx, &a, 1, sizeof *a));
    a->p = step->params;
    a->masked = step->n_in > 3 && step->present[3];
    *state = a;
    return OX_OK;
}

static void attention_destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

/* Of three dims, the first are heads of one batch item. */
static struct part part_of(const struct oxr_shape *s, bool rows_first) {
    struct part p = {.batch = s->rank == 4 ? s->dims[0] : 1, .size = s->dims[s->rank - 1]};
    const int first = s->rank - 3;
    p.heads = s->dims[rows_first ? first + 1 : first];
    p.rows = s->dims[rows_first ? first : first + 1];
    p.at.batch = (size_t)(p.heads * p.rows * p.size);
    p.at.head = (size_t)(rows_first ? p.size : p.rows * p.size);
    p.at.row = (size_t)(rows_first ? p.heads * p.size : p.size);
    return p;
}

/* Strides of the mask under the scores, whose dims are `dims`. */
static ox_status place_mask(struct attention *a, const struct oxr_env *env,
                            const struct oxr_shape *mask, const int64_t *dims, int rank) {
    struct ox_attention_mask_at *at = &a->a.bias_at;
    size_t *const strides[4] = {&at->batch, &at->head, &at->row, &at->col}, *const *to = strides +
                                                                                         (4 - rank);
    size_t step = 1;
    *at = (struct ox_attention_mask_at){.cols = (size_t)dims[rank - 1]};
    if (mask->dtype != OX_FLOAT) return bad_type(env, mask);
    if (mask->rank > rank) return bad_shape(env, "mask of rank %d", mask->rank);
    for (int i = rank - 1; i >= rank - mask->rank; i--) {
        const int64_t d = mask->dims[i - (rank - mask->rank)];
        if (d != 1 && d != dims[i])
            return bad_shape(env, "mask of %lld for %lld", (long long)d, (long long)dims[i]);
        *to[i] = d == 1 ? 0 : step;
        step *= (size_t)d;
    }
    return OX_OK;
}

static ox_status attention_reshape(void *state, const struct oxr_env *env,
                                   const struct oxr_shape *in, struct oxr_shape *out,
                                   size_t *workspace) {
    struct attention *a = state;
    const int rank = in->rank;
    const uint32_t first = a->p->rows_first;
    struct part part[3];
    (void)workspace;
    for (int i = 0; i < 3; i++) {
        if (in[i].dtype != OX_FLOAT) return bad_type(env, &in[i]);
        if ((rank != 3 && rank != 4) || in[i].rank != rank)
            return bad_shape(env, "attention of ranks %d and %d", rank, in[i].rank);
        part[i] = part_of(&in[i], first >> i & 1);
        if (part[i].batch != part[0].batch || part[i].heads != part[0].heads)
            return bad_shape(env, "attention of %lld and %lld heads", (long long)part[0].heads,
                             (long long)part[i].heads);
    }
    if (part[0].size != part[1].size || part[1].rows != part[2].rows)
        return bad_shape(env, "attention of %lld keys and %lld values", (long long)part[1].rows,
                         (long long)part[2].rows);
    *out = (struct oxr_shape){.dtype = OX_FLOAT, .rank = rank};
    const bool result_first = first & OX_STEP_ATTENTION_RESULT;
    out->dims[0] = part[0].batch;
    out->dims[rank - 3] = result_first ? part[0].rows : part[0].heads;
    out->dims[rank - 2] = result_first ? part[0].heads : part[0].rows;
    out->dims[rank - 1] = part[2].size;
    size_t total, scores;
    const int64_t dims[4] = {part[0].batch, part[0].heads, part[0].rows, part[1].rows};
    if (ox_shape_size(&total, NULL, OX_FLOAT, rank, out->dims) ||
        ox_shape_size(&scores, NULL, OX_FLOAT, 4, dims))
        return bad_shape(env, "too many elements");
    a->empty = total == 0;
    a->a = (struct ox_attention){.dtype = OX_FLOAT,
                                 .batch = (size_t)dims[0],
                                 .heads = (size_t)dims[1],
                                 .kv_heads = (size_t)dims[1],
                                 .q_len = (size_t)dims[2],
                                 .kv_len = (size_t)dims[3],
                                 .qk_size = (size_t)part[0].size,
                                 .v_size = (size_t)part[2].size,
                                 .q_at = part[0].at,
                                 .k_at = part[1].at,
                                 .v_at = part[2].at,
                                 .y_at = part_of(out, result_first).at,
                                 .scale = (double)a->p->scale,
                                 .left = -1,
                                 .right = -1};
    return a->masked ? place_mask(a, env, &in[3], rank == 4 ? dims : dims + 1, rank) : OX_OK;
}

/* Softmax of nothing but minus infinity is no number; the engine says 0. */
static void mark_hidden(const struct ox_attention *a, float *y) {
    const float *mask = a->bias;
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++)
            for (size_t i = 0; i < a->q_len; i++) {
                const float *row =
                    mask + b * a->bias_at.batch + h * a->bias_at.head + i * a->bias_at.row;
                size_t j = 0;
                while (j < a->kv_len && row[j * a->bias_at.col] == -INFINITY)
                    j++;
                for (size_t d = 0; j == a->kv_len && d < a->v_size; d++)
                    y[b * a->y_at.batch + h * a->y_at.head + i * a->y_at.row + d] = NAN;
            }
}

static ox_status attention_run(void *state, const struct oxr_env *env, const void *const *in,
                               void *const *out, void *workspace) {
    struct attention *a = state;
    (void)workspace;
    if (a->empty) return OX_OK;
    a->a.q = in[0];
    a->a.k = in[1];
    a->a.v = in[2];
    a->a.bias = a->masked ? in[3] : NULL;
    a->a.y = out[0];
    OX_TRY(ox_attention(env->ctx, &a->a));
    if (a->a.bias && a->a.kv_len > 0) mark_hidden(&a->a, out[0]);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_attention = {attention_create, attention_reshape, attention_run,
                                                attention_destroy, 0};
