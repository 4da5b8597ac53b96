/* tests/unit/test_packed.c - packed weights: once a program, from the file where they fit, by many
 * threads at once, shared by processes; and what a damaged or malicious section of them can do. */
#include "tests/unit/blob_harness.h"

#include "backend/blob/blob.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ways of packing: our own product and 3x3 filters, XNNPACK's grouped, depthwise and int8. @f12 is
 * twelve floats, @i12 twelve integers, @s12 twelve scales,
 * @z12 twelve zeros. */
static const char model_text[] =
    "<ir_version: 8, opset_import: [\"\" : 17]> "
    "m (float[1,8,12,12] x) => (float[1,24] y) "
    "<float[32,8,3,3] w1 = {@f2304}, float[32] b1 = {@f32}, float[32,1,3,3] w2 = {@f288}, "
    "float[32,4,1,1] w3 = {@f128}, int8[16,32,1,1] w4 = {@i512}, "
    " float[16] s4 = {@s16}, int8[16] z4 = {@z16}, float sx = {0.05}, int8 zx = {3}, float[16,24] "
    "w5 = {@f384}> "
    "{ a = Conv <pads=[1,1,1,1]> (x, w1, b1) r = Relu(a) d = Conv <group=32, pads=[1,1,1,1]> (r, "
    "w2) g = Conv <group=8> (d, w3) "
    "  q = QuantizeLinear(g, sx, zx) dq = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
    "<axis=0> (w4, s4, z4) c = Conv(dq, v) cq = QuantizeLinear(c, sx, zx) "
    "  cd = DequantizeLinear(cq, sx, zx) p = GlobalAveragePool(cd) f = Flatten(p) y = MatMul(f, "
    "w5) }";

static ox_ctx *ctx;
static char last_id[64];

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    snprintf(last_id, sizeof last_id, "%s", d->id);
}

static ox_ctx *new_ctx(void) {
    struct ox_ctx_options o = {.size = sizeof o, .threads = 1, .on_diag = on_diag};
    ox_ctx *c;
    ck_assert_int_eq(ox_ctx_new(&c, &o), OX_OK);
    return c;
}

