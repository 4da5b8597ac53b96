/* ir/ops/op_tfidf.c - TfIdfVectorizer: counts how often each n-gram of a pool occurs in a row.
 *
 * The pool is made into a tree of n-grams: a node for each beginning of one, its children by their
 * next item. Items are numbered first, so a child is found by one look-up of (node, item). Then
 * every row is walked from each position, with each distance between items that max_skip_count
 * allows; single items count once only. */
#include "ir/ops/key_map.h"
#include "ir/ops/op_args.h"
#include "ir/ops/op_priv.h"

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status read_pool(struct ox_tfidf_params *p, const struct ox_call *call) {
    size_t n_ints, n_strings;
    OX_TRY(ox_attr_ints(&p->ints, &n_ints, call, "pool_int64s"));
    OX_TRY(ox_attr_strings(&p->strings, &n_strings, call, "pool_strings"));
    if ((n_ints == SIZE_MAX) == (n_strings == SIZE_MAX))
        return ox_bad_attr(call, "exactly one of pool_int64s and pool_strings must be there");
    p->n_pool = n_ints == SIZE_MAX ? n_strings : n_ints;
    return OX_OK;
}

static ox_status required(const int64_t **ints, size_t *n, const struct ox_call *call,
                          const char *name) {
    OX_TRY(ox_attr_ints(ints, n, call, name));
    return *n == SIZE_MAX ? ox_bad_attr(call, "attribute '%s' is missing", name) : OX_OK;
}

/* n-grams of 1, 2, ... items follow one another; counts says where each length begins. */
static ox_status check_pool(const struct ox_tfidf_params *p, const struct ox_call *call) {
    size_t ngrams = 0;
    for (size_t i = 0; i < p->n_counts; i++) {
        int64_t begin = p->counts[i],
                end = i + 1 < p->n_counts ? p->counts[i + 1] : (int64_t)p->n_pool;
        if (begin < 0 || end < begin || (size_t)end > p->n_pool || (size_t)(end - begin) % (i + 1))
            return ox_bad_attr(
                call, "ngram_counts does not cut the pool of %zu items into n-grams of %zu",
                p->n_pool, i + 1);
        ngrams += (size_t)(end - begin) / (i + 1);
    }
    if (ngrams != p->n_indexes)
        return ox_bad_attr(call, "ngram_indexes has %zu entries for %zu n-grams of the pool",
                           p->n_indexes, ngrams);
    return OX_OK;
}

ox_status ox_decode_tfidf(const struct ox_call *call, void *params) {
    static const char *const modes[] = {"TF", "IDF", "TFIDF", NULL};
    struct ox_tfidf_params *p = params;
    static const char *const needed[] = {"mode", "min_gram_length", "max_gram_length",
                                         "max_skip_count"};
    int mode;
    size_t n_weights;
    for (int i = 0; i < 4; i++)
        if (!ox_attr_find(call, needed[i]))
            return ox_bad_attr(call, "attribute '%s' is missing", needed[i]);
    OX_TRY(ox_attr_choice(&mode, call, "mode", modes, 0));
    OX_TRY(ox_attr_int(&p->min_length, call, "min_gram_length", 1));
    OX_TRY(ox_attr_int(&p->max_length, call, "max_gram_length", 1));
    OX_TRY(ox_attr_int(&p->max_skip, call, "max_skip_count", 0));
    OX_TRY(required(&p->counts, &p->n_counts, call, "ngram_counts"));
    OX_TRY(required(&p->indexes, &p->n_indexes, call, "ngram_indexes"));
    OX_TRY(ox_attr_floats(&p->weights, &n_weights, call, "weights"));
    OX_TRY(read_pool(p, call));
    p->mode = (enum ox_tfidf_mode)mode;
    if (p->min_length < 1 || p->max_length < p->min_length || p->max_skip < 0)
        return ox_bad_attr(call, "n-grams of %lld to %lld items with %lld skipped",
                           (long long)p->min_length, (long long)p->max_length,
                           (long long)p->max_skip);
    OX_TRY(check_pool(p, call));
    for (size_t i = 0; i < p->n_indexes; i++) {
        if (p->indexes[i] < 0 || p->indexes[i] == INT64_MAX)
            return ox_bad_attr(call, "ngram_indexes[%zu] is out of range", i);
        if (p->indexes[i] >= p->columns) p->columns = p->indexes[i] + 1;
    }
    if (p->columns == 0) return ox_bad_attr(call, "attribute 'ngram_indexes' is empty");
    if (n_weights != SIZE_MAX && n_weights != 0 &&
        ((int64_t)n_weights < p->columns || n_weights != p->n_indexes))
        return ox_bad_attr(call, "%zu weights for %zu n-grams in %lld columns", n_weights,
                           p->n_indexes, (long long)p->columns);
    if (n_weights == 0) p->weights = NULL;
    return OX_OK;
}

