/* backend/runtime/step_recurrent.c - LSTM and GRU: what X gives to the gates as one product for
 * many time steps, what h gives as one product a step on top of it, both with packed weights
 * (gemm32.h); then the functions of the gates, row by row.
 *
 * The results of one direction and time step are a function of the step before, so threads share
 * directions out where there are two, and else the products. Products do not depend on how they are
 * shared out, so results do not depend on threads. */
#include "backend/runtime/gemm32_shared.h"
#include "backend/runtime/math32.h"

#include <math.h>
#include <string.h>

#define bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)

enum {
    ROWS = 256,     /* of X W at a time, about: they are in a near cache when their turn comes */
    NEAR = 1 << 18, /* weights of R that stay in the second-level cache from one step to the next */
    SHARED_OUT =
        1 << 18, /* weights of R from which sharing a single step's product out is worth it */
    ALIGN = 16   /* floats */
};

/* How the parts of a step are numbered where weights are shared. */
enum part { PART_W, PART_R, PART_RESET, PARTS };

struct direction {
    struct oxr_gemm32 x, h, reset; /* reset: of GRU, R of the last gate, unless it is part of h */
    bool backwards;
};

struct recurrent {
    const struct ox_step_recurrent_params *p;
    enum ox_isa isa;
    size_t gates, inputs, hidden, n_in_states,
        n_out; /* n_in_states: operands from 4 on, the first h and c */
    struct direction d[2];
    ox_loop_fn sigmoid, tanh;
    /* of the shapes at hand */
    size_t steps, batch, chunk;              /* chunk: time steps at a time */
    size_t state, all, other, per_direction; /* floats of a workspace: of h or c; of a chunk's
                                                gates; of what GRU needs beside; of all */
};

static void run_loop(ox_loop_fn fn, float *to, const float *from, size_t n) {
    static const struct ox_unary_params params = {.alpha = 1};
    const void *const in[] = {from};
    fn(to, in, 0, n, &params);
}

/* ---- making ------------------------------------------------------------------------------------
 */

static ox_loop_fn best(enum ox_isa isa, enum ox_unary_op op) {
    const ox_loop_fn fast = oxr_math32_loop(isa, op);
    return fast ? fast : ox_unary_kinds[op].f32;
}

/* The product with `columns` columns of one weight's direction d, from column `first` on; `bias`
 * may be NULL. */
static ox_status product(struct oxr_gemm32 *g, const struct recurrent *r, const struct oxr_env *env,
                         const struct ox_step *step, size_t d, enum part part, size_t first,
                         size_t columns) {
    const ox_tensor *weight = step->consts[part == PART_W ? 1 : 2],
                    *bias = step->n_in > 3 ? step->consts[3] : NULL;
    const size_t k = (size_t)weight->dims[2], all = r->gates * r->hidden;
    const float *b = (const float *)weight->data + (d * all + first) * k, *packed;
    OX_TRY(
        oxr_gemm32_shared_part(&packed, env,
                               &(struct oxr_gemm32_part){step->number, (uint32_t)(d * PARTS + part),
                                                         r->isa, k, columns, b}));
    *g = (struct oxr_gemm32){.isa = r->isa,
                             .taps = 1,
                             .k = k,
                             .n = columns,
                             .b = packed,
                             .low = -INFINITY,
                             .high = INFINITY,
                             .near = part != PART_W && k <= NEAR / columns};
    if (bias) g->bias = (const float *)bias->data + (2 * d + (part != PART_W)) * all + first;
    return OX_OK;
}