static void setup(void) {
    ctx = new_ctx();
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static struct ox_model *model(void) {
    const size_t cap = 1 << 16;
    char *text = malloc(cap);
    size_t n = 0;
    uint32_t seed = 7;
    ck_assert_ptr_nonnull(text);
    for (const char *c = model_text; *c;) {
        if (*c != '@') {
            text[n++] = *c++;
            continue;
        }
        const char kind = c[1];
        char *end;
        unsigned long count = strtoul(c + 2, &end, 10);
        for (unsigned long i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            const int v = (int)(seed >> 24) % 127 * (seed >> 23 & 1 ? 1 : -1);
            if (kind == 'f' || kind == 's')
                n += (size_t)snprintf(text + n, cap - n, "%s%.4f", i ? "," : "",
                                      kind == 's' ? 0.002 + abs(v) / 50000.0 : v / 150.0);
            else
                n += (size_t)snprintf(text + n, cap - n, "%s%d", i ? "," : "", kind == 'z' ? 0 : v);
        }
        c = end;
    }
    text[n] = 0;
    struct ox_model *m = blob_model(ctx, text);
    free(text);
    return m;
}

static oxr_program *open_blob(ox_ctx *c, const unsigned char *data, size_t size) {
    oxr_program *p;
    ck_assert_int_eq(oxr_program_open_memory(&p, c, data, size, NULL), OX_OK);
    return p;
}

/* One run; the result's 24 numbers. Without assertions, which take a lock: threads would take turns
 * at it, and no race would show. */
static ox_status run_quietly(float *y, ox_ctx *c, const oxr_program *program) {
    oxr_session *session = NULL;
    struct ox_port port;
    ox_status s = oxr_session_new(&session, c, program, NULL);
    ox_tensor *x = s == OX_OK && oxr_input(&port, program, 0) ? blob_input(c, &port, 5) : NULL;
    if (s == OX_OK) s = oxr_bind(session, 0, x);
    if (s == OX_OK) s = oxr_run(session);
    if (s == OX_OK) memcpy(y, oxr_result(session, 0)->data, 24 * sizeof *y);
    ox_tensor_unref(x);
    oxr_session_free(session);
    return s;
}

static void run(float *y, ox_ctx *c, const oxr_program *program) {
    ck_assert_int_eq(run_quietly(y, c, program), OX_OK);
}

static struct oxr_program_stats stats_of(const oxr_program *p) {
    struct oxr_program_stats s;
    oxr_program_stats(&s, p);
    return s;
}

/* A blob with packed weights of this processor, and what it computes. */
static unsigned char *packed_blob(size_t *size, float *y, const char *processors) {
    struct ox_model *m = model();
    unsigned char *plain;
    void *data;
    struct ox_packed list[64];
    size_t n = 0;
    blob_build(&plain, size, m);
    oxr_program *p = open_blob(ctx, plain, *size);
    run(y, ctx, p);
    while (n < 64 && oxr_packed(&list[n], p, n))
        n++;
    ck_assert_uint_lt(n, 64);
    for (size_t i = 0; i < n && processors; i++)
        list[i].processors = processors;
    ck_assert_int_eq(ox_native_build_packed(&data, size, m, n, list), OX_OK);
    oxr_program_free(p);
    ox_native_free(ctx, plain);
    ox_model_free(m);
    return data;
}

static void expect(const unsigned char *data, size_t size, const float *want, bool found) {
    float got[24];
    oxr_program *p = open_blob(ctx, data, size);
    run(got, ctx, p);
    ck_assert_mem_eq(got, want, sizeof got);
    const struct oxr_program_stats s = stats_of(p);
    ck_assert(s.packed_file > 0);
    if (found)
        ck_assert(s.packed_here == s.packed_file);
    else
        ck_assert(s.packed_here == 0 && s.packed >= s.packed_file);
    oxr_program_free(p);
}

START_TEST(a_program_packs_once) {
    struct ox_model *m = model();
    unsigned char *data;
    size_t size;
    float first[24], second[24];
    blob_build(&data, &size, m);
    oxr_program *p = open_blob(ctx, data, size);
    run(first, ctx, p);
    const uint64_t packed = stats_of(p).packed;
    ck_assert(packed > 0);
    run(second, ctx, p);
    ck_assert_mem_eq(first, second, sizeof first);
    ck_assert(stats_of(p).packed == packed);
    oxr_program_free(p);
    ox_native_free(ctx, data);
    ox_model_free(m);
}
END_TEST

START_TEST(the_file_saves_packing) {
    size_t size;
    float want[24], got[24];
    unsigned char *data = packed_blob(&size, want, NULL);
    expect(data, size, want, true);
    oxr_program *p = open_blob(ctx, data, size);
    run(got, ctx, p);
    ck_assert(stats_of(p).packed <
              4096); /* XNNPACK packs depthwise filters whatever it is offered */
    oxr_program_free(p);
    ox_native_free(ctx, data);
}
END_TEST

START_TEST(other_processors_pack) {
    size_t size;
    float want[24];
    unsigned char *data = packed_blob(&size, want, "another one");
    expect(data, size, want, false);
    ox_native_free(ctx, data);
}
END_TEST

START_TEST(blocks_of_a_wrong_kind_are_not_used) {
    size_t size;
    float want[24], got[24];
    unsigned char *data = packed_blob(&size, want, NULL);
    const struct ox_blob_section *table = (const void *)(data + sizeof(struct ox_blob_header));
    struct ox_blob_pack *packs = (void *)(data + table[OX_BLOB_PACKS - 1].offset);
    const size_t n = (size_t)table[OX_BLOB_PACKS - 1].size / sizeof *packs;
    ck_assert_uint_ge(n, 3);
    for (size_t i = 0; i < n; i++) {
        struct ox_blob_pack was = packs[i];
        for (int how = 0; how < 4; how++) {
            packs[i] = was;
            if (how == 0) packs[i].layout ^= 1;
            if (how == 1) packs[i].part += 1000;
            if (how == 2) packs[i].size--; /* the slack hides it: too small for the kernel */
            if (how == 3) packs[i].size -= packs[i].size % 64 ? 1 : 64;
            blob_seal(data, size);
            oxr_program *p;
            if (oxr_program_open_memory(&p, ctx, data, size, NULL) != OX_OK) continue;
            run(got, ctx, p);
            ck_assert_mem_eq(got, want, sizeof got);
            oxr_program_free(p);
        }
        packs[i] = was;
    }
    ox_native_free(ctx, data);
}
END_TEST

START_TEST(other_numbers_do_no_harm) {
    size_t size;
    float want[24], got[24];
    unsigned char *data = packed_blob(&size, want, NULL);
    const struct ox_blob_section *s =
        (const struct ox_blob_section *)(const void *)(data + sizeof(struct ox_blob_header)) +
        OX_BLOB_PACKED - 1;
    const unsigned char fills[] = {0, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < sizeof fills; i++) {
        memset(data + s->offset, fills[i], (size_t)s->size);
        blob_seal(data, size);
        oxr_program *p = open_blob(ctx, data, size);
        run(got, ctx, p);
        oxr_program_free(p);
    }
    ox_native_free(ctx, data);
}
END_TEST

/* Every 4 bytes of the records, edited in all ways that tend to matter, hashes made right; and
 * every byte of them flipped, hashes as they were. */
START_TEST(damage_is_noticed) {
    size_t size, opened = 0;
    float want[24];
    unsigned char *data = packed_blob(&size, want, NULL);
    const struct ox_blob_section *table = (const void *)(data + sizeof(struct ox_blob_header));
    const size_t at = (size_t)table[OX_BLOB_PACKS - 1].offset,
                 bytes = (size_t)table[OX_BLOB_PACKS - 1].size;
    unsigned char *copy;
    ck_assert_int_eq(ox_alloc_raw(ctx, &copy, size, 1), OX_OK);
    for (size_t i = 0; i < bytes / 4; i++) {
        const uint32_t edits[] = {0, 1, 63, 64, 0x7fffffff, 0x80000000, 0xffffffff, (uint32_t)size};
        for (size_t e = 0; e < sizeof edits / sizeof *edits; e++) {
            memcpy(copy, data, size);
            memcpy(copy + at + 4 * i, &edits[e], 4);
            blob_seal(copy, size);
            opened += blob_try(ctx, copy, size) == OX_OK;
        }
    }
    ck_assert_uint_gt(opened, 0);
    const size_t step = size / 3000 + 1;
    for (size_t i = 0; i < size; i += i < at + bytes && i >= at ? 1 : step) {
        data[i] ^= 0x10;
        ck_assert_msg(blob_try(ctx, data, size) != OX_OK, "byte %zu", i);
        data[i] ^= 0x10;
    }
    for (size_t n = size; n > 0; n -= n > 997 ? 997 : n) {
        memcpy(copy, data, n - 1);
        ck_assert_int_ne(blob_try(ctx, copy, n - 1), OX_OK);
    }
    ox_free(ctx, copy);
    ox_native_free(ctx, data);
}
END_TEST

/* ---- many threads ------------------------------------------------------------------------------
 */

enum { THREADS = 8, ROUNDS = 6 };

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    const oxr_program *program;
    ox_ctx *ctx;
    ox_status status;
    float y[24];
};

