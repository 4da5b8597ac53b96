/* tests/unit/test_memory_plan.c - places from random traces: blocks that live at the same time
 * never meet, and the whole is not much larger than what lives at a time. */
#include "backend/runtime/memory_plan.h"

#include <check.h>
#include <stdlib.h>

enum { BLOCKS = 400 };

static ox_ctx *ctx;
static uint32_t state;

static void setup(void) {
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    state = 1;
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static uint32_t pick(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static void expect(const struct oxr_trace *t, size_t bytes, const size_t *offsets, size_t most,
                   double slack) {
    size_t begin[BLOCKS], end[BLOCKS], met = 0;
    for (size_t i = 0; i < t->n_blocks; i++)
        end[i] = t->n_events;
    for (size_t i = 0; i < t->n_events; i++) {
        const uint32_t k = t->events[i] & ~(uint32_t)OXR_PLAN_RELEASE;
        *(t->events[i] & OXR_PLAN_RELEASE ? &end[k] : &begin[k]) = i;
    }
    for (size_t i = 0; i < t->n_blocks; i++) {
        ck_assert_uint_le(offsets[i] + t->sizes[i], bytes);
        for (size_t k = 0; k < i; k++)
            met += end[i] > begin[k] && end[k] > begin[i] &&
                   offsets[i] + t->sizes[i] > offsets[k] && offsets[k] + t->sizes[k] > offsets[i];
    }
    ck_assert_uint_eq(met, 0);
    ck_assert_uint_ge(bytes, most);
    ck_assert_msg((double)bytes <= slack * (double)most, "%zu bytes, %zu at a time", bytes, most);
}

static void try_trace(uint32_t alive, double slack) {
    struct oxr_trace t = {0};
    uint32_t live[BLOCKS];
    size_t n = 0, used = 0, most = 0, bytes, offsets[BLOCKS];
    while (t.n_blocks < BLOCKS) {
        if (n && (n >= alive || pick(3) == 0)) {
            const size_t k = pick((uint32_t)n);
            oxr_trace_release(&t, ctx, live[k]);
            used -= t.sizes[live[k]];
            live[k] = live[--n];
        } else {
            const size_t size = 64 * (1 + (size_t)pick(64) * pick(64));
            live[n++] = oxr_trace_request(&t, ctx, size);
            used += size;
            if (used > most) most = used;
        }
    }
    ck_assert(!t.lost);
    ck_assert_int_eq(oxr_plan_place(offsets, &bytes, &t, ctx), OX_OK);
    expect(&t, bytes, offsets, most, slack);
    oxr_trace_end(&t, ctx);
}

START_TEST(blocks_do_not_meet) {
    for (int i = 0; i < 20; i++) {
        try_trace(1, 1.0);
        try_trace(3, 1.25);
        try_trace(30, 1.3);
    }
}
END_TEST

START_TEST(a_chain_takes_two) {
    struct oxr_trace t = {0};
    size_t bytes, offsets[10];
    for (uint32_t i = 0; i < 10; i++) {
        ck_assert_uint_eq(oxr_trace_request(&t, ctx, 640), i);
        if (i) oxr_trace_release(&t, ctx, i - 1);
    }
    ck_assert_int_eq(oxr_plan_place(offsets, &bytes, &t, ctx), OX_OK);
    expect(&t, bytes, offsets, 1280, 1.0);
    oxr_trace_end(&t, ctx);
}
END_TEST

START_TEST(too_many_blocks_are_not_planned) {
    struct oxr_trace t = {0};
    for (uint32_t i = 0; i <= OXR_PLAN_BLOCKS; i++)
        (void)oxr_trace_request(&t, ctx, 64);
    ck_assert(t.lost);
    oxr_trace_end(&t, ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("memory plan");
    TCase *t = tcase_create("plan");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, blocks_do_not_meet);
    tcase_add_test(t, a_chain_takes_two);
    tcase_add_test(t, too_many_blocks_are_not_planned);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