/* The attributes decide between text and numbers. */
static ox_status expect_pool(const struct ox_call *call, ox_dtype dtype, ox_dtypes types) {
    if (dtype == OX_UNDEFINED || types & OX_BIT(dtype)) return OX_OK;
    if (dtype != OX_STRING && dtype != OX_INT32 && dtype != OX_INT64)
        return ox_expect_dtype(call, 0, dtype, types);
    return ox_bad_attr(call,
                       "the pool of %s is of another type than its input, which is of type %s",
                       call->op->name, ox_dtype_name(dtype));
}

ox_status ox_infer_tfidf(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_tfidf_params *p = params;
    int rank = ox_in_rank(io, 0);
    ox_dtypes types = p->strings ? OX_BIT(OX_STRING) : OX_BIT(OX_INT32) | OX_BIT(OX_INT64);
    ox_dim dims[2] = {ox_dim_const(p->columns), ox_dim_const(p->columns)};
    OX_TRY(expect_pool(call, ox_in_dtype(io, 0), types));
    if (rank < 0) return ox_infer_tensor(io, 0, OX_FLOAT, -1, NULL);
    if (rank > 2) return ox_bad_shape(call, "the input has rank %d, expected [C] or [N,C]", rank);
    if (rank == 2) dims[0] = io->in[0]->dims[0];
    return ox_infer_tensor(io, 0, OX_FLOAT, rank == 2 ? 2 : 1, dims);
}

/* ---- eval ------------------------------------------------------------------------------------ */

struct grams {
    struct ox_key_map items; /* items of the pool to numbers */
    struct ox_key_map edges; /* node * n_pool + item, to a child; node 0 is the root */
    size_t *ngram;           /* of a node: 1 + which n-gram ends here, or 0 */
    size_t n_items, n_nodes;
};

static struct ox_key pool_key(const struct ox_tfidf_params *p, size_t i) {
    return p->strings ? ox_key_string(p->strings[i]) : ox_key_int(p->ints[i]);
}

static struct ox_key edge(const struct grams *g, size_t node, size_t item) {
    return (struct ox_key){NULL, (uint64_t)node * g->n_items + item};
}

void ox_forget_tfidf(void *state, ox_ctx *ctx) {
    struct grams *g = state;
    ox_key_map_fini(&g->items, ctx);
    ox_key_map_fini(&g->edges, ctx);
    ox_free(ctx, g->ngram);
    ox_free(ctx, g);
}

static ox_status build(struct grams *g, const struct ox_call *call,
                       const struct ox_tfidf_params *p) {
    size_t ngram = 0;
    OX_TRY(ox_key_map_init(&g->items, call->ctx, p->n_pool));
    OX_TRY(ox_key_map_init(&g->edges, call->ctx, p->n_pool));
    OX_TRY(ox_alloc(call->ctx, &g->ngram, p->n_pool + 1, sizeof *g->ngram));
    for (size_t i = 0; i < p->n_pool; i++)
        if (ox_key_map_put(&g->items, pool_key(p, i), g->n_items) == g->n_items) g->n_items++;
    g->n_nodes = 1;
    for (size_t k = 0; k < p->n_counts; k++) {
        size_t end = k + 1 < p->n_counts ? (size_t)p->counts[k + 1] : p->n_pool, length = k + 1;
        bool used = (int64_t)length >= p->min_length && (int64_t)length <= p->max_length;
        for (size_t i = (size_t)p->counts[k]; i < end; i += length) {
            size_t node = 0;
            ngram++;
            for (size_t m = 0; used && m < length; m++) {
                size_t item = ox_key_map_get(&g->items, pool_key(p, i + m));
                node = ox_key_map_put(&g->edges, edge(g, node, item), g->n_nodes);
                if (node == g->n_nodes) g->n_nodes++;
            }
            if (used) g->ngram[node] = ngram;
        }
    }
    return OX_OK;
}