static void *race(void *arg) {
    struct racer *r = arg;
    pthread_barrier_wait(r->start);
    for (int i = 0; i < ROUNDS && r->status == OX_OK; i++)
        r->status = run_quietly(r->y, r->ctx, r->program);
    return NULL;
}

START_TEST(threads_share_a_program) {
    size_t size;
    float want[24];
    unsigned char *data = packed_blob(&size, want, _i ? "another one" : NULL);
    struct racer racers[THREADS];
    pthread_barrier_t start;
    oxr_program *p = open_blob(ctx, data, size);
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.start = &start, .program = p, .ctx = new_ctx()};
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
        ck_assert_int_eq(racers[i].status, OX_OK);
        ck_assert_mem_eq(racers[i].y, want, sizeof want);
        ox_ctx_free(racers[i].ctx);
    }
    pthread_barrier_destroy(&start);
    const uint64_t packed = stats_of(p).packed;
    oxr_program_free(p);
    p = open_blob(ctx, data, size); /* by one session alone: as much */
    run(want, ctx, p);
    ck_assert(stats_of(p).packed == packed);
    oxr_program_free(p);
    ox_native_free(ctx, data);
}
END_TEST

/* ---- processes ---------------------------------------------------------------------------------
 */

/* Kilobytes of a mapped file that are in memory, and of these what this process alone has. */
static void resident(long *all, long *alone, const char *path) {
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false;
    long v;
    *all = *alone = -1;
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        if (strchr(line, '-') && strchr(line, ' ') && strchr(line, ':') && strstr(line, " r"))
            here = strstr(line, path) != NULL;
        if (!here) continue;
        if (strncmp(line, "Rss:", 4) == 0 && (v = strtol(line + 4, NULL, 10)) >= 0)
            *all = (*all < 0 ? 0 : *all) + v;
        if (strncmp(line, "Private_", 8) == 0 && (v = strtol(strchr(line, ':') + 1, NULL, 10)) >= 0)
            *alone = (*alone < 0 ? 0 : *alone) + v;
    }
    fclose(f);
}