static ox_status recurrent_create(void **state, const struct oxr_env *env,
                                  const struct ox_step *step) {
    struct recurrent *r;
    OX_TRY(ox_alloc(env->ctx, &r, 1, sizeof *r));
    *state = r;
    r->p = step->params;
    r->isa = ox_isa_pick(OX_ISA_BEST);
    r->gates = r->p->cell == OX_STEP_LSTM ? 4 : 3;
    r->inputs = (size_t)step->consts[1]->dims[2];
    r->hidden = (size_t)step->consts[2]->dims[2];
    r->n_in_states = step->n_in > 4 ? step->n_in - 4 : 0;
    r->n_out = step->n_out;
    r->sigmoid = best(r->isa, OX_UN_Sigmoid);
    r->tanh = best(r->isa, OX_UN_Tanh);
    const size_t all = r->gates * r->hidden,
                 last = r->p->cell == OX_STEP_GRU && !r->p->linear_reset ? r->hidden : 0;
    for (size_t d = 0; d < r->p->directions; d++) {
        r->d[d].backwards = d == 1 || r->p->backwards;
        OX_TRY(product(&r->d[d].x, r, env, step, d, PART_W, 0, all));
        OX_TRY(product(&r->d[d].h, r, env, step, d, PART_R, 0, all - last));
        if (last) OX_TRY(product(&r->d[d].reset, r, env, step, d, PART_RESET, all - last, last));
    }
    return OX_OK;
}

static void recurrent_destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

/* ---- shapes ------------------------------------------------------------------------------------
 */

static bool round_up(size_t *n) {
    const bool huge = ox_add_size(n, *n, ALIGN - 1);
    *n -= *n % ALIGN;
    return huge;
}

static ox_status plan_workspace(struct recurrent *r, const struct oxr_env *env, size_t *workspace) {
    bool huge = ox_mul_size(&r->state, r->batch, r->hidden);
    huge |= round_up(&r->state);
    r->chunk = r->batch ? (ROWS + r->batch - 1) / r->batch : 1;
    if (r->chunk > r->steps) r->chunk = r->steps;
    huge |= ox_mul_size(&r->all, r->batch, r->gates * r->hidden);
    huge |= ox_mul_size(&r->all, r->all, r->chunk);
    huge |= round_up(&r->all);
    r->other = 0;
    if (r->p->cell == OX_STEP_GRU) huge |= ox_mul_size(&r->other, r->batch, r->gates * r->hidden);
    huge |= round_up(&r->other);
    huge |= ox_mul_size(&r->per_direction, r->state, 2);
    huge |= ox_add_size(&r->per_direction, r->per_direction, r->all);
    huge |= ox_add_size(&r->per_direction, r->per_direction, r->other);
    huge |= ox_mul_size(workspace, r->per_direction, r->p->directions * sizeof(float));
    return huge ? bad_shape(env, "too many elements") : OX_OK;
}

static ox_status check_state(const struct oxr_env *env, const struct oxr_shape *given,
                             const struct oxr_shape *wanted) {
    if (given->dtype == OX_UNDEFINED) return OX_OK;
    if (given->dtype != OX_FLOAT)
        return ox_fail(env->ctx, OX_INVALID, "wrong-type", NULL, "state of %s",
                       ox_dtype_name(given->dtype));
    bool same = given->rank == wanted->rank;
    for (int i = 0; same && i < wanted->rank; i++)
        same = given->dims[i] == wanted->dims[i];
    return same
               ? OX_OK
               : bad_shape(env, "state of rank %d is not of the dims of the last one", given->rank);
}

static ox_status recurrent_reshape(void *state, const struct oxr_env *env,
                                   const struct oxr_shape *in, struct oxr_shape *out,
                                   size_t *workspace) {
    struct recurrent *r = state;
    const int64_t directions = r->p->directions, hidden = (int64_t)r->hidden;
    size_t total;
    if (in->dtype != OX_FLOAT)
        return ox_fail(env->ctx, OX_INVALID, "wrong-type", NULL, "sequence of %s",
                       ox_dtype_name(in->dtype));
    if (in->rank != 3 || in->dims[2] != (int64_t)r->inputs)
        return bad_shape(env, "sequence of rank %d, weights for %zu", in->rank, r->inputs);
    const struct oxr_shape y = {OX_FLOAT, 4, {in->dims[0], directions, in->dims[1], hidden}},
                           last = {OX_FLOAT, 3, {directions, in->dims[1], hidden}};
    if (ox_shape_size(&total, NULL, OX_FLOAT, 4, y.dims) ||
        ox_shape_size(&total, NULL, OX_FLOAT, 3, last.dims))
        return bad_shape(env, "too many elements");
    r->steps = (size_t)in->dims[0];
    r->batch = (size_t)in->dims[1];
    for (size_t i = 0; i < r->n_in_states; i++)
        OX_TRY(check_state(env, &in[4 + i], &last));
    for (size_t i = 0; i < r->n_out; i++)
        out[i] = i ? last : y;
    return plan_workspace(r, env, workspace);
}

