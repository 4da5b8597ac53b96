/* tests/unit/test_winograd.c - convolutions by Winograd's method against a direct sum in double
 * precision, with each set of instructions: shapes that do not fill tiles and vectors, the bounds
 * of the error, bits that do not depend on how work is cut. */
#include "backend/runtime/winograd.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

struct shape {
    size_t images, height, width, channels, outputs;
    size_t top, left, bottom, right;
};

static const enum ox_isa sets[] = {OX_ISA_PLAIN, OX_ISA_AVX2, OX_ISA_AVX512};
static const size_t tiles[] = {2, 4};

struct data {
    float *in, *filters, *bias, *add;
    size_t n_out;
};

static uint64_t state;

static double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 12) + 0.5) / 0x1p52;
}

/* Normally distributed. */
static float normal(void) {
    return (float)(sqrt(-2 * log(uniform())) * cos(2 * acos(-1) * uniform()));
}

static float *normals(size_t n) {
    float *x = malloc(n * sizeof *x + 1);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++)
        x[i] = normal();
    return x;
}

static size_t out_height(const struct shape *s) {
    return s->height + s->top + s->bottom - 2;
}

static size_t out_width(const struct shape *s) {
    return s->width + s->left + s->right - 2;
}

static void make(struct data *d, const struct shape *s) {
    state = 7;
    d->n_out = s->images * out_height(s) * out_width(s) * s->outputs;
    d->in = normals(s->images * s->height * s->width * s->channels);
    d->filters = normals(9 * s->channels * s->outputs);
    d->bias = normals(s->outputs);
    d->add = normals(d->n_out);
}

static void drop(struct data *d) {
    free(d->in);
    free(d->filters);
    free(d->bias);
    free(d->add);
}

/* Pixel of the padded data, NULL: padding. */
static const float *pixel(const struct shape *s, const struct data *d, size_t image, size_t y,
                          size_t x) {
    if (y < s->top || y - s->top >= s->height || x < s->left || x - s->left >= s->width)
        return NULL;
    return d->in + ((image * s->height + y - s->top) * s->width + x - s->left) * s->channels;
}

/* Sum of the products of output i, and *norm, the root of the sum of their squares. */
static double direct(double *norm, const struct shape *s, const struct data *d, size_t i) {
    const size_t o = i % s->outputs, p = i / s->outputs, x = p % out_width(s),
                 y = p / out_width(s) % out_height(s);
    double sum = 0, squares = 0;
    for (size_t tap = 0; tap < 9; tap++) {
        const float *from = pixel(s, d, p / out_width(s) / out_height(s), y + tap / 3, x + tap % 3);
        for (size_t c = 0; from && c < s->channels; c++) {
            double product = (double)from[c] * (double)d->filters[(o * 9 + tap) * s->channels + c];
            sum += product;
            squares += product * product;
        }
    }
    *norm = sqrt(squares);
    return sum;
}

static void run(float *out, ox_ctx *ctx, const struct shape *s, const struct data *d, size_t tile,
                enum ox_isa isa, size_t threads, bool add, float low, float high) {
    struct oxr_winograd w;
    ck_assert_int_eq(
        oxr_winograd_pack(&w, ctx, d->filters, d->bias, s->channels, s->outputs, tile, isa), OX_OK);
    struct oxr_winograd_job j = {.w = &w,
                                 .in = d->in,
                                 .add = add ? d->add : NULL,
                                 .out = out,
                                 .images = s->images,
                                 .height = s->height,
                                 .width = s->width,
                                 .out_height = out_height(s),
                                 .out_width = out_width(s),
                                 .top = s->top,
                                 .left = s->left,
                                 .low = low,
                                 .high = high};
    ck_assert(oxr_winograd_plan(&j, threads));
    float *workspace = aligned_alloc(64, j.scratch);
    ck_assert_ptr_nonnull(workspace);
    for (size_t i = j.blocks * j.parts; i-- > 0;) { /* any order will do */
        memset(workspace, 0xff, j.scratch);
        oxr_winograd_item(&j, i, workspace);
    }
    free(workspace);
    oxr_winograd_release(&w, ctx);
}

static const struct shape shapes[] = {
    {1, 12, 12, 32, 32, 1, 1, 1, 1},  {2, 7, 7, 17, 33, 1, 1, 1, 1},
    {1, 13, 9, 3, 5, 1, 1, 1, 1},     {1, 1, 1, 8, 16, 1, 1, 1, 1},
    {3, 1, 1, 1, 1, 1, 1, 1, 1},      {1, 3, 3, 20, 40, 0, 0, 0, 0},
    {1, 10, 6, 15, 31, 0, 2, 1, 0},   {2, 5, 11, 65, 18, 2, 0, 0, 2},
    {1, 2, 3, 4, 70, 5, 7, 6, 9}, /* tiles that are padding alone */
    {1, 35, 33, 130, 37, 1, 1, 1, 1},
};

