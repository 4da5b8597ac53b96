/* ir/ops/op_broadcast.c - the broadcasting engine; see broadcast.h. */
#include "ir/ops/broadcast.h"
#include "ir/ops/op_priv.h"

/* ---- shapes ---------------------------------------------------------------------------------- */

ox_status ox_broadcast(const struct ox_call *call, int *rank, int64_t *dims, int rank_b,
                       const int64_t *dims_b) {
    int shift = rank_b > *rank ? rank_b - *rank : 0;
    int offset = *rank > rank_b ? *rank - rank_b : 0;
    for (int i = 0; i < *rank && i < rank_b; i++) {
        int64_t a = dims[*rank - 1 - i], b = dims_b[rank_b - 1 - i];
        if (a != b && a != 1 && b != 1)
            return ox_bad_shape(call, "%s and %s cannot be broadcast together",
                                ox_dims_text(*rank, dims).text, ox_dims_text(rank_b, dims_b).text);
    }
    if (shift > 0) {
        memmove(dims + shift, dims, (size_t)*rank * sizeof *dims);
        for (int i = 0; i < shift; i++)
            dims[i] = 1;
        *rank = rank_b;
    }
    for (int i = 0; i < rank_b; i++)
        if (dims[offset + i] == 1) dims[offset + i] = dims_b[i];
    return OX_OK;
}