/* Opens, runs, says so through `ready`, and looks at its memory once `go` is closed. 0: everything
 * in memory is shared. */
static int reader(const char *path, int ready, int go) {
    float y[24];
    char c = 'r';
    long all, alone;
    oxr_program *p;
    ox_ctx *own = new_ctx();
    if (oxr_program_open(&p, own, path, NULL) != OX_OK) return 1;
    run(y, own, p);
    if (write(ready, &c, 1) != 1 || read(go, &c, 1) != 0) return 1;
    resident(&all, &alone, path);
    c = 'd';
    if (write(ready, &c, 1) != 1) return 1;
    sleep(1); /* the other one still looks */
    oxr_program_free(p);
    ox_ctx_free(own);
    if (all < 0) return 77; /* the system does not tell */
    return all > 0 && alone == 0 ? 0 : 2;
}

START_TEST(processes_share_weights) {
    size_t size;
    float want[24];
    char path[] = "/tmp/onnxopt_packed_XXXXXX", c;
    int ready[2], go[2], status;
    unsigned char *data = packed_blob(&size, want, NULL);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, data, size), (int)size);
    close(fd);
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(go), 0);
    pid_t child[2];
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            close(go[1]);
            _exit(reader(path, ready[1], go[0]));
        }
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq((int)read(ready[0], &c, 1), 1);
    close(go[1]);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
        ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77),
                      "status %x", (unsigned)status);
    }
    close(ready[0]);
    close(ready[1]);
    close(go[0]);
    unlink(path);
    ox_native_free(ctx, data);
}
END_TEST

int main(void) {
    Suite *s = suite_create("packed weights");
    TCase *t = tcase_create("packed");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_program_packs_once);
    tcase_add_test(t, the_file_saves_packing);
    tcase_add_test(t, other_processors_pack);
    tcase_add_test(t, blocks_of_a_wrong_kind_are_not_used);
    tcase_add_test(t, other_numbers_do_no_harm);
    tcase_add_test(t, damage_is_noticed);
    tcase_add_loop_test(t, threads_share_a_program, 0, 2);
    tcase_add_test(t, processes_share_weights);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
