/* backend/runtime/igemm8.c - see igemm8.h: packing, and how the work is cut. */
#include "backend/runtime/igemm8.h"

#include "backend/runtime/igemm8_kernel.h"

enum {
    BLOCK = OXR_IGEMM8_BLOCK,
    HALF = 16,
    CHUNK_MAX = 64,
    TALL_MAX = 128,
    WEIGHTS_NEAR = 1 << 20,
    SCRATCH_NEAR = 1 << 19,
    SPARE = 64 /* a copy may write so much behind a row */
};

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

void oxr_igemm8_release(struct oxr_igemm8 *g, ox_ctx *ctx) {
    ox_free(ctx, g->weights);
    ox_free(ctx, g->bias);
    ox_free(ctx, g->factor);
    ox_free(ctx, g->shift);
    *g = (struct oxr_igemm8){0};
}

/* How many groups become one: enough for a block of outputs. */
static size_t join(const struct oxr_igemm8_task *t) {
    size_t n = 1;
    while (n < t->groups && (t->groups % n != 0 || n * t->co < BLOCK))
        n++;
    return n;
}

static bool one_pixel(const struct ox_step_window *w) {
    return w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 &&
           !w->top && !w->right && !w->bottom && !w->left;
}

/* Rows are cut into chunks of about the same size. Read in place, the last may reach over the row's
 * end, where weights are 0, but not over what lies behind every operand. */
static void choose_chunks(struct oxr_igemm8 *g) {
    g->chunks = (g->k + CHUNK_MAX - 1) / CHUNK_MAX;
    g->chunk = round_up((g->k + g->chunks - 1) / g->chunks, 4);
    g->direct = one_pixel(&g->task.window) && g->chunk * g->chunks - g->k <= OXR_SLACK;
    if (!g->direct && g->chunks > 1) g->chunk = CHUNK_MAX;
    /* An odd number of cache lines, so that rows do not meet in the same place of the cache. */
    g->stride = (round_up(g->chunk * g->chunks, 64) / 64 | 1) * 64;
}

/* The filter of output n of a joined group, zero where inputs belong to other groups. */
static const int8_t *filter_row(int8_t *room, const struct oxr_igemm8_task *from, size_t joined,
                                size_t output) {
    const size_t taps = (size_t)from->window.kernel[0] * from->window.kernel[1],
                 own = output / from->co % joined * from->ci;
    const int8_t *w = from->weights + output * taps * from->ci;
    if (joined == 1) return w;
    memset(room, 0, taps * joined * from->ci);
    for (size_t tap = 0; tap < taps; tap++)
        memcpy(room + tap * joined * from->ci + own, w + tap * from->ci, from->ci);
    return room;
}

/* What follows the sum of an output. */
static void pack_output(struct oxr_igemm8 *g, const struct oxr_igemm8_task *from, const int8_t *row,
                        size_t at, size_t output) {
    int64_t sum = 0, most = 0;
    for (size_t first = 0; first < g->k; first += 1 << 16) {
        const size_t count = g->k - first < 1 << 16 ? g->k - first : 1 << 16;
        int32_t part = 0, size = 0;
        for (size_t k = 0; k < count; k++) {
            part += row[first + k];
            size += row[first + k] < 0 ? -row[first + k] : row[first + k];
        }
        sum += part;
        most += size;
    }
    most = most * 256 + (from->bias ? (from->bias[output] < 0 ? -(int64_t)from->bias[output]
                                                              : from->bias[output])
                                    : 0);
    g->bias[at] = (int32_t)((from->bias ? from->bias[output] : 0) -
                            sum * from->in.zero); /* modulo 2^32, as the sums are */
    g->factor[at] = from->real ? from->in.scale * from->scales[output]
                               : from->in.scale * from->scales[output] / from->out.scale;
    g->shift[at] = from->shift ? from->shift[output] : 0;
    g->tame = g->tame && (double)most * (double)g->factor[at] < 0x1p30;
}