bool ox_broadcasts_to(int rank, const int64_t *dims, int rank_b, const int64_t *dims_b) {
    if (rank_b > rank) return false;
    for (int i = 0; i < rank_b; i++)
        if (dims_b[i] != 1 && dims_b[i] != dims[rank - rank_b + i]) return false;
    return true;
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* Dims merged as far as all operands allow. Strides count elements and are 0 along broadcast dims,
 * so the innermost stride is 0 or 1: operands are contiguous. */
struct plan {
    int rank; /* at least 1 */
    size_t n_in;
    size_t dims[OX_MAX_RANK];
    size_t strides[OX_BCAST_MAX_IN][OX_MAX_RANK];
    bool whole[OX_BCAST_MAX_IN]; /* the operand is not broadcast at all */
    struct ox_loop_operand in[OX_BCAST_MAX_IN];
    unsigned char *out;
    size_t out_size;
    ox_loop_fn fn;
    const void *arg;
};

/* Stride of the operand along output dim d: the product of its dims behind, or 0 where it is
 * broadcast. */
static size_t stride_at(const struct ox_loop_operand *in, int rank, int d) {
    int own = d - (rank - in->rank);
    if (own < 0 || in->dims[own] == 1) return 0;
    size_t stride = 1;
    for (int i = own + 1; i < in->rank; i++)
        stride *= (size_t)in->dims[i];
    return stride;
}

/* Whether dim `d` with these strides continues the plan's last dim in every operand. */
static bool continues(const struct plan *plan, size_t dim, const size_t *strides) {
    if (plan->rank == 0) return false;
    for (size_t i = 0; i < plan->n_in; i++)
        if (plan->strides[i][plan->rank - 1] != strides[i] * dim) return false;
    return true;
}

static void make_plan(struct plan *plan, int rank, const int64_t *dims) {
    plan->rank = 0;
    for (int d = 0; d < rank; d++) {
        size_t dim = (size_t)dims[d], strides[OX_BCAST_MAX_IN] = {0};
        if (dim == 1) continue;
        for (size_t i = 0; i < plan->n_in; i++)
            strides[i] = stride_at(&plan->in[i], rank, d);
        if (continues(plan, dim, strides))
            plan->dims[plan->rank - 1] *= dim;
        else
            plan->dims[plan->rank++] = dim;
        for (size_t i = 0; i < plan->n_in; i++)
            plan->strides[i][plan->rank - 1] = strides[i];
    }
    if (plan->rank == 0) { /* one element */
        plan->rank = 1;
        plan->dims[0] = 1;
        for (size_t i = 0; i < plan->n_in; i++)
            plan->strides[i][0] = 1;
    }
    size_t behind = 1;
    for (size_t i = 0; i < plan->n_in; i++)
        plan->whole[i] = true;
    for (int d = plan->rank - 1; d >= 0; d--) {
        for (size_t i = 0; i < plan->n_in; i++)
            if (plan->strides[i][d] != behind) plan->whole[i] = false;
        behind *= plan->dims[d];
    }
}

/* ---- walking --------------------------------------------------------------------------------- */

struct cursor {
    size_t coord[OX_MAX_RANK];    /* of the row: all dims but the innermost */
    size_t base[OX_BCAST_MAX_IN]; /* element of each operand at the start of the row */
};

static void seek(struct cursor *at, const struct plan *plan, size_t row) {
    memset(at->base, 0, sizeof at->base);
    for (int d = plan->rank - 2; d >= 0; d--) {
        at->coord[d] = row % plan->dims[d];
        row /= plan->dims[d];
        for (size_t i = 0; i < plan->n_in; i++)
            at->base[i] += at->coord[d] * plan->strides[i][d];
    }
}

static void next_row(struct cursor *at, const struct plan *plan) {
    for (int d = plan->rank - 2; d >= 0; d--) {
        bool wraps = ++at->coord[d] == plan->dims[d];
        for (size_t i = 0; i < plan->n_in; i++)
            at->base[i] += plan->strides[i][d];
        if (!wraps) return;
        at->coord[d] = 0;
        for (size_t i = 0; i < plan->n_in; i++)
            at->base[i] -= plan->strides[i][d] * plan->dims[d];
    }
}

/* One call of the kernel a row: for rows that are long enough. */
static void run_rows(void *arg, size_t begin, size_t end) {
    const struct plan *plan = arg;
    size_t inner = plan->dims[plan->rank - 1], column = begin % inner;
    struct cursor at;
    seek(&at, plan, begin / inner);
    unsigned one = 0;
    for (size_t i = 0; i < plan->n_in; i++)
        if (plan->strides[i][plan->rank - 1] == 0) one |= 1u << i;
    while (begin < end) {
        size_t n = inner - column < end - begin ? inner - column : end - begin;
        const void *in[OX_BCAST_MAX_IN] = {0};
        for (size_t i = 0; i < plan->n_in; i++) {
            size_t element = at.base[i] + column * plan->strides[i][plan->rank - 1];
            in[i] = (const unsigned char *)plan->in[i].data + element * plan->in[i].size;
        }
        plan->fn(plan->out + begin * plan->out_size, in, one, n, plan->arg);
        begin += n;
        column = 0;
        next_row(&at, plan);
    }
}

enum { CHUNK = 256, ELEMENT_MAX = 16, SHORT_ROW = 16 };

/* n elements of `size` bytes, all equal to the first or in a row, to dst. Short n: no memcpy calls.
 */
#define COPY(T)                                                                                    \
    do {                                                                                           \
        T *to = dst;                                                                               \
        const T *from = src;                                                                       \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = from[i * stride];                                                              \
    } while (0)
struct wide {
    uint64_t low, high;
};
static void copy_elements(void *dst, const void *src, size_t size, size_t stride, size_t n) {
    switch (size) {
    case 1:
        COPY(uint8_t);
        break;
    case 2:
        COPY(uint16_t);
        break;
    case 4:
        COPY(uint32_t);
        break;
    case 8:
        COPY(uint64_t);
        break;
    default:
        COPY(struct wide);
        break;
    }
}
#undef COPY

/* Copies the broadcast operands of a stretch of many short rows into buffers, then calls the kernel
 * on whole vectors. */
static void run_chunks(void *arg, size_t begin, size_t end) {
    const struct plan *plan = arg;
    size_t inner = plan->dims[plan->rank - 1], column = begin % inner;
    struct cursor at;
    seek(&at, plan, begin / inner);
    uint64_t buffers[OX_BCAST_MAX_IN][CHUNK * ELEMENT_MAX / sizeof(uint64_t)];
    while (begin < end) {
        size_t count = end - begin < CHUNK ? end - begin : CHUNK;
        for (size_t done = 0; done < count;) {
            size_t n = inner - column < count - done ? inner - column : count - done;
            for (size_t i = 0; i < plan->n_in; i++) {
                if (plan->whole[i]) continue;
                size_t size = plan->in[i].size, stride = plan->strides[i][plan->rank - 1];
                copy_elements((unsigned char *)buffers[i] + done * size,
                              (const unsigned char *)plan->in[i].data +
                                  (at.base[i] + column * stride) * size,
                              size, stride, n);
            }
            done += n;
            column += n;
            if (column == inner) {
                column = 0;
                next_row(&at, plan);
            }
        }
        const void *in[OX_BCAST_MAX_IN] = {0};
        for (size_t i = 0; i < plan->n_in; i++)
            in[i] = plan->whole[i]
                        ? (const unsigned char *)plan->in[i].data + begin * plan->in[i].size
                        : (const void *)buffers[i];
        plan->fn(plan->out + begin * plan->out_size, in, 0, count, plan->arg);
        begin += count;
    }
}

enum { NANOSECONDS_WORTH_A_THREAD = 30000 };

void ox_run_loop(ox_ctx *ctx, ox_loop_fn fn, const void *arg, size_t cost, void *out,
                 size_t out_size, int rank, const int64_t *dims, size_t n_in,
                 const struct ox_loop_operand *in) {
    struct plan plan;
    size_t total = 1;
    for (int d = 0; d < rank; d++)
        total *= (size_t)dims[d]; /* the output exists, so this does not overflow */
    if (total == 0) return;
    plan.n_in = n_in;
    plan.out = out;
    plan.out_size = out_size;
    plan.fn = fn;
    plan.arg = arg;
    for (size_t i = 0; i < n_in; i++)
        plan.in[i] = in[i];
    make_plan(&plan, rank, dims);
    bool many_short_rows = plan.rank > 1 && plan.dims[plan.rank - 1] < SHORT_ROW;
    ox_parallel(ctx, total, NANOSECONDS_WORTH_A_THREAD / (cost ? cost : 1) + 1,
                many_short_rows ? run_chunks : run_rows, &plan);
}

void ox_run_map(ox_ctx *ctx, ox_loop_fn fn, const void *arg, size_t cost, void *out,
                size_t out_size, const void *in, size_t in_size, size_t n) {
    int64_t dim = (int64_t)n;
    struct ox_loop_operand operand = {in, in_size, 1, &dim};
    ox_run_loop(ctx, fn, arg, cost, out, out_size, 1, &dim, 1, &operand);
}
