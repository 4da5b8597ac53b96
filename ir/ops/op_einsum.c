/* ir/ops/op_einsum.c - Einsum: sums of products by labelled dims.
 *
 * The equation becomes a list of labels for each operand and for the output. Operands are
 * contracted from left to right: what is known so far times the next operand is one batched matrix
 * product, whose dims are the labels of both that are still needed (batch), of the left one (rows),
 * of the right one (columns), and those that nobody needs any more (summed). */
#include "ir/ops/kernel_product.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"

enum { LETTERS = 52 };

/* Labels 0..51 are letters in ASCII order; 52 + i is the i-th dim of an ellipsis, counted from the
 * right. */
struct term {
    int rank;
    unsigned char labels[OX_MAX_RANK];
};

struct equation {
    size_t n; /* operands */
    struct term in[OX_EINSUM_MAX_IN], out;
};

/* ---- the equation ---------------------------------------------------------------------------- */

static int letter(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    return -1;
}

/* A term as written: letters and where its ellipsis stands. */
struct written {
    int letters, ellipsis; /* -1: none */
    unsigned char labels[OX_MAX_RANK];
};

static ox_status bad_equation(const struct ox_call *call, const char *why) {
    return ox_bad_attr(call, "equation: %s", why);
}

/* Reads one term up to ',', "->" or the end. */
static ox_status read_term(struct written *t, const struct ox_call *call, const char **at,
                           const char *end) {
    *t = (struct written){.ellipsis = -1};
    for (; *at < end && **at != ',' && **at != '-'; ++*at) {
        if (**at == ' ') continue;
        if (**at == '.') {
            if (t->ellipsis >= 0 || end - *at < 3 || (*at)[1] != '.' || (*at)[2] != '.')
                return bad_equation(call, "a misplaced dot");
            t->ellipsis = t->letters;
            *at += 2;
            continue;
        }
        int label = letter(**at);
        if (label < 0) return bad_equation(call, "an unexpected character");
        if (t->letters == OX_MAX_RANK) return bad_equation(call, "a term with too many letters");
        t->labels[t->letters++] = (unsigned char)label;
    }
    return OX_OK;
}

struct parsed {
    size_t n;
    struct written in[OX_EINSUM_MAX_IN], out;
    bool explicit_out;
};

static ox_status parse(struct parsed *p, const struct ox_call *call, struct ox_str text) {
    const char *at = text.ptr, *end = text.ptr + text.len;
    *p = (struct parsed){.n = 0};
    for (;;) {
        if (p->n == OX_EINSUM_MAX_IN)
            return ox_no_kernel(call, "Einsum of more than %d operands", OX_EINSUM_MAX_IN);
        OX_TRY(read_term(&p->in[p->n++], call, &at, end));
        if (at == end || *at != ',') break;
        at++;
    }
    if (at < end) {
        if (end - at < 2 || at[1] != '>') return bad_equation(call, "a misplaced '-'");
        at += 2;
        p->explicit_out = true;
        OX_TRY(read_term(&p->out, call, &at, end));
        if (at < end) return bad_equation(call, "text behind the output term");
    }
    if (p->n != call->n_in)
        return ox_bad_attr(call, "equation has %zu terms for %zu operands", p->n, call->n_in);
    return OX_OK;
}

ox_status ox_decode_einsum(const struct ox_call *call, void *params) {
    struct ox_einsum_params *p = params;
    struct parsed parsed;
    OX_TRY(ox_attr_string(&p->equation, call, "equation", NULL));
    if (!p->equation.ptr) return ox_bad_attr(call, "attribute 'equation' is missing");
    return parse(&parsed, call, p->equation);
}

/* Gives an ellipsis of `dims` dims its labels. */
static ox_status expand(struct term *to, const struct ox_call *call, const struct written *from,
                        int dims) {
    to->rank = 0;
    if (from->letters + dims > OX_MAX_RANK) return bad_equation(call, "a term of too many dims");
    for (int i = 0; i <= from->letters; i++) {
        for (int d = dims; from->ellipsis == i && d > 0; d--)
            to->labels[to->rank++] = (unsigned char)(LETTERS + d - 1);
        if (i < from->letters) to->labels[to->rank++] = from->labels[i];
    }
    return OX_OK;
}

/* The output of an equation that does not name it: the ellipsis, then letters that occur once, in
 * order. */
static void implicit_output(struct written *out, const struct parsed *p) {
    int seen[LETTERS] = {0};
    *out = (struct written){.ellipsis = 0};
    for (size_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->in[i].letters; k++)
            seen[p->in[i].labels[k]]++;
    for (int l = 0; l < LETTERS; l++)
        if (seen[l] == 1) out->labels[out->letters++] = (unsigned char)l;
}