/* Sixteen outputs side by side, or `count` and nothing. */
static void pack_tiles(const struct oxr_igemm8 *g, int8_t *to, const int8_t *const *rows,
                       size_t count) {
    for (size_t first = 0; first < g->k; first += g->chunk, to += 2 * g->chunk * HALF) {
        const size_t size = g->k - first < g->chunk ? g->k - first : g->chunk;
        for (size_t k = 0; k + 4 <= size; k += 4)
            for (size_t n = 0; n < count; n++)
                memcpy(to + k * HALF + n * 4, rows[n] + first + k, 4);
        for (size_t n = 0; size % 4 && n < count; n++)
            memcpy(to + size / 4 * 4 * HALF + n * 4, rows[n] + first + size / 4 * 4, size % 4);
    }
}

static void pack_group(struct oxr_igemm8 *g, const struct oxr_igemm8_task *from, size_t joined,
                       size_t group, int8_t *room) {
    const int8_t *rows[HALF];
    for (size_t n = 0; n < g->task.co; n += HALF) {
        const size_t count = g->task.co - n < HALF ? g->task.co - n : HALF,
                     output = group * g->task.co + n, block = group * g->blocks + n / BLOCK;
        for (size_t i = 0; i < count; i++) {
            rows[i] = filter_row(room + i * g->k, from, joined, output + i);
            pack_output(g, from, rows[i], block * BLOCK + n % BLOCK + i, output + i);
        }
        pack_tiles(g, g->weights + block * g->chunks * g->chunk * BLOCK + n % BLOCK * g->chunk,
                   rows, count);
    }
}

ox_status oxr_igemm8_pack(struct oxr_igemm8 *g, ox_ctx *ctx, const struct oxr_igemm8_kernel *kernel,
                          const struct oxr_igemm8_task *task) {
    const size_t joined = join(task);
    size_t columns, bytes, taps;
    int8_t *room;
    *g = (struct oxr_igemm8){.kernel = kernel, .task = *task};
    g->task.groups = task->groups / joined;
    g->task.ci = task->ci * joined;
    g->task.co = task->co * joined;
    g->task.weights = NULL;
    g->task.scales = g->task.shift = NULL;
    g->task.bias = NULL;
    if (ox_mul_size(&taps, task->window.kernel[0], task->window.kernel[1]) ||
        ox_mul_size(&g->k, taps, g->task.ci) || g->k > SIZE_MAX / 256)
        return ox_fail(ctx, OX_NOMEM, "no-memory", NULL, "a filter of %zu channels", g->task.ci);
    choose_chunks(g);
    g->tame = true;
    g->blocks = (g->task.co + BLOCK - 1) / BLOCK;
    columns = g->task.groups * g->blocks * BLOCK;
    if (ox_mul_size(&bytes, columns, g->chunks * g->chunk))
        return ox_fail(ctx, OX_NOMEM, "no-memory", NULL, "filters of %zu bytes", g->k);
    OX_TRY(ox_alloc_raw(ctx, &g->weights, bytes,
                        1)); /* aligned, as all that is read often should be */
    memset(g->weights, 0, bytes);
    OX_TRY(ox_alloc(ctx, &g->bias, columns, sizeof *g->bias));
    OX_TRY(ox_alloc(ctx, &g->factor, columns, sizeof *g->factor));
    OX_TRY(ox_alloc(ctx, &g->shift, columns, sizeof *g->shift));
    OX_TRY(ox_alloc(ctx, &room, HALF, g->k));
    for (size_t group = 0; group < g->task.groups; group++)
        pack_group(g, task, joined, group, room);
    ox_free(ctx, room);
    return OX_OK;
}

/* Weights that stay in the second-level cache are read for every 32 rows; larger ones for as many
 * rows as their scratch rows fit there. */
bool oxr_igemm8_cut(struct oxr_igemm8_job *j, size_t threads, size_t *pieces, size_t *workspace) {
    const struct oxr_igemm8 *g = j->g;
    const size_t weights = g->task.co * g->chunk * g->chunks,
                 wanted = threads > 1 ? 4 * threads : 1;
    size_t steps, by_rows, bytes;
    j->tall = BLOCK;
    while (weights > WEIGHTS_NEAR && j->tall < TALL_MAX &&
           (j->tall + BLOCK) * g->stride <= SCRATCH_NEAR)
        j->tall += BLOCK;
    steps = (j->rows + j->tall - 1) / j->tall;
    j->steps = (steps * g->task.groups + wanted - 1) / wanted;
    if (j->steps > steps) j->steps = steps;
    j->row_pieces = (steps + j->steps - 1) / j->steps;
    if (ox_mul_size(&by_rows, j->row_pieces, g->task.groups)) return false;
    j->column_pieces = by_rows < wanted ? (wanted + by_rows - 1) / by_rows : 1;
    if (j->column_pieces > g->blocks) j->column_pieces = g->blocks;
    j->scratch_each = 2 * (j->tall * g->stride + SPARE);
    if (ox_mul_size(pieces, by_rows, j->column_pieces) ||
        ox_mul_size(&bytes, j->scratch_each, threads))
        return false;
    *workspace = bytes;
    return true;
}