/* ---- running -----------------------------------------------------------------------------------
 */

struct work {
    const struct recurrent *r;
    struct pthreadpool *pool; /* for products, or NULL */
    const float *x, *h0, *c0; /* h0, c0 may be NULL */
    float *y, *yh, *yc;       /* wanted results, or NULL */
    float *workspace;
};

/* One direction's part of a workspace. */
struct place {
    float *h, *c, *gates, *other;
};

static void multiply(const struct work *w, const struct oxr_gemm32 *g,
                     const struct oxr_gemm32_rows *rows) {
    if (w->pool && g->k * g->n >= SHARED_OUT)
        oxr_gemm32_run_all(g, rows, w->pool);
    else
        oxr_gemm32_run(g, rows);
}

/* What h gives is on top of `gates` already: i o f c. */
static void lstm_row(const struct recurrent *r, float *gates, float *restrict h,
                     float *restrict c) {
    const size_t n = r->hidden;
    const float *restrict in = gates, *restrict out = gates + n, *restrict forget = gates + 2 * n,
                          *restrict fresh = gates + 3 * n;
    run_loop(r->sigmoid, gates, gates, 3 * n);
    run_loop(r->tanh, gates + 3 * n, gates + 3 * n, n);
    for (size_t k = 0; k < n; k++)
        c[k] = forget[k] * c[k] + in[k] * fresh[k];
    run_loop(r->tanh, h, c, n);
    for (size_t k = 0; k < n; k++)
        h[k] *= out[k];
}

/* gates += h R, for rows of `all` gates. */
static void add_state(const struct work *w, const struct direction *d, const struct place *at,
                      float *gates, size_t all) {
    multiply(w, &d->h,
             &(struct oxr_gemm32_rows){.a = at->h,
                                       .a_stride = w->r->hidden,
                                       .c = gates,
                                       .c_stride = all,
                                       .add = gates,
                                       .add_stride = all,
                                       .m = w->r->batch});
}

static void lstm_step(const struct work *w, const struct direction *d, const struct place *at,
                      float *gates) {
    const struct recurrent *r = w->r;
    const size_t n = r->hidden, all = 4 * n;
    add_state(w, d, at, gates, all);
    for (size_t b = 0; b < r->batch; b++)
        lstm_row(r, gates + b * all, at->h + b * n, at->c + b * n);
}

/* h = (1 - z) * fresh + z * h, fresh through its function first. */
static void gru_mix(const struct recurrent *r, float *restrict h, const float *restrict z,
                    float *fresh) {
    run_loop(r->tanh, fresh, fresh, r->hidden);
    for (size_t k = 0; k < r->hidden; k++)
        h[k] = (1 - z[k]) * fresh[k] + z[k] * h[k];
}

/* Gates z r h; the last takes (r * h) R. */
static void gru_step(const struct work *w, const struct direction *d, const struct place *at,
                     float *gates) {
    const struct recurrent *r = w->r;
    const size_t n = r->hidden, all = 3 * n;
    add_state(w, d, at, gates, all);
    for (size_t b = 0; b < r->batch; b++) {
        const float *restrict reset = gates + b * all + n, *restrict h = at->h + b * n;
        float *restrict to = at->other + b * n;
        run_loop(r->sigmoid, gates + b * all, gates + b * all, 2 * n);
        for (size_t k = 0; k < n; k++)
            to[k] = reset[k] * h[k];
    }
    float *last = gates + 2 * n;
    multiply(w, &d->reset,
             &(struct oxr_gemm32_rows){.a = at->other,
                                       .a_stride = n,
                                       .c = last,
                                       .c_stride = all,
                                       .add = last,
                                       .add_stride = all,
                                       .m = r->batch});
    for (size_t b = 0; b < r->batch; b++)
        gru_mix(r, at->h + b * n, gates + b * all, last + b * all);
}