/* Labels for operands of these ranks, all of which are known. */
static ox_status resolve(struct equation *e, const struct ox_call *call,
                         const struct ox_einsum_params *params, const int *ranks) {
    struct parsed p;
    OX_TRY(parse(&p, call, params->equation));
    e->n = p.n;
    int most = 0;
    bool seen[OX_EINSUM_LABELS] = {false};
    for (size_t i = 0; i < p.n; i++) {
        int dims = ranks[i] - p.in[i].letters;
        if (dims < 0 || (dims > 0 && p.in[i].ellipsis < 0))
            return ox_bad_shape(call, "operand %zu has rank %d, its term %d letters", i, ranks[i],
                                p.in[i].letters);
        if (p.in[i].ellipsis >= 0 && dims > most) most = dims;
        OX_TRY(expand(&e->in[i], call, &p.in[i], p.in[i].ellipsis >= 0 ? dims : 0));
        for (int k = 0; k < e->in[i].rank; k++)
            seen[e->in[i].labels[k]] = true;
    }
    if (!p.explicit_out) implicit_output(&p.out, &p);
    OX_TRY(expand(&e->out, call, &p.out, p.out.ellipsis >= 0 ? most : 0));
    for (int k = 0; k < e->out.rank; k++) {
        if (!seen[e->out.labels[k]])
            return bad_equation(call, "the output has a label that no operand has, or one twice");
        seen[e->out.labels[k]] = false;
    }
    return OX_OK;
}

/* ---- infer ----------------------------------------------------------------------------------- */

/* Einsum's dims broadcast: 1 gives way. */
static ox_status join(const struct ox_call *call, struct ox_infer *io, ox_dim *to, bool *known,
                      ox_dim dim) {
    int rank = 1;
    if (*known) return ox_infer_broadcast(call, io, &rank, to, 1, &dim);
    *known = true;
    *to = dim;
    return OX_OK;
}

ox_status ox_infer_einsum(const struct ox_call *call, const void *params, struct ox_infer *io) {
    ox_dtype dtype = OX_UNDEFINED;
    int ranks[OX_EINSUM_MAX_IN];
    bool all = true;
    for (size_t i = 0; i < call->n_in && i < OX_EINSUM_MAX_IN; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_NUMBERS));
        OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), i, ox_in_dtype(io, i)));
        if (dtype == OX_UNDEFINED) dtype = ox_in_dtype(io, i);
        ranks[i] = ox_in_rank(io, i);
        all = all && ranks[i] >= 0;
    }
    if (!all) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    struct equation e;
    ox_dim dims[OX_EINSUM_LABELS], out[OX_MAX_RANK];
    bool known[OX_EINSUM_LABELS] = {false};
    OX_TRY(resolve(&e, call, params, ranks));
    for (size_t i = 0; i < e.n; i++)
        for (int k = 0; k < e.in[i].rank; k++) {
            unsigned char label = e.in[i].labels[k];
            OX_TRY(join(call, io, &dims[label], &known[label], io->in[i]->dims[k]));
        }
    for (int k = 0; k < e.out.rank; k++)
        out[k] = dims[e.out.labels[k]];
    return ox_infer_tensor(io, 0, dtype, e.out.rank, out);
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* A tensor read by labels. */
struct view {
    const void *data;
    bool has[OX_EINSUM_LABELS];
    size_t stride[OX_EINSUM_LABELS]; /* in elements; 0 where it is broadcast */
};

/* A list of labels with their dims; the last runs fastest. */
struct axes {
    int n;
    unsigned char labels[OX_EINSUM_LABELS];
    size_t count; /* product of the dims */
};

struct job {
    const struct ox_call *call;
    ox_dtype dtype;
    size_t size; /* bytes of an element */
    size_t dims[OX_EINSUM_LABELS];
};

static void add_axis(struct axes *a, const struct job *j, int label) {
    a->labels[a->n++] = (unsigned char)label;
    if (a->count == SIZE_MAX || ox_mul_size(&a->count, a->count, j->dims[label]))
        a->count = SIZE_MAX; /* scratch() refuses it */
}

/* Elements of `view` in the order of up to three lists of labels, outermost first, one behind the
 * other. */
