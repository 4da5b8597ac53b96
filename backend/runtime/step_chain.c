/* backend/runtime/step_chain.c - several elementwise operators in one pass over memory.
 *
 * The result is cut into tiles that stay in the first-level cache; each operator's own loop
 * (ir/ops) runs over one tile after the other, or that of math32.h where it is faster. Operands
 * that are broadcast are spelled out tile by tile. */
#include "backend/runtime/math32.h"
#include "backend/runtime/step.h"

enum { TILE = 512, GRAIN = 8192 };

#define bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)
#define bad_type(env, shape)                                                                       \
    ox_fail((env)->ctx, OX_INVALID, "wrong-type", NULL, "elementwise operator of %s",              \
            ox_dtype_name((shape)->dtype))

/* How an operand lies under the result, whose dims are those of the chain with neighbours merged.
 */
struct lie {
    enum { WHOLE, NUMBER, SPREAD } kind;
    size_t strides[OX_STEP_RANK_MAX]; /* SPREAD: elements; 0 where it is broadcast */
};

struct chain {
    const struct ox_step_chain_params *p;
    size_t n_in, count;
    struct ox_unary_params unary[OX_STEP_CHAIN_OPS];
    ox_loop_fn loops[OX_STEP_CHAIN_OPS];
    bool two[OX_STEP_CHAIN_OPS];
    int rank; /* of what follows */
    size_t dims[OX_STEP_RANK_MAX];
    struct lie in[OX_STEP_CHAIN_INPUTS];
};

static ox_loop_fn unary_loop(enum ox_unary_op op) {
    const ox_loop_fn fast = oxr_math32_loop(ox_isa_pick(OX_ISA_BEST), op);
    return fast ? fast : ox_unary_kinds[op].f32;
}