/* The last takes r * (h R). */
static void gru_linear_step(const struct work *w, const struct direction *d, const struct place *at,
                            float *gates) {
    const struct recurrent *r = w->r;
    const size_t n = r->hidden, all = 3 * n;
    multiply(w, &d->h,
             &(struct oxr_gemm32_rows){
                 .a = at->h, .a_stride = n, .c = at->other, .c_stride = all, .m = r->batch});
    for (size_t b = 0; b < r->batch; b++) {
        float *restrict row = gates + b * all;
        const float *restrict other = at->other + b * all;
        for (size_t k = 0; k < 2 * n; k++)
            row[k] += other[k];
        run_loop(r->sigmoid, row, row, 2 * n);
        for (size_t k = 0; k < n; k++)
            row[2 * n + k] += row[n + k] * other[2 * n + k];
        gru_mix(r, at->h + b * n, row, row + 2 * n);
    }
}

static void run_step(const struct work *w, const struct direction *d, const struct place *at,
                     float *gates) {
    if (w->r->p->cell == OX_STEP_LSTM)
        lstm_step(w, d, at, gates);
    else if (w->r->p->linear_reset)
        gru_linear_step(w, d, at, gates);
    else
        gru_step(w, d, at, gates);
}

static void start_state(float *to, const float *from, size_t n) {
    if (from)
        memcpy(to, from, n * sizeof *to);
    else
        memset(to, 0, n * sizeof *to);
}

static void run_direction(const struct work *w, size_t which) {
    const struct recurrent *r = w->r;
    const struct direction *d = &r->d[which];
    const size_t state = r->batch * r->hidden, row = r->gates * r->hidden;
    struct place at = {.h = w->workspace + which * r->per_direction};
    at.c = at.h + r->state;
    at.gates = at.c + r->state;
    at.other = at.gates + r->all;
    start_state(at.h, w->h0 ? w->h0 + which * state : NULL, state);
    start_state(at.c, w->c0 ? w->c0 + which * state : NULL, state);
    for (size_t done = 0, n; done < r->steps; done += n) {
        n = r->steps - done < r->chunk ? r->steps - done : r->chunk;
        const size_t first = d->backwards ? r->steps - done - n : done;
        const struct oxr_gemm32_rows rows = {.a = w->x + first * r->batch * r->inputs,
                                             .a_stride = r->inputs,
                                             .c = at.gates,
                                             .c_stride = row,
                                             .m = n * r->batch};
        if (w->pool)
            oxr_gemm32_run_all(&d->x, &rows, w->pool);
        else
            oxr_gemm32_run(&d->x, &rows);
        for (size_t i = 0; i < n; i++) {
            const size_t t = d->backwards ? n - 1 - i : i;
            run_step(w, d, &at, at.gates + t * r->batch * row);
            if (w->y)
                memcpy(w->y + ((first + t) * r->p->directions + which) * state, at.h,
                       state * sizeof *at.h);
        }
    }
    if (w->yh) memcpy(w->yh + which * state, at.h, state * sizeof *at.h);
    if (w->yc) memcpy(w->yc + which * state, at.c, state * sizeof *at.c);
}

static void run_directions(void *arg, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        run_direction(arg, i);
}

static ox_status recurrent_run(void *state, const struct oxr_env *env, const void *const *in,
                               void *const *out, void *workspace) {
    struct recurrent *r = state;
    struct work w = {.r = r, .x = in[0], .workspace = workspace, .y = out[0]};
    if (r->batch == 0) return OX_OK;
    if (r->n_in_states > 0) w.h0 = in[4];
    if (r->n_in_states > 1) w.c0 = in[5];
    if (r->n_out > 1) w.yh = out[1];
    if (r->n_out > 2) w.yc = out[2];
    if (r->p->directions == 2) {
        ox_parallel(env->ctx, 2, 1, run_directions, &w);
    } else {
        w.pool = env->pool;
        run_direction(&w, 0);
    }
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_recurrent = {recurrent_create, recurrent_reshape, recurrent_run,
                                                recurrent_destroy, 0};