static void gather(void *dst, const struct view *view, const struct job *j,
                   const struct axes *const *order, size_t n_order) {
    unsigned char labels[OX_EINSUM_LABELS];
    int n = 0;
    size_t total = 1, at = 0, coord[OX_EINSUM_LABELS] = {0};
    for (size_t o = 0; o < n_order; o++) {
        for (int k = 0; k < order[o]->n; k++)
            labels[n++] = order[o]->labels[k];
        total *= order[o]->count;
    }
    size_t inner = n > 0 ? j->dims[labels[n - 1]] : 1;
    size_t step = n > 0 ? view->stride[labels[n - 1]] * j->size : 0;
    unsigned char *to = dst;
    for (size_t done = 0; done < total; done += inner) {
        const unsigned char *from = (const unsigned char *)view->data + at * j->size;
        if (step == j->size) {
            memcpy(to, from, inner * j->size);
            to += inner * j->size;
        } else {
            for (size_t i = 0; i < inner; i++, to += j->size)
                memcpy(to, from + i * step, j->size);
        }
        for (int d = n - 2; d >= 0; d--) {
            at += view->stride[labels[d]];
            if (++coord[d] < j->dims[labels[d]]) break;
            at -= view->stride[labels[d]] * coord[d];
            coord[d] = 0;
        }
    }
}

/* The size of a list of dims, checked. */
static ox_status scratch(ox_tensor **out, void **data, const struct job *j,
                         const struct axes *const *lists, size_t n_lists) {
    int64_t dims[3];
    for (size_t i = 0; i < n_lists; i++) {
        if (lists[i]->count > INT64_MAX) return ox_bad_shape(j->call, "a sum of too many terms");
        dims[i] = (int64_t)lists[i]->count;
    }
    return ox_tensor_new_raw(out, data, j->call->ctx, j->dtype, (int)n_lists, dims);
}

/* left becomes left times right, keeping labels in `keep`. *owned is what left's data stands on. */
static ox_status contract(const struct job *j, struct view *left, ox_tensor **owned,
                          const struct view *right, const bool *keep) {
    struct axes b = {.count = 1}, m = {.count = 1}, n = {.count = 1}, k = {.count = 1};
    for (int l = 0; l < OX_EINSUM_LABELS; l++) {
        if (!left->has[l] && !right->has[l]) continue;
        add_axis(!keep[l] ? &k : !right->has[l] ? &m : !left->has[l] ? &n : &b, j, l);
    }
    const struct axes *bmk[] = {&b, &m, &k}, *bkn[] = {&b, &k, &n}, *bmn[] = {&b, &m, &n};
    ox_tensor *a_copy = NULL, *b_copy = NULL, *result = NULL;
    void *x = NULL, *y = NULL, *z = NULL;
    ox_status status = scratch(&a_copy, &x, j, bmk, 3);
    if (status == OX_OK) status = scratch(&b_copy, &y, j, bkn, 3);
    if (status == OX_OK) status = scratch(&result, &z, j, bmn, 3);
    size_t *at = NULL;
    if (status == OX_OK) status = ox_alloc_raw(j->call->ctx, &at, b.count, 3 * sizeof *at);
    if (status == OX_OK) {
        gather(x, left, j, bmk, 3);
        gather(y, right, j, bkn, 3);
        for (size_t i = 0; i < b.count; i++) {
            at[i] = i * m.count * k.count;
            at[b.count + i] = i * k.count * n.count;
            at[2 * b.count + i] = i * m.count * n.count;
        }
        struct ox_product p = {
            .dtype = j->dtype,
            .m = m.count,
            .n = n.count,
            .k = k.count,
            .a = x,
            .a_rs = k.count,
            .a_cs = 1,
            .b = y,
            .b_rs = n.count,
            .b_cs = 1,
            .c = z,
            .c_rs = n.count,
            .batch = b.count,
            .a_at = at,
            .b_at = at + b.count,
            .c_at = at + 2 * b.count,
        };
        status = ox_product(j->call->ctx, &p);
    }
    ox_free(j->call->ctx, at);
    ox_tensor_unref(a_copy);
    ox_tensor_unref(b_copy);
    if (status != OX_OK) {
        ox_tensor_unref(result);
        return status;
    }
    ox_tensor_unref(*owned);
    *owned = result;
    *left = (struct view){.data = result->data};
    size_t stride = 1;
    for (int o = 2; o >= 0; o--)
        for (int i = bmn[o]->n - 1; i >= 0; i--) {
            int l = bmn[o]->labels[i];
            left->has[l] = true;
            left->stride[l] = stride;
            stride *= j->dims[l];
        }
    return OX_OK;
}

