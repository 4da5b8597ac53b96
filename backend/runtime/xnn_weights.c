/* backend/runtime/xnn_weights.c - packed weights of XNNPACK's operators, lent from shared.h through
 * its interface of a weights cache.
 *
 * XNNPACK's own keys (a sum of extents, pointers of weights and bias) do not tell all steps apart,
 * and on a hit it believes whatever size the block has. So blocks are known by step and part, and
 * an operator is created twice: the first time it is refused memory as soon as it has said how much
 * it needs, the second time it gets a block of exactly that size, or room to pack into. Depthwise
 * operators never look for a block, they pack into what they are given; what they packed is dropped
 * if the program has it already. */
#include "backend/runtime/xnn_common.h"
#include "ir/base/hash64.h"

#include <cpuinfo.h>
#include <stdio.h>

enum { ASKING, HAVING, PACKING };

static size_t look_up(void *context, const struct xnn_weights_cache_look_up_key *key) {
    struct oxr_xnn_weights *w = context;
    w->looked = true;
    w->key.layout = key->seed;
    return w->stage == HAVING ? (size_t)(uintptr_t)w->block : SIZE_MAX;
}

static void *reserve_space(void *context, size_t n) {
    struct oxr_xnn_weights *w = context;
    w->needed = n;
    w->room = w->stage == PACKING ? oxr_shared_reserve(w->shared, n) : NULL;
    return w->room;
}

/* `ptr` is NULL where the block had been found. */
static size_t look_up_or_insert(void *context, const struct xnn_weights_cache_look_up_key *key,
                                void *ptr, size_t size) {
    struct oxr_xnn_weights *w = context;
    (void)key;
    if (ptr && ptr == w->room) {
        w->block = oxr_shared_find(w->shared, &w->key, size);
        if (!w->block) {
            oxr_shared_keep(w->shared, &w->key, ptr, size, w->looked);
            w->block = ptr;
        }
        w->room = NULL;
    }
    return (size_t)(uintptr_t)w->block;
}

static bool is_finalized(void *context) {
    (void)context;
    return true;
}

static void *offset_to_addr(void *context, size_t offset) {
    (void)context;
    return (void *)(uintptr_t)offset;
}

static enum xnn_status delete_cache(void *context) {
    (void)context;
    return xnn_status_success;
}

ox_status oxr_xnn_create(xnn_operator_t *op, struct oxr_xnn_weights *w, const struct oxr_env *env,
                         size_t step, uint32_t part, oxr_xnn_create_fn fn, void *arg,
                         const char *what) {
    *w = (struct oxr_xnn_weights){
        .provider = {w, look_up, reserve_space, look_up_or_insert, is_finalized, offset_to_addr,
                     delete_cache},
        .shared = env->shared,
        .key = {step, part, 0}, /* the layout is XNNPACK's seed, where it tells */
        .stage = ASKING,
    };
    *op = NULL;
    oxr_shared_lock(w->shared);
    enum xnn_status status = fn(arg, &w->provider, op);
    if (status != xnn_status_success && w->needed) {
        w->block = w->looked ? oxr_shared_find(w->shared, &w->key, w->needed) : NULL;
        w->stage = w->block ? HAVING : PACKING;
        *op = NULL;
        status = fn(arg, &w->provider, op);
    }
    oxr_shared_unlock(w->shared);
    return oxr_xnn_try(env->ctx, status, what);
}

/* ---- classes of processors ---------------------------------------------------------------------
 */

void oxr_shared_class(char *out, size_t size) {
    struct ox_hash64 h;
    ox_hash64_init(&h);
    ox_hash64_add(&h, xnn_experimental_get_build_identifier_data(),
                  xnn_experimental_get_build_identifier_size());
    size_t n = (size_t)snprintf(out, size, "xnnpack-%08x", (unsigned)ox_hash64_end(&h));
#if CPUINFO_ARCH_X86_64
    if (!oxr_xnn_identify()) return;
    const struct {
        const char *name;
        bool has;
    } sets[] = {
        {"avx", cpuinfo_has_x86_avx()},
        {"f16c", cpuinfo_has_x86_f16c()},
        {"fma3", cpuinfo_has_x86_fma3()},
        {"avx2", cpuinfo_has_x86_avx2()},
        {"avxvnni", cpuinfo_has_x86_avxvnni()},
        {"avx512f", cpuinfo_has_x86_avx512f()},
        {"avx512bw",
         cpuinfo_has_x86_avx512bw() && cpuinfo_has_x86_avx512dq() && cpuinfo_has_x86_avx512vl()},
        {"avx512vbmi", cpuinfo_has_x86_avx512vbmi()},
        {"avx512vnni", cpuinfo_has_x86_avx512vnni()},
        {"avx512fp16", cpuinfo_has_x86_avx512fp16()},
        {"gfni", cpuinfo_has_x86_gfni()},
        {"amx-int8", cpuinfo_has_x86_amx_int8()},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets && n < size; i++)
        if (sets[i].has) n += (size_t)snprintf(out + n, size - n, " %s", sets[i].name);
#else
    (void)n;
#endif
}
