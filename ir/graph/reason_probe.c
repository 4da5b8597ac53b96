/* ir/graph/reason_probe.c - which operand is it that keeps an operator from knowing its output? See
 * reason_priv.h.
 *
 * No list says which operators read which operand: the row is asked again as if an operand were
 * known, and what becomes of the output tells. A type is made up by one symbol for all its unknown
 * dims (equal where they meet), then by numbers; elements by that symbol, by ones, and by 0, 1, 2
 * ... (axes must differ). Dims made on the way stay in the model's table: few, and only when
 * somebody asks why. */
#include "ir/graph/reason_priv.h"

/* So many operands are looked at one by one; behind them stands only the question whether all
 * together are to blame. */
enum { EACH_MAX = 16, RANKS_MAX = 6, ANY_COUNT = 4 };

struct asking {
    const struct ox_probe *p;
    struct ox_call call;
    struct ox_infer io;
    const struct ox_type **in, **out;
    const struct ox_partial **in_values, **out_values;
    const struct ox_tensor **consts;
    ox_dim any;
    bool contradicts; /* the last answer */
};

enum ox_lack ox_type_lack(int *dim, const struct ox_type *type) {
    while (type && (type->kind == OX_TYPE_SEQUENCE || type->kind == OX_TYPE_OPTIONAL))
        type = type->elem;
    if (!type || type->kind == OX_TYPE_UNKNOWN) return OX_LACK_TYPE;
    if (type->kind == OX_TYPE_MAP) return OX_LACK_NOTHING;
    if (type->dtype == OX_UNDEFINED) return OX_LACK_TYPE;
    if (type->rank < 0) return OX_LACK_RANK;
    for (int i = 0; i < type->rank; i++) {
        if (ox_dim_is_known(type->dims[i])) continue;
        if (dim) *dim = i;
        return OX_LACK_DIM;
    }
    return OX_LACK_NOTHING;
}

static bool all_known(const struct ox_partial *p) {
    for (size_t i = 0; p && i < p->count; i++)
        if (!ox_dim_is_known(p->elems[i])) return false;
    return p != NULL;
}

/* How many elements the operand has, or could have; 0: too many, or it is no vector. */
static size_t vector_length(const struct ox_type *t) {
    if (!ox_type_is_tensor(t) || t->rank < 0) return ANY_COUNT;
    if (t->rank == 0) return 1;
    if (t->rank > 1) return 0;
    if (!ox_dim_is_const(t->dims[0])) return ANY_COUNT;
    return t->dims[0].k <= OX_PARTIAL_MAX ? (size_t)t->dims[0].k : 0;
}