static void find_loop(ox_loop_fn *loop, bool *two, unsigned op) {
    *two = op >= 64;
    switch (op) {
#define X(number, name)                                                                            \
    case number:                                                                                   \
        *loop = unary_loop(OX_UN_##name);                                                          \
        break;
        OX_STEP_CHAIN_UNARY(X)
#undef X
#define X(number, name)                                                                            \
    case number:                                                                                   \
        *loop = ox_binary_kinds[OX_BI_##name].f32;                                                 \
        break;
        OX_STEP_CHAIN_BINARY(X)
#undef X
#define X(number, name)                                                                            \
    case number:                                                                                   \
        *loop = ox_variadic_kinds[OX_VA_##name].f32;                                               \
        break;
        OX_STEP_CHAIN_VARIADIC(X)
#undef X
    default:
        break; /* proved otherwise */
    }
}

static ox_status chain_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    struct chain *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->p = step->params;
    c->n_in = step->n_in;
    for (uint32_t i = 0; i < c->p->n_ops; i++) {
        const struct ox_step_chain_op *o = &c->p->ops[i];
        find_loop(&c->loops[i], &c->two[i], o->op);
        c->unary[i] = (struct ox_unary_params){.alpha = o->alpha, .beta = o->beta, .mode = o->mode};
    }
    return OX_OK;
}

static void chain_destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

static int64_t dim_at(const struct oxr_shape *s, int rank, int i) {
    return i < rank - s->rank ? 1 : s->dims[i - (rank - s->rank)];
}

/* Neighbouring dims of the result become one where every operand goes through both as through one.
 */
static void merge(struct chain *c, const struct oxr_shape *in, const struct oxr_shape *out) {
    c->rank = 0;
    for (int i = out->rank - 1; i >= 0; i--) { /* innermost first; turned around in the end */
        bool joins = c->rank > 0;
        if (out->dims[i] == 1) continue;
        for (size_t k = 0; k < c->n_in && joins; k++)
            joins = (dim_at(&in[k], out->rank, i) == 1) == (c->in[k].strides[c->rank - 1] == 0);
        if (joins) {
            c->dims[c->rank - 1] *= (size_t)out->dims[i];
            continue;
        }
        for (size_t k = 0; k < c->n_in; k++) {
            size_t below = 1;
            for (int d = i + 1; d < out->rank; d++)
                below *= (size_t)dim_at(&in[k], out->rank, d);
            c->in[k].strides[c->rank] = dim_at(&in[k], out->rank, i) == 1 ? 0 : below;
        }
        c->dims[c->rank++] = (size_t)out->dims[i];
    }
    for (int i = 0, j = c->rank - 1; i < j; i++, j--) {
        const size_t dim = c->dims[i];
        c->dims[i] = c->dims[j];
        c->dims[j] = dim;
        for (size_t k = 0; k < c->n_in; k++) {
            const size_t stride = c->in[k].strides[i];
            c->in[k].strides[i] = c->in[k].strides[j];
            c->in[k].strides[j] = stride;
        }
    }
}

static ox_status chain_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                               struct oxr_shape *out, size_t *workspace) {
    struct chain *c = state;
    (void)workspace;
    *out = (struct oxr_shape){.dtype = OX_FLOAT};
    for (size_t k = 0; k < c->n_in; k++) {
        if (in[k].dtype != OX_FLOAT) return bad_type(env, &in[k]);
        if (in[k].rank > out->rank) out->rank = in[k].rank;
    }
    for (int i = 0; i < out->rank; i++) {
        out->dims[i] = 1;
        for (size_t k = 0; k < c->n_in; k++) {
            const int64_t d = dim_at(&in[k], out->rank, i);
            if (d != 1 && out->dims[i] != 1 && d != out->dims[i])
                return bad_shape(env, "dims %lld and %lld do not broadcast",
                                 (long long)out->dims[i], (long long)d);
            if (d != 1) out->dims[i] = d;
        }
    }
    if (ox_shape_size(&c->count, NULL, OX_FLOAT, out->rank, out->dims))
        return bad_shape(env, "too many elements");
    if (c->count == 0) return OX_OK;
    merge(c, in, out);
    for (size_t k = 0; k < c->n_in; k++) {
        bool whole = true, number = true;
        for (int i = 0; i < c->rank; i++) {
            whole = whole && c->in[k].strides[i] != 0;
            number = number && c->in[k].strides[i] == 0;
        }
        c->in[k].kind = number ? NUMBER : whole ? WHOLE : SPREAD;
    }
    return OX_OK;
}

/* Elements [at, at + n) of the result as operand k has them. */
static void spread(float *to, const struct chain *c, size_t k, const float *from, size_t at,
                   size_t n) {
    const size_t *strides = c->in[k].strides, inner = c->dims[c->rank - 1];
    while (n > 0) {
        size_t rest = at / inner, place = at % inner, run = inner - place < n ? inner - place : n,
               offset = place * strides[c->rank - 1];
        for (int i = c->rank - 2; i >= 0; i--) {
            offset += rest % c->dims[i] * strides[i];
            rest /= c->dims[i];
        }
        if (strides[c->rank - 1] != 0) {
            memcpy(to, from + offset, run * sizeof *to);
        } else {
            for (size_t i = 0; i < run; i++)
                to[i] = from[offset];
        }
        to += run;
        at += run;
        n -= run;
    }
}

struct chain_job {
    const struct chain *c;
    const void *const *in;
    float *out;
};

static void run_tile(const struct chain_job *j, size_t at, size_t n) {
    OX_UNINITIALIZED float results[OX_STEP_CHAIN_OPS][TILE], spreads[OX_STEP_CHAIN_INPUTS][TILE];
    const struct chain *c = j->c;
    const float *operand[OX_STEP_CHAIN_RESULT + OX_STEP_CHAIN_OPS];
    bool single[OX_STEP_CHAIN_RESULT + OX_STEP_CHAIN_OPS] = {false};
    for (size_t k = 0; k < c->n_in; k++) {
        operand[k] = j->in[k];
        single[k] = c->in[k].kind == NUMBER;
        if (c->in[k].kind == WHOLE) operand[k] += at;
        if (c->in[k].kind != SPREAD) continue;
        spread(spreads[k], c, k, operand[k], at, n);
        operand[k] = spreads[k];
    }
    for (uint32_t i = 0; i < c->p->n_numbers; i++) {
        operand[OX_STEP_CHAIN_NUMBER + i] = &c->p->numbers[i];
        single[OX_STEP_CHAIN_NUMBER + i] = true;
    }
    for (uint32_t i = 0; i < c->p->n_ops; i++) {
        const struct ox_step_chain_op *o = &c->p->ops[i];
        const void *in[2] = {operand[o->a], c->two[i] ? operand[o->b] : NULL};
        const bool a = single[o->a], b = c->two[i] && single[o->b], one = a && (b || !c->two[i]);
        const bool last = i + 1 == c->p->n_ops,
                   over = last && (in[0] == j->out + at || in[1] == j->out + at);
        float *to = last && !over && !one ? j->out + at
                                          : results[i]; /* in place, loops are not vectorized */
        c->loops[i](to, in, one ? 0 : (a ? 1u : 0u) | (b ? 2u : 0u), one ? 1 : n,
                    c->two[i] ? NULL : (const void *)&c->unary[i]);
        operand[OX_STEP_CHAIN_RESULT + i] = to;
        single[OX_STEP_CHAIN_RESULT + i] = one;
        if (last && one)
            for (size_t x = 0; x < n; x++)
                j->out[at + x] = *to;
        else if (over)
            memcpy(j->out + at, to, n * sizeof *to);
    }
}

static void run_range(void *arg, size_t begin, size_t end) {
    const struct chain_job *j = arg;
    for (size_t at = begin; at < end; at += TILE)
        run_tile(j, at, end - at < TILE ? end - at : TILE);
}

static ox_status chain_run(void *state, const struct oxr_env *env, const void *const *in,
                           void *const *out, void *workspace) {
    const struct chain *c = state;
    struct chain_job job = {c, in, out[0]};
    (void)workspace;
    if (c->count > 0) ox_parallel(env->ctx, c->count, GRAIN, run_range, &job);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_chain = {chain_create, chain_reshape, chain_run, chain_destroy,
                                            1};
