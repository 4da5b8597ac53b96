/* backend/runtime/step_matmul.c - products of two activations, or of one with weights that stay as
 * they are, over the last two dims.
 *
 * Neither operand is copied as a whole. A few rows times an operand that is stored by columns are
 * dot products (the last layer of a language model, whose weights are its table of embeddings);
 * everything else is ox_gemm's, which packs what it needs piece by piece. */
#include "backend/runtime/dots32.h"
#include "backend/runtime/step.h"
#include "ir/ops/kernel_gemm.h"

enum { DOT_ROWS = 16, DOT_INNER = 32, DOT_WORK = 1 << 16 };
enum {
    WIDE_ROWS = 96,
    WIDE_INNER = 256,
    WIDE_COLUMNS = 1024
}; /* packing so wide an operand does not pay for so few rows */

#define bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)
#define bad_type(env, shape)                                                                       \
    ox_fail((env)->ctx, OX_INVALID, "wrong-type", NULL, "product of %s",                           \
            ox_dtype_name((shape)->dtype))

struct matmul {
    bool transposed;
    size_t m, n, k, batch, total;
    size_t *at; /* of each item of the batch, three times: A, B, C */
};

static void matmul_destroy(void *state, const struct oxr_env *env) {
    struct matmul *m = state;
    if (!m) return;
    ox_free(env->ctx, m->at);
    ox_free(env->ctx, m);
}

static ox_status matmul_create(void **state, const struct oxr_env *env,
                               const struct ox_step *step) {
    const struct ox_step_matmul_params *p = step->params;
    struct matmul *m;
    OX_TRY(ox_alloc(env->ctx, &m, 1, sizeof *m));
    *state = m;
    m->transposed = p->transposed_b;
    return OX_OK;
}

/* Dim i of `rank` as an operand of fewer dims sees it. */
static int64_t dim_at(const struct oxr_shape *s, int rank, int i) {
    return i < rank - s->rank ? 1 : s->dims[i - (rank - s->rank)];
}

/* Where each item's operands begin. Offsets are below the operands' counts. */
static ox_status place_batch(struct matmul *m, const struct oxr_env *env, const struct oxr_shape *a,
                             const struct oxr_shape *b, const struct oxr_shape *out) {
    const int batch = out->rank - 2;
    ox_free(env->ctx, m->at);
    m->at = NULL;
    OX_TRY(ox_alloc(env->ctx, &m->at, m->batch, 3 * sizeof *m->at));
    for (size_t item = 0; item < m->batch; item++) {
        size_t rest = item, step_a = m->m * m->k, step_b = m->n * m->k;
        for (int i = batch - 1; i >= 0; i--) {
            const size_t x = (size_t)dim_at(a, out->rank, i), y = (size_t)dim_at(b, out->rank, i),
                         d = (size_t)out->dims[i], at = rest % d;
            if (x != 1) m->at[item] += at * step_a;
            if (y != 1) m->at[m->batch + item] += at * step_b;
            step_a *= x;
            step_b *= y;
            rest /= d;
        }
        m->at[2 * m->batch + item] = item * m->m * m->n;
    }
    return OX_OK;
}

static ox_status matmul_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                                struct oxr_shape *out, size_t *workspace) {
    struct matmul *m = state;
    const struct oxr_shape *a = &in[0], *b = &in[1];
    (void)workspace;
    if (a->dtype != OX_FLOAT) return bad_type(env, a);
    if (b->dtype != OX_FLOAT) return bad_type(env, b);
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    if (a->rank < 2 || b->rank < 2)
        return bad_shape(env, "product of ranks %d and %d", a->rank, b->rank);
    *out = (struct oxr_shape){.dtype = OX_FLOAT, .rank = rank};
    bool shared = true; /* B is the same for all rows of A */
    for (int i = 0; i < rank - 2; i++) {
        const int64_t x = dim_at(a, rank, i), y = dim_at(b, rank, i);
        if (x != y && x != 1 && y != 1)
            return bad_shape(env, "product of batches %lld and %lld", (long long)x, (long long)y);
        out->dims[i] = x == 1 ? y : x;
        shared = shared && y == 1;
    }
    const int64_t rows = a->dims[a->rank - 2], k = a->dims[a->rank - 1];
    const int64_t inner = b->dims[b->rank - (m->transposed ? 1 : 2)],
                  columns = b->dims[b->rank - (m->transposed ? 2 : 1)];
    if (k != inner)
        return bad_shape(env, "product over %lld and %lld", (long long)k, (long long)inner);
    out->dims[rank - 2] = rows;
    out->dims[rank - 1] = columns;
    if (ox_shape_size(&m->total, NULL, OX_FLOAT, rank, out->dims))
        return bad_shape(env, "too many elements");
    m->m = (size_t)rows;
    m->n = (size_t)columns;
    m->k = (size_t)k;
    if (m->total == 0 || m->k == 0) return OX_OK;
    m->batch = m->total / m->m / m->n;
    if (shared) {
        m->m *= m->batch;
        m->batch = 1;
    }
    return place_batch(m, env, a, b, out);
}

static void dot_columns(void *arg, size_t begin, size_t end) {
    oxr_dots32(arg, begin, end);
}

static ox_status matmul_run(void *state, const struct oxr_env *env, const void *const *in,
                            void *const *out, void *workspace) {
    const struct matmul *m = state;
    (void)workspace;
    for (size_t i = 0; m->k == 0 && i < m->total; i++)
        ((float *)out[0])[i] = 0;
    if (m->total == 0 || m->k == 0) return OX_OK;
    const bool few = m->m <= DOT_ROWS && m->k >= DOT_INNER && m->n > 1,
               wide = m->m <= WIDE_ROWS && m->k >= WIDE_INNER && m->n >= WIDE_COLUMNS;
    if (m->transposed && (few || wide)) {
        for (size_t i = 0; i < m->batch; i++) {
            struct oxr_dots32 d = {.isa = ox_isa_pick(OX_ISA_BEST),
                                   .m = m->m,
                                   .k = m->k,
                                   .a_stride = m->k,
                                   .b_stride = m->k,
                                   .c_stride = m->n};
            d.a = (const float *)in[0] + m->at[i];
            d.b = (const float *)in[1] + m->at[m->batch + i];
            d.c = (float *)out[0] + m->at[2 * m->batch + i];
            ox_parallel(env->ctx, m->n, 1 + DOT_WORK / (m->k * m->m), dot_columns, &d);
        }
        return OX_OK;
    }
    const struct ox_gemm g = {.m = m->m,
                              .n = m->n,
                              .k = m->k,
                              .a = in[0],
                              .a_rs = m->k,
                              .a_cs = 1,
                              .b = in[1],
                              .b_rs = m->transposed ? 1 : m->n,
                              .b_cs = m->transposed ? m->k : 1,
                              .c = out[0],
                              .c_rs = m->n,
                              .batch = m->batch,
                              .a_at = m->at,
                              .b_at = m->at + m->batch,
                              .c_at = m->at + 2 * m->batch};
    return ox_gemm(env->ctx, &g);
}

const struct oxr_kernel oxr_kernel_matmul = {matmul_create, matmul_reshape, matmul_run,
                                             matmul_destroy, 0};