START_TEST(computes_the_convolution) {
    const struct shape *s = &shapes[_i];
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    struct data d;
    make(&d, s);
    float *out = malloc(d.n_out * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (size_t set = 0; set < 3; set++)
        for (size_t t = 0; t < 2; t++)
            for (int add = 0; add < 2; add++) {
                if (ox_isa_pick(sets[set]) != sets[set]) continue;
                const float low = add ? -2 : -INFINITY, high = add ? 3 : INFINITY;
                memset(out, 0xff, d.n_out * sizeof *out); /* NaN: what nobody writes is found */
                run(out, ctx, s, &d, tiles[t], sets[set], 1, add, low, high);
                for (size_t i = 0; i < d.n_out; i++) {
                    double norm, want = direct(&norm, s, &d, i) + (double)d.bias[i % s->outputs] +
                                        (add ? (double)d.add[i] : 0);
                    want = fmin(fmax(want, (double)low), (double)high);
                    ck_assert_msg(fabs((double)out[i] - want) <= 2e-5 * (norm + 1),
                                  "set %zu, tile %zu, output %zu: %g instead of %g", set, tiles[t],
                                  i, (double)out[i], want);
                }
            }
    free(out);
    drop(&d);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}
END_TEST

/* However the work is cut, and with each set that has a fused multiply-add. */
START_TEST(gives_the_same_bits_for_any_number_of_threads) {
    const struct shape *s = &shapes[_i];
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    struct data d;
    make(&d, s);
    float *first = malloc(d.n_out * sizeof *first), *out = malloc(d.n_out * sizeof *out);
    ck_assert(first && out);
    for (size_t t = 0; t < 2; t++) {
        bool any = false;
        for (size_t set = 1; set < 3; set++)
            for (size_t threads = 1; threads <= 4; threads *= 2) {
                if (ox_isa_pick(sets[set]) != sets[set]) continue;
                memset(out, 0xff, d.n_out * sizeof *out);
                run(any ? out : first, ctx, s, &d, tiles[t], sets[set], threads, true, -INFINITY,
                    INFINITY);
                if (any) ck_assert_mem_eq(first, out, d.n_out * sizeof *out);
                any = true;
            }
    }
    free(first);
    free(out);
    drop(&d);
    ox_ctx_free(ctx);
}
END_TEST

/* The error of normally distributed data, in units of each output's norm; the bounds are those that
 * winograd.h gives. */
START_TEST(error_is_bounded) {
    static const struct shape big[] = {{1, 16, 16, 64, 64, 1, 1, 1, 1},
                                       {1, 16, 16, 512, 64, 1, 1, 1, 1}};
    const struct shape *s = &big[_i];
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    struct data d;
    make(&d, s);
    memset(d.bias, 0, s->outputs * sizeof *d.bias);
    float *out = malloc(d.n_out * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (size_t t = 0; t < 2; t++) {
        double worst = 0;
        run(out, ctx, s, &d, tiles[t], OX_ISA_BEST, 1, false, -INFINITY, INFINITY);
        for (size_t i = 0; i < d.n_out; i++) {
            double norm, off = (double)out[i] - direct(&norm, s, &d, i);
            worst = fmax(worst, fabs(off) / norm);
        }
        ck_assert_double_le(worst, (tiles[t] == 2 ? OXR_WINOGRAD_ERROR2 : OXR_WINOGRAD_ERROR4) *
                                       sqrt((double)s->channels));
    }
    free(out);
    drop(&d);
    ox_ctx_free(ctx);
}
END_TEST

/* A NaN reaches its tiles and nothing else; clamps let it pass. */
START_TEST(nan_stays_in_its_tiles) {
    const struct shape s = {1, 20, 20, 16, 32, 1, 1, 1, 1};
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    struct data d;
    make(&d, &s);
    d.in[(9 * 20 + 9) * 16 + 3] = NAN; /* rows 8 to 10 read it; so do tiles of rows 8 to 11 */
    float *out = malloc(d.n_out * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (size_t set = 0; set < 3; set++) {
        if (ox_isa_pick(sets[set]) != sets[set]) continue;
        run(out, ctx, &s, &d, 4, sets[set], 1, false, 0, 6);
        for (size_t i = 0; i < d.n_out; i++) {
            const size_t y = i / 32 / 20, x = i / 32 % 20;
            const bool reads = y >= 8 && y <= 10 && x >= 8 && x <= 10,
                       near = y >= 8 && y <= 11 && x >= 8 && x <= 11;
            if (reads) ck_assert(isnan(out[i]));
            if (!near) ck_assert(!isnan(out[i]));
        }
    }
    free(out);
    drop(&d);
    ox_ctx_free(ctx);
}
END_TEST

START_TEST(chooses_by_shape) {
    ck_assert_uint_eq(oxr_winograd_choose(64, 64, 1, 56, 56), 4);
    ck_assert_uint_eq(oxr_winograd_choose(512, 512, 1, 7, 7), 0);
    ck_assert_uint_eq(oxr_winograd_choose(512, 512, 8, 7, 7), 4);
    ck_assert_uint_eq(oxr_winograd_choose(3, 64, 1, 224, 224), 0);
    ck_assert_uint_eq(oxr_winograd_choose(256, 256, 1, 1, 1), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("winograd");
    TCase *c = tcase_create("winograd");
    tcase_add_loop_test(c, computes_the_convolution, 0, (int)(sizeof shapes / sizeof *shapes));
    tcase_add_loop_test(c, gives_the_same_bits_for_any_number_of_threads, 0,
                        (int)(sizeof shapes / sizeof *shapes));
    tcase_add_loop_test(c, error_is_bounded, 0, 2);
    tcase_add_test(c, nan_stays_in_its_tiles);
    tcase_add_test(c, chooses_by_shape);
    suite_add_tcase(suite, c);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