ox_status ox_prepare_tfidf(const struct ox_call *call, const void *params, void **state) {
    struct grams *g;
    OX_TRY(ox_alloc(call->ctx, &g, 1, sizeof *g));
    ox_status s = build(g, call, params);
    if (s == OX_OK)
        *state = g;
    else
        ox_forget_tfidf(g, call->ctx);
    return s;
}

/* All n-grams that begin at items[start], with `distance` between their items. */
static void count_from(float *row, const struct grams *g, const struct ox_tfidf_params *p,
                       const size_t *items, size_t n, size_t start, size_t distance,
                       int64_t shortest) {
    size_t node = 0, at = start;
    for (int64_t length = 1; length <= p->max_length; length++, at += distance) {
        if (items[at] == SIZE_MAX) return;
        node = ox_key_map_get(&g->edges, edge(g, node, items[at]));
        if (node == SIZE_MAX) return;
        if (length >= shortest && g->ngram[node]) row[p->indexes[g->ngram[node] - 1]] += 1;
        if (n - at <= distance) return;
    }
}

static void count_row(float *row, const struct grams *g, const struct ox_tfidf_params *p,
                      const size_t *items, size_t n) {
    int64_t shortest = p->min_length;
    for (size_t distance = 1; distance <= n && (int64_t)distance - 1 <= p->max_skip; distance++) {
        for (size_t start = 0; start < n; start++)
            count_from(row, g, p, items, n, start, distance, shortest);
        if (shortest == 1 && ++shortest > p->max_length) return;
    }
}

static ox_status count_all(ox_tensor **out, const struct ox_call *call,
                           const struct ox_tfidf_params *p, const ox_tensor *x,
                           const struct grams *g) {
    int64_t dims[2] = {p->columns, p->columns};
    size_t rows = 1, n = x->count;
    size_t *items;
    void *data;
    if (x->rank == 2) {
        dims[0] = x->dims[0];
        rows = (size_t)x->dims[0];
        n = (size_t)x->dims[1];
    }
    OX_TRY(ox_tensor_new(out, &data, call->ctx, OX_FLOAT, x->rank == 2 ? 2 : 1, dims));
    OX_TRY(ox_alloc(call->ctx, &items, n, sizeof *items));
    float *y = data;
    for (size_t r = 0; r < rows; r++, y += p->columns) {
        for (size_t i = 0; i < n; i++) {
            struct ox_key key = p->strings
                                    ? ox_key_string(((const struct ox_str *)x->data)[r * n + i])
                                    : ox_key_int(ox_tensor_int(x, r * n + i));
            items[i] = ox_key_map_get(&g->items, key);
        }
        count_row(y, g, p, items, n);
        for (int64_t c = 0; p->mode != OX_TFIDF_TF && c < p->columns; c++) {
            float w = p->weights ? p->weights[c] : 1;
            y[c] = p->mode == OX_TFIDF_IDF ? (y[c] > 0 ? w : 0) : y[c] * w;
        }
    }
    ox_free(call->ctx, items);
    return OX_OK;
}

ox_status ox_eval_tfidf(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    const struct ox_tfidf_params *p = params;
    ox_dtypes types = p->strings ? OX_BIT(OX_STRING) : OX_BIT(OX_INT32) | OX_BIT(OX_INT64);
    OX_TRY(expect_pool(call, in[0]->dtype, types));
    if (in[0]->rank > 2)
        return ox_bad_shape(call, "the input has rank %d, expected [C] or [N,C]", in[0]->rank);
    return count_all(&out[0], call, p, in[0], call->prepared);
}