ox_status ox_elements_lack(bool *out, struct ox_shapes *s, const struct ox_value *value) {
    const struct ox_type *t = value->type;
    const struct ox_partial *known;
    *out = false;
    if (!ox_type_is_tensor(t) ||
        (t->dtype != OX_INT64 && t->dtype != OX_INT32 && t->dtype != OX_BOOL) ||
        vector_length(t) == 0)
        return OX_OK;
    if (ox_value_const(value)) return OX_OK;
    OX_TRY(ox_infer_known(&known, s, value));
    *out = !all_known(known);
    return OX_OK;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool answered(const struct asking *a) {
    const struct ox_type *t = a->out[a->p->out];
    if (a->p->lack == OX_LACK_ELEMENTS) return all_known(a->out_values[a->p->out]);
    while (t && (t->kind == OX_TYPE_SEQUENCE || t->kind == OX_TYPE_OPTIONAL))
        t = t->elem;
    if (a->p->lack == OX_LACK_DIM)
        return ox_type_is_tensor(t) && t->rank > a->p->dim && ox_dim_is_known(t->dims[a->p->dim]);
    return ox_type_lack(NULL, t) > a->p->lack;
}

/* One question: is the output known now? Failing for another reason than a contradiction is
 * forwarded. */
static ox_status ask(bool *known, struct asking *a) {
    size_t n_out = a->call.n_out;
    struct ox_arena_mark mark = ox_arena_mark(a->io.arena);
    memset(a->out, 0, n_out * sizeof *a->out);
    memset(a->out_values, 0, n_out * sizeof *a->out_values);
    a->io.why = NULL;
    ox_mute(a->call.ctx, true);
    ox_status status = ox_op_infer(&a->call, &a->io);
    ox_mute(a->call.ctx, false);
    a->contradicts = status == OX_INVALID || status == OX_UNSUPPORTED;
    *known = status == OX_OK && answered(a);
    ox_arena_rewind(a->io.arena, mark);
    return a->contradicts ? OX_OK : status;
}

/* The type with every unknown dim made `dim`, of rank `rank` where that is unknown. */
static ox_status made_up(const struct ox_type **out, struct asking *a, const struct ox_type *t,
                         int rank, ox_dim dim) {
    ox_dim dims[OX_MAX_RANK];
    struct ox_type *list;
    if (t && (t->kind == OX_TYPE_SEQUENCE || t->kind == OX_TYPE_OPTIONAL)) {
        OX_TRY(ox_arena_alloc(a->io.arena, &list, 1, sizeof *list));
        *list = *t;
        *out = list;
        return made_up(&list->elem, a, t->elem, rank, dim);
    }
    if (ox_type_is_tensor(t) && t->rank >= 0) rank = t->rank;
    for (int i = 0; i < rank; i++)
        dims[i] =
            ox_type_is_tensor(t) && t->rank >= 0 && ox_dim_is_known(t->dims[i]) ? t->dims[i] : dim;
    return ox_type_tensor(out, a->io.arena, ox_type_is_tensor(t) && t->dtype ? t->dtype : OX_FLOAT,
                          rank, dims);
}

/* Gives operands [from, to) whose types are not known made-up ones, and asks. */
static ox_status with_types(bool *known, struct asking *a, size_t from, size_t to) {
    const struct ox_node *n = a->p->node;
    *known = false;
    for (int rank = 0; rank < RANKS_MAX && !*known; rank++) {
        for (int number = 0; number < 2 && !*known; number++) {
            bool open = false;
            struct ox_arena_mark mark = ox_arena_mark(a->io.arena);
            for (size_t j = from; j < to; j++) {
                const struct ox_value *v = ox_node_in(n, j);
                enum ox_lack lack = v ? ox_type_lack(NULL, v->type) : OX_LACK_NOTHING;
                if (lack == OX_LACK_NOTHING) continue;
                open = open || lack < OX_LACK_DIM;
                OX_TRY(made_up(&a->in[j], a, v->type, RANKS_MAX - 1 - rank,
                               number ? ox_dim_const(2) : a->any));
            }
            OX_TRY(ask(known, a));
            for (size_t j = from; j < to; j++) {
                const struct ox_value *v = ox_node_in(n, j);
                a->in[j] = v && v->type->kind != OX_TYPE_UNKNOWN ? v->type : NULL;
            }
            ox_arena_rewind(a->io.arena, mark);
            if (!open) rank = RANKS_MAX;
        }
    }
    return OX_OK;
}

/* ---- elements -------------------------------------------------------------------------------- */

static ox_status constant(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank, size_t n,
                          bool ascending) {
    union {
        int64_t i64[OX_PARTIAL_MAX];
        int32_t i32[OX_PARTIAL_MAX];
        float f[OX_PARTIAL_MAX];
        double d[OX_PARTIAL_MAX];
        unsigned char b[OX_PARTIAL_MAX];
    } data;
    int64_t dims[1] = {(int64_t)n};
    for (size_t i = 0; i < n; i++) {
        int v = ascending ? (int)i : 1;
        switch (dtype) {
        case OX_INT64:
            data.i64[i] = v;
            break;
        case OX_INT32:
            data.i32[i] = v;
            break;
        case OX_FLOAT:
            data.f[i] = (float)v;
            break;
        case OX_DOUBLE:
            data.d[i] = v;
            break;
        default:
            data.b[i] = v != 0;
            break;
        }
    }
    return ox_tensor_copy(out, ctx, dtype, rank, dims, &data, n * (size_t)ox_dtype_bits(dtype) / 8);
}

static bool can_be_made(ox_dtype d) {
    return d == OX_INT64 || d == OX_INT32 || d == OX_FLOAT || d == OX_DOUBLE || d == OX_BOOL;
}

/* What is known of operand j as it is. */
static ox_status as_it_is(struct asking *a, size_t j) {
    const struct ox_value *v = ox_node_in(a->p->node, j);
    a->in[j] = v && v->type->kind != OX_TYPE_UNKNOWN ? v->type : NULL;
    a->in_values[j] = NULL;
    a->consts[j] = ox_value_const(v);
    return v ? ox_infer_known(&a->in_values[j], a->p->s, v) : OX_OK;
}

/* Operand j with made-up elements: the symbol, or (number) ones, or 0, 1, 2 ... Its type stays:
 * that is another question. */
static ox_status set_elements(ox_tensor **kept, struct asking *a, size_t j, ox_dtype dtype,
                              size_t n, int form) {
    const struct ox_type *t = ox_node_in(a->p->node, j)->type;
    int rank = ox_type_is_tensor(t) && t->rank == 0 ? 0 : 1;
    ox_dim *elems;
    struct ox_partial *partial;
    OX_TRY(ox_arena_alloc(a->io.arena, &partial, 1, sizeof *partial));
    OX_TRY(ox_arena_alloc(a->io.arena, &elems, n, sizeof *elems));
    for (size_t i = 0; i < n; i++)
        elems[i] = form == 0 ? a->any : ox_dim_const(form == 1 ? 1 : (int64_t)i);
    *partial = (struct ox_partial){rank, n, elems};
    if (dtype == OX_INT64 || dtype == OX_INT32 || dtype == OX_BOOL) a->in_values[j] = partial;
    if (form == 0) return OX_OK;
    OX_TRY(constant(kept, a->call.ctx, dtype, rank, n, form == 2));
    a->consts[j] = *kept;
    return OX_OK;
}

/* Could more be known of the elements of operand j? */
static ox_status elements_open(bool *open, ox_dtype *dtype, size_t *n, struct asking *a, size_t j) {
    const struct ox_value *v = ox_node_in(a->p->node, j);
    const struct ox_partial *now;
    *dtype = v && ox_type_is_tensor(v->type) && v->type->dtype ? v->type->dtype : OX_INT64;
    *n = v ? vector_length(v->type) : 0;
    *open = false;
    if (*n == 0 || ox_value_const(v) || !can_be_made(*dtype)) return OX_OK;
    OX_TRY(ox_infer_known(&now, a->p->s, v));
    *open = !all_known(now);
    return OX_OK;
}

/* Asks with made-up elements of one form for the operands [from, to), at most EACH_MAX. A number
 * that contradicts the rest has been looked at: that is an answer, too. */
static ox_status with_form(bool *known, struct asking *a, size_t from, size_t to, int form) {
    ox_tensor *kept[EACH_MAX] = {NULL};
    struct ox_arena_mark mark = ox_arena_mark(a->io.arena);
    ox_status status = OX_OK;
    bool any = false;
    for (size_t j = from; j < to && status == OX_OK; j++) {
        bool open;
        ox_dtype dtype;
        size_t n;
        status = elements_open(&open, &dtype, &n, a, j);
        if (status == OX_OK && open) status = set_elements(&kept[j - from], a, j, dtype, n, form);
        any = any || open;
    }
    if (status == OX_OK && any) status = ask(known, a);
    if (status == OX_OK && any && form > 0 && a->contradicts) *known = true;
    for (size_t j = from; j < to; j++)
        ox_tensor_unref(kept[j - from]);
    ox_arena_rewind(a->io.arena, mark);
    for (size_t j = from; j < to && status == OX_OK; j++)
        status = as_it_is(a, j);
    return status;
}

static ox_status with_elements(bool *known, struct asking *a, size_t from, size_t to) {
    *known = false;
    for (int form = 0; form < 3 && !*known; form++)
        OX_TRY(with_form(known, a, from, to, form));
    return OX_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool type_lacks(const struct ox_node *n, size_t j) {
    const struct ox_value *v = ox_node_in(n, j);
    return v && ox_type_lack(NULL, v->type) != OX_LACK_NOTHING;
}

/* No operand alone is to blame: the first of those that are together. */
static ox_status find_together(struct ox_verdict *out, struct asking *a, size_t each) {
    const struct ox_node *n = a->p->node;
    bool types, elements, open = false;
    ox_dtype dtype;
    size_t length;
    OX_TRY(with_types(&types, a, 0, n->n_in));
    for (out->operand = 0; out->operand < n->n_in && types; out->operand++) {
        if (!type_lacks(n, out->operand)) continue;
        out->blame = OX_BLAME_OPERAND_TYPE;
        return OX_OK;
    }
    OX_TRY(with_elements(&elements, a, 0, each));
    for (out->operand = 0; out->operand < each && elements; out->operand++) {
        OX_TRY(elements_open(&open, &dtype, &length, a, out->operand));
        if (open) out->blame = OX_BLAME_OPERAND_ELEMENTS;
        if (open) return OX_OK;
    }
    out->operand = 0;
    return OX_OK;
}

static ox_status find(struct ox_verdict *out, struct asking *a) {
    const struct ox_node *n = a->p->node;
    size_t each = n->n_in < EACH_MAX ? n->n_in : EACH_MAX;
    bool known;
    OX_TRY(ask(&known, a));
    *out = (struct ox_verdict){a->contradicts ? OX_BLAME_CONTRADICTION : OX_BLAME_OPERATOR, 0,
                               a->io.why};
    if (a->contradicts) return OX_OK;
    for (size_t j = 0; j < each; j++) {
        out->operand = j;
        known = false;
        if (type_lacks(n, j)) OX_TRY(with_types(&known, a, j, j + 1));
        if (known) out->blame = OX_BLAME_OPERAND_TYPE;
        if (known) return OX_OK;
    }
    for (size_t j = 0; j < each; j++) {
        out->operand = j;
        OX_TRY(with_elements(&known, a, j, j + 1));
        if (known) out->blame = OX_BLAME_OPERAND_ELEMENTS;
        if (known) return OX_OK;
    }
    return find_together(out, a, each);
}

ox_status ox_probe_run(struct ox_verdict *out, const struct ox_probe *probe) {
    struct ox_shapes *s = probe->s;
    struct asking a = {.p = probe};
    const void **lists;
    size_t n_in = probe->node->n_in, n_out = probe->node->n_out;
    ox_name name;
    OX_TRY(ox_model_name(&name, s->model, "?", 1));
    OX_TRY(ox_dim_symbol(&a.any, &s->model->dims, name));
    OX_TRY(ox_alloc(s->ctx, &lists, 3 * n_in + 2 * n_out, sizeof *lists));
    ox_status status = ox_node_call(&a.call, &s->scratch, probe->node);
    a.in = (void *)lists;
    a.in_values = (void *)(lists + n_in);
    a.consts = (void *)(lists + 2 * n_in);
    a.out = (void *)(lists + 3 * n_in);
    a.out_values = (void *)(lists + 3 * n_in + n_out);
    a.call.consts = a.consts;
    a.io = (struct ox_infer){.arena = &s->arena,
                             .dims = &s->model->dims,
                             .in = a.in,
                             .in_values = a.in_values,
                             .out = a.out,
                             .out_values = a.out_values};
    for (size_t j = 0; j < n_in && status == OX_OK; j++)
        status = as_it_is(&a, j);
    if (status == OX_OK) status = find(out, &a);
    ox_free(s->ctx, lists);
    return status;
}
