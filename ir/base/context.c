/* ir/base/context.c - the context: diagnostics, limits, progress and the one door to heap memory.
 *
 * Every block carries a small header with its size, so that memory in use and its peak are exact
 * and a budget (limits.max_memory) and failure injection through the allocator cover everything
 * alike. */
#include "ir/base/context.h"

#include "ir/base/context_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MESSAGE_MAX = 600, BLOCK_ALIGN = 64 };
enum { HUGE_PAGE = 2 << 20, LARGEST_SMALL_PAGE = 64 << 10 };

/* In front of every block; block is where the allocator's memory begins. */
struct header {
    void *block;
    size_t size;
    size_t mapped; /* bytes of a mapping of its own, or 0 */
};

static void *libc_alloc(void *user, size_t size) {
    (void)user;
    return malloc(size);
}

static void *libc_resize(void *user, void *p, size_t size) {
    (void)user;
    return realloc(p, size);
}

static void libc_release(void *user, void *p) {
    (void)user;
    free(p);
}

const char *ox_status_text(ox_status status) {
    switch (status) {
#define X(id, code, text)                                                                          \
    case id:                                                                                       \
        return text;
        OX_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

#define DEFAULT(field, value)                                                                      \
    if (!(field)) (field) = (value)

ox_status ox_ctx_new(ox_ctx **out, const struct ox_ctx_options *options) {
    struct ox_ctx_options o = {0};
    if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    struct ox_allocator a = {NULL, libc_alloc, libc_resize, libc_release};
    if (o.allocator) a = *o.allocator;
    ox_ctx *ctx = a.alloc(a.user, sizeof *ctx);
    if (!ctx) return OX_NOMEM;
    memset(ctx, 0, sizeof *ctx);
    ctx->allocator = a;
    ctx->own_allocator = !o.allocator;
    ctx->on_diag = o.on_diag;
    ctx->diag_user = o.diag_user;
    ctx->on_progress = o.on_progress;
    ctx->progress_user = o.progress_user;
    ctx->limits = o.limits;
    ctx->random_seed = o.random_seed;
    ctx->threads = o.threads;
    if (ctx->threads <= 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        ctx->threads = n < 1 ? 1 : n > OX_THREADS_MAX ? OX_THREADS_MAX : (int)n;
    }
    if (ctx->threads > OX_THREADS_MAX) ctx->threads = OX_THREADS_MAX;
    DEFAULT(ctx->limits.max_file_bytes, (size_t)1 << 40);
    DEFAULT(ctx->limits.max_message_depth, 100);
    DEFAULT(ctx->limits.max_subgraph_depth, 32);
    DEFAULT(ctx->limits.max_nodes, 1000000);
    DEFAULT(ctx->limits.max_node_io, 65536);
    DEFAULT(ctx->limits.max_name_bytes, 65536);
    DEFAULT(ctx->limits.max_functions, 10000);
    DEFAULT(ctx->limits.max_tensor_bytes, (size_t)8 << 30);
    *out = ctx;
    return OX_OK;
}

ox_status ox_ctx_child(ox_ctx **out, ox_ctx *parent, const struct ox_allocator *allocator,
                       int threads) {
    struct ox_ctx_options o = {
        .size = sizeof o,
        .on_diag = parent->on_diag,
        .diag_user = parent->diag_user,
        .on_progress = parent->on_progress,
        .progress_user = parent->progress_user,
        .allocator = allocator,
        .threads = threads > 0 ? threads : parent->threads,
        .limits = parent->limits,
        .random_seed = parent->random_seed,
    };
    OX_TRY(ox_ctx_new(out, &o));
    (*out)->parent = parent;
    return OX_OK;
}

void ox_ctx_free(ox_ctx *ctx) {
    if (!ctx) return;
    ox_pool_free(ctx);
    struct ox_allocator a = ctx->allocator;
    a.release(a.user, ctx);
}

uint64_t ox_ctx_random_seed(const ox_ctx *ctx) {
    return ctx->random_seed;
}

int ox_ctx_threads(const ox_ctx *ctx) {
    return ctx->threads;
}

size_t ox_ctx_errors(const ox_ctx *ctx) {
    return ctx->errors;
}

size_t ox_ctx_memory(const ox_ctx *ctx) {
    return ctx->memory;
}

size_t ox_ctx_memory_peak(const ox_ctx *ctx) {
    return ctx->memory_peak;
}

const struct ox_limits *ox_ctx_limits(const ox_ctx *ctx) {
    return &ctx->limits;
}

size_t ox_ctx_limit_tensor(ox_ctx *ctx, size_t bytes) {
    size_t former = ctx->limits.max_tensor_bytes;
    ctx->limits.max_tensor_bytes = bytes;
    return former;
}

size_t ox_ctx_refusals(const ox_ctx *ctx) {
    return ctx->refusals;
}

bool ox_progress(ox_ctx *ctx, const char *what, size_t done, size_t total) {
    return !ctx->on_progress || ctx->on_progress(ctx->progress_user, what, done, total);
}

/* ---- diagnostics ----------------------------------------------------------------------------- */

/* Copies text, escaping control bytes as \xNN and cutting with "..." where it would not fit. */
static void escape(char *out, size_t size, const char *text) {
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool control = *p < 0x20 || *p == 0x7f;
        if (n + (control ? 4 : 1) + 4 > size) {
            memcpy(out + n, "...", 4);
            return;
        }
        if (control)
            n += (size_t)snprintf(out + n, size - n, "\\x%02x", *p);
        else
            out[n++] = (char)*p;
    }
    out[n] = 0;
}

static const char *escape_name(char *out, size_t size, const char *name) {
    if (!name) return NULL;
    escape(out, size, name);
    return out;
}

OX_PRINTF(5, 0)
static void emit(ox_ctx *ctx, enum ox_severity severity, const char *id, const struct ox_place *own,
                 const char *format, va_list args) {
    for (const ox_ctx *c = ctx; c; c = c->parent)
        if (c->muted) return;
    for (ox_ctx *c = ctx; c && severity == OX_ERROR; c = c->parent)
        c->errors++;
    if (!ctx->on_diag) return;
    char raw[MESSAGE_MAX * 2], text[MESSAGE_MAX], file[MESSAGE_MAX], graph[204], node[204], op[204];
    vsnprintf(raw, sizeof raw, format, args);
    escape(text, sizeof text, raw);
    const struct ox_place none = {0};
    const struct ox_place *p = own ? own : ctx->place ? ctx->place : &none;
    struct ox_diag d = {
        .severity = severity,
        .id = id,
        .text = text,
        .file = escape_name(file, sizeof file, p->file),
        .offset = p->offset - 1,
        .line = p->line,
        .graph = escape_name(graph, sizeof graph, p->graph),
        .node = escape_name(node, sizeof node, p->node),
        .op = escape_name(op, sizeof op, p->op),
    };
    ctx->on_diag(ctx->diag_user, &d);
}

ox_status(ox_fail)(ox_ctx *ctx, ox_status status, const char *id, const struct ox_place *place,
                   const char *format, ...) {
    va_list args;
    va_start(args, format);
    emit(ctx, OX_ERROR, id, place, format, args);
    va_end(args);
    return status;
}

void ox_report(ox_ctx *ctx, enum ox_severity severity, const char *id, const struct ox_place *place,
               const char *format, ...) {
    va_list args;
    va_start(args, format);
    emit(ctx, severity, id, place, format, args);
    va_end(args);
}

const struct ox_place *ox_place_set(ox_ctx *ctx, const struct ox_place *place) {
    const struct ox_place *former = ctx->place;
    ctx->place = place;
    return former;
}

void ox_mute(ox_ctx *ctx, bool on) {
    ctx->muted += on ? 1 : -1;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static ox_status no_memory(ox_ctx *ctx, size_t count, size_t size) {
    size_t limit = ctx->limits.max_memory;
    ctx->refusals++;
    if (limit)
        return ox_fail(ctx, OX_NOMEM, "out-of-memory", NULL,
                       "no memory for %zu x %zu bytes (%zu in use, limit %zu)", count, size,
                       ctx->memory, limit);
    return ox_fail(ctx, OX_NOMEM, "out-of-memory", NULL, "no memory for %zu x %zu bytes", count,
                   size);
}

static struct header *header_of(void *p) {
    return (struct header *)p - 1;
}

/* Zeroed memory straight from the system, on huge pages where it has them: a large model is walked
 * many times, in an order that the processor cannot foresee, and on small pages it would mostly
 * look up addresses, and take a fault for each page first. Sets *mapped to the length, which
 * ox_free needs. */
static char *map_block(size_t *mapped, size_t size) {
    size_t len, gross;
    if (ox_add_size(&len, size, LARGEST_SMALL_PAGE - 1)) return NULL;
    len = len / LARGEST_SMALL_PAGE * LARGEST_SMALL_PAGE;
    if (ox_add_size(&gross, len, HUGE_PAGE)) return NULL;
    char *p = mmap(NULL, gross, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    size_t skip = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
    if (skip) munmap(p, skip);
    if (skip < HUGE_PAGE) munmap(p + skip + len, HUGE_PAGE - skip);
#ifdef MADV_HUGEPAGE
    (void)madvise(p + skip, len, MADV_HUGEPAGE);
#endif
    *mapped = len;
    return p + skip;
}

static char *block_new(size_t *mapped, ox_ctx *ctx, size_t size, bool zeroed) {
    *mapped = 0;
#ifndef OX_ARENA_DEBUG /* which wants to see overruns of every block */
    if (zeroed && size >= HUGE_PAGE && ctx->own_allocator) return map_block(mapped, size);
#endif
    char *block = ctx->allocator.alloc(ctx->allocator.user, size);
    if (block && zeroed) memset(block, 0, size);
    return block;
}

/* A block of `bytes` aligned to BLOCK_ALIGN, its header in front; NULL when there is no memory. */
static void *take(ox_ctx *ctx, size_t bytes, bool zeroed) {
    size_t gross;
    if (ox_add_size(&gross, bytes, BLOCK_ALIGN + sizeof(struct header) + OX_ALLOC_SLACK))
        return NULL;
    size_t limit = ctx->limits.max_memory;
    if (limit && (bytes > limit || ctx->memory > limit - bytes)) return NULL;
    size_t mapped;
    char *block = block_new(&mapped, ctx, gross, zeroed);
    if (!block) return NULL;
    uintptr_t at = (uintptr_t)block + sizeof(struct header);
    char *p = block + sizeof(struct header) + (BLOCK_ALIGN - at % BLOCK_ALIGN) % BLOCK_ALIGN;
    *header_of(p) = (struct header){block, bytes, mapped};
    ctx->memory += bytes;
    if (ctx->memory > ctx->memory_peak) ctx->memory_peak = ctx->memory;
    return p;
}

static ox_status alloc(ox_ctx *ctx, void *out_ptr, size_t count, size_t size, bool zeroed) {
    size_t bytes;
    if (ox_mul_size(&bytes, count, size)) return no_memory(ctx, count, size);
    void *p = take(ctx, bytes ? bytes : 1, zeroed);
    if (!p) return no_memory(ctx, count, size);
    memcpy(out_ptr, &p, sizeof p);
    return OX_OK;
}

ox_status ox_alloc_raw(ox_ctx *ctx, void *out_ptr, size_t count, size_t size) {
    return alloc(ctx, out_ptr, count, size, false);
}

ox_status ox_alloc(ox_ctx *ctx, void *out_ptr, size_t count, size_t size) {
    return alloc(ctx, out_ptr, count, size, true);
}

void ox_free(ox_ctx *ctx, void *p) {
    if (!p) return;
    struct header *h = header_of(p);
    ctx->memory -= h->size;
    if (h->mapped)
        munmap(h->block, h->mapped);
    else
        ctx->allocator.release(ctx->allocator.user, h->block);
}

ox_status ox_resize(ox_ctx *ctx, void *inout_ptr, size_t old_count, size_t count, size_t size) {
    void *old, *p;
    memcpy(&old, inout_ptr, sizeof old);
    OX_TRY(ox_alloc(ctx, &p, count, size));
    size_t keep = (old_count < count ? old_count : count) * size;
    if (old && keep) memcpy(p, old, keep);
    ox_free(ctx, old);
    memcpy(inout_ptr, &p, sizeof p);
    return OX_OK;
}

ox_status ox_grow(ox_ctx *ctx, void *inout_ptr, size_t len, size_t *cap, size_t size) {
    if (len < *cap) return OX_OK;
    size_t room = *cap < 8 ? 8 : *cap * 2;
    OX_TRY(ox_resize(ctx, inout_ptr, len, room, size));
    *cap = room;
    return OX_OK;
}

bool ox_shape_size(size_t *count, size_t *bytes, ox_dtype dtype, int64_t rank,
                   const int64_t *dims) {
    if (rank < 0 || rank > OX_MAX_RANK) return true;
    bool empty = false;
    for (int64_t i = 0; i < rank; i++) {
        if (dims[i] < 0) return true;
        if (dims[i] == 0) empty = true;
    }
    size_t n = 1, bits;
    if (empty) n = 0;
    for (int64_t i = 0; i < rank && !empty; i++)
        if ((uint64_t)dims[i] > SIZE_MAX || ox_mul_size(&n, n, (size_t)dims[i])) return true;
    if (ox_mul_size(&bits, n, (size_t)ox_dtype_bits(dtype)) || bits > (size_t)PTRDIFF_MAX)
        return true;
    if (count) *count = n;
    if (bytes) *bytes = (bits + 7) / 8;
    return false;
}