/* Dims of all labels, and each operand as a view. */
static ox_status make_views(struct job *j, struct view *views, const struct equation *e,
                            const ox_tensor *const *in) {
    bool known[OX_EINSUM_LABELS] = {false};
    for (size_t i = 0; i < e->n; i++)
        for (int k = 0; k < e->in[i].rank; k++) {
            int l = e->in[i].labels[k];
            size_t dim = (size_t)in[i]->dims[k];
            if (!known[l] || j->dims[l] == 1) j->dims[l] = dim;
            known[l] = true;
        }
    for (size_t i = 0; i < e->n; i++) {
        size_t stride = 1;
        views[i] = (struct view){.data = in[i]->data};
        for (int k = e->in[i].rank - 1; k >= 0; k--) {
            int l = e->in[i].labels[k];
            size_t dim = (size_t)in[i]->dims[k];
            if (dim != j->dims[l] && dim != 1)
                return ox_bad_shape(j->call, "operand %zu has the dim %zu where others have %zu", i,
                                    dim, j->dims[l]);
            views[i].has[l] = true;
            if (dim != 1) views[i].stride[l] += stride; /* a label twice walks the diagonal */
            stride *= dim;
        }
    }
    return OX_OK;
}

/* Sums away the labels that neither the other operand has nor anybody needs later: as part of the
 * product they would be multiplied out first. */
static ox_status reduce(const struct job *j, struct view *view, ox_tensor **owned,
                        const struct view *other, const bool *keep) {
    static const union {
        uint64_t u;
        double d;
        float f;
    } one_f = {.f = 1}, one_d = {.d = 1}, one_u = {.u = 1};
    struct view one = {.data = &one_u};
    if (j->dtype == OX_FLOAT) one.data = &one_f;
    if (j->dtype == OX_DOUBLE) one.data = &one_d;
    bool both[OX_EINSUM_LABELS], any = false;
    for (int l = 0; l < OX_EINSUM_LABELS; l++) {
        both[l] = keep[l] || (other && other->has[l]);
        any = any || (view->has[l] && !both[l]);
    }
    return any ? contract(j, view, owned, &one, both) : OX_OK;
}

/* Contracts all operands into views[0]. owned has an entry for each view. */
static ox_status contract_all(const struct job *j, struct view *views, ox_tensor **owned,
                              const struct equation *e) {
    for (size_t i = 0; i < e->n; i++) {
        bool keep[OX_EINSUM_LABELS] = {false};
        for (int k = 0; k < e->out.rank; k++)
            keep[e->out.labels[k]] = true;
        for (size_t later = i + 1; later < e->n; later++)
            for (int k = 0; k < e->in[later].rank; k++)
                keep[e->in[later].labels[k]] = true;
        OX_TRY(reduce(j, &views[0], &owned[0], i > 0 ? &views[i] : NULL, keep));
        if (i == 0) continue;
        OX_TRY(reduce(j, &views[i], &owned[i], &views[0], keep));
        OX_TRY(contract(j, &views[0], &owned[0], &views[i], keep));
    }
    return OX_OK;
}

ox_status ox_eval_einsum(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    if (ox_is_narrow(in[0]->dtype)) return ox_eval_wide(ox_eval_einsum, call, params, in, out, 1);
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_NUMBERS));
    int ranks[OX_EINSUM_MAX_IN];
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, i, in[i]->dtype));
        ranks[i] = in[i]->rank;
    }
    struct equation e;
    OX_TRY(resolve(&e, call, params, ranks));
    struct job j = {
        .call = call, .dtype = in[0]->dtype, .size = (size_t)ox_dtype_bits(in[0]->dtype) / 8};
    struct view *views;
    ox_tensor *owned[OX_EINSUM_MAX_IN] = {NULL};
    OX_TRY(ox_alloc(call->ctx, &views, e.n, sizeof *views));
    ox_status status = make_views(&j, views, &e, in);
    struct axes order = {.count = 1};
    const struct axes *lists[] = {&order};
    int64_t dims[OX_MAX_RANK];
    void *y = NULL;
    if (status == OX_OK) {
        for (int k = 0; k < e.out.rank; k++) {
            add_axis(&order, &j, e.out.labels[k]);
            dims[k] = (int64_t)j.dims[e.out.labels[k]];
        }
        status = ox_tensor_new_raw(&out[0], &y, call->ctx, j.dtype, e.out.rank, dims);
    }
    if (status == OX_OK && out[0]->count > 0) {
        status = contract_all(&j, views, owned, &e);
        if (status == OX_OK) gather(y, &views[0], &j, lists, 1);
    }
    for (size_t i = 0; i < e.n; i++)
        ox_tensor_unref(owned[i]);
    ox_free(call->ctx, views);
    return status;
}