/* Rows [first, first + count) of a group, where they lie or in a scratch buffer. */
static void get_rows(struct oxr_igemm8_block *b, const struct oxr_igemm8_job *j, size_t group,
                     size_t first, size_t count, int8_t *scratch) {
    const struct oxr_igemm8 *g = j->g;
    const size_t channels = g->task.groups * g->task.ci;
    if (g->direct && first + round_up(count, HALF) <= j->rows) {
        b->a = j->in + first * channels + group * g->task.ci;
        b->a_stride = channels;
    } else {
        g->kernel->fill(j, group, first, count, scratch);
        b->a = scratch;
        b->a_stride = g->stride;
    }
}

struct part {
    size_t group, first, count, block, block_end;
};

static void multiply(const struct oxr_igemm8_job *j, const struct part *p,
                     struct oxr_igemm8_block b, struct oxr_igemm8_sums *sums) {
    const struct oxr_igemm8 *g = j->g;
    const size_t outputs = g->task.groups * g->task.co, size = g->task.real ? sizeof(float) : 1;
    const int8_t *a = b.a;
    b.out_stride = outputs;
    for (size_t block = p->block; block < p->block_end; block++) {
        const size_t at = (p->group * g->blocks + block) * BLOCK,
                     column = p->group * g->task.co + block * BLOCK;
        b.weights = g->weights + at * g->chunk * g->chunks;
        b.bias = g->bias + at;
        b.factor = g->factor + at;
        b.shift = g->shift + at;
        b.columns = g->task.co - block * BLOCK < BLOCK ? g->task.co - block * BLOCK : BLOCK;
        for (size_t row = 0; row < p->count; row += BLOCK) {
            b.a = a + row * b.a_stride;
            b.rows = p->count - row < BLOCK ? p->count - row : BLOCK;
            b.out = (char *)j->out + ((p->first + row) * outputs + column) * size;
            g->kernel->block(g, &b, sums);
        }
    }
}

/* The next rows are gathered before those at hand are multiplied: what has just been written cannot
 * be loaded at once. */
void oxr_igemm8_piece(void *arg, size_t thread, size_t piece) {
    const struct oxr_igemm8_job *j = arg;
    const struct oxr_igemm8 *g = j->g;
    const size_t column = piece % j->column_pieces,
                 start = piece / j->column_pieces % j->row_pieces * j->steps * j->tall;
    const size_t end = j->rows - start < j->steps * j->tall ? j->rows : start + j->steps * j->tall;
    int8_t *scratch[] = {(int8_t *)j->scratch + thread * j->scratch_each,
                         (int8_t *)j->scratch + thread * j->scratch_each + j->scratch_each / 2};
    struct part p = {.group = piece / j->column_pieces / j->row_pieces,
                     .block = column * g->blocks / j->column_pieces,
                     .block_end = (column + 1) * g->blocks / j->column_pieces};
    struct oxr_igemm8_block b = {.a = NULL}, next = b;
    struct oxr_igemm8_sums sums;
    p.count = end - start < j->tall ? end - start : j->tall;
    get_rows(&next, j, p.group, start, p.count, scratch[0]);
    g->kernel->start(g, &sums);
    for (p.first = start; p.first < end; p.first += p.count) {
        const size_t then = p.first + j->tall;
        p.count = end - p.first < j->tall ? end - p.first : j->tall;
        b = next;
        if (then < end)
            get_rows(&next, j, p.group, then, end - then < j->tall ? end - then : j->tall,
                     scratch[b.a != scratch[1]]);
        multiply(j, &p, b, &sums);
    }
    g->kernel->stop(g, &sums);
}
