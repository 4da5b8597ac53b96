/* backend/runtime/step_dense.c - products of floats with constant weights: our own (gemm32.h), or
 * XNNPACK's where the processor has no instruction set that ours is written for. Measured with
 * AVX-512 (bench_gemm32), ours has 0.97 to 1.03 times its speed, and 1.7 to 2.7 times where weights
 * do not fit in the second-level cache. */
#include "backend/runtime/gemm32_shared.h"
#include "backend/runtime/xnn_common.h"

struct dense {
    struct oxr_gemm32 g;
    bool adds;
    size_t rows;
    struct oxr_act32 act;
    void *peer; /* state of XNNPACK's kernel, where that is used */
};

static void dense_destroy(void *state, const struct oxr_env *env) {
    struct dense *d = state;
    if (!d) return;
    oxr_xnn_dense.destroy(d->peer, env);
    ox_free(env->ctx, d);
}

static ox_status dense_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    const struct ox_step_dense_params *p = step->params;
    const size_t n = (size_t)step->consts[1]->dims[0], k = (size_t)step->consts[1]->dims[1];
    const enum ox_isa isa = ox_isa_pick(OX_ISA_BEST);
    struct dense *d;
    OX_TRY(ox_alloc(env->ctx, &d, 1, sizeof *d));
    *state = d;
    d->act = oxr_act32(p->act);
    d->g.n = n;
    if (isa == OX_ISA_PLAIN) return oxr_xnn_dense.create(&d->peer, env, step);
    const float *packed;
    OX_TRY(oxr_gemm32_shared(&packed, env, step->number, isa, k, n, step->consts[1]->data));
    d->g = (struct oxr_gemm32){
        isa,    1,       k,
        n,      packed,  step->n_in > 2 && step->consts[2] ? step->consts[2]->data : NULL,
        p->low, p->high, d->act.loop ? &d->act : NULL,
        false};
    d->adds = step->n_in > 3 && step->present[3];
    return OX_OK;
}

static ox_status dense_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                               struct oxr_shape *out, size_t *workspace) {
    struct dense *d = state;
    const int last = in->rank - 1;
    size_t total;
    if (d->peer) {
        OX_TRY(oxr_xnn_dense.reshape(d->peer, env, in, out, workspace));
        return oxr_count(&d->rows, in, 0, last) ? OX_OK : oxr_bad_shape(env, "too many elements");
    }
    if (in->dtype != OX_FLOAT) return oxr_bad_type(env, in, "product");
    if (in->rank < 1 || in->dims[last] != (int64_t)d->g.k)
        return oxr_bad_shape(env, "product of rank %d, weights for %zu", in->rank, d->g.k);
    *out = *in;
    out->dims[last] = (int64_t)d->g.n;
    if (!oxr_count(&d->rows, in, 0, last) || ox_mul_size(&total, d->rows, d->g.n))
        return oxr_bad_shape(env, "too many elements");
    return d->adds ? oxr_like(env, &in[3], out, "what is added to a product") : OX_OK;
}

static ox_status dense_run(void *state, const struct oxr_env *env, const void *const *in,
                           void *const *out, void *workspace) {
    struct dense *d = state;
    if (d->peer) {
        OX_TRY(oxr_xnn_dense.run(d->peer, env, in, out, workspace));
        if (d->act.loop && d->rows) oxr_act32_run(&d->act, out[0], d->rows * d->g.n);
        return OX_OK;
    }
    const struct oxr_gemm32_rows r = {.a = in[0],
                                      .a_stride = d->g.k,
                                      .c = out[0],
                                      .c_stride = d->g.n,
                                      .add = d->adds ? in[3] : NULL,
                                      .add_stride = d->g.n,
                                      .m = d->rows};
    if (d->rows) oxr_gemm32_run_all(&d->g, &r, env->pool);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_dense = {dense_create, dense_reshape, dense_run, dense_destroy,
                                            4};
