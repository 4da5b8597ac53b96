/* tests/unit/op_harness.c - see op_harness.h. */
#include "op_harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void on_diag(void *user, const struct ox_diag *d) {
    struct oh *h = user;
    snprintf(h->id, sizeof h->id, "%s", d->id);
    snprintf(h->text, sizeof h->text, "%s", d->text);
}

static ox_ctx *new_ctx(struct oh *h, int threads) {
    struct ox_ctx_options o = {
        .size = sizeof o, .on_diag = on_diag, .diag_user = h, .threads = threads};
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    return ctx;
}

void oh_init(struct oh *h, const char *op, int opset, int threads) {
    *h = (struct oh){.opset = opset};
    h->ctx = new_ctx(h, threads);
    ox_names_init(&h->names, h->ctx);
    h->op = ox_op_find("", op);
    ck_assert_msg(h->op != NULL, "no operator %s", op);
}

static void drop_outputs(struct oh *h) {
    for (size_t i = 0; i < OH_MAX; i++) {
        ox_tensor_unref(h->out[i]);
        h->out[i] = NULL;
    }
}

void oh_fini(struct oh *h) {
    drop_outputs(h);
    for (size_t i = 0; i < h->n_in; i++)
        ox_tensor_unref(h->in[i]);
    ox_names_fini(&h->names);
    ck_assert_uint_eq(ox_ctx_memory(h->ctx), 0);
    ox_ctx_free(h->ctx);
}

/* ---- attributes and inputs ------------------------------------------------------------------- */

static struct ox_attr *add_attr(struct oh *h, const char *name, enum ox_attr_type type,
                                size_t count) {
    ck_assert_uint_lt(h->n_attrs, OH_MAX);
    struct ox_attr *a = &h->attrs[h->n_attrs++];
    *a = (struct ox_attr){.type = type, .count = count};
    ck_assert_int_eq(ox_name_get(&a->name, &h->names, name, strlen(name)), OX_OK);
    return a;
}

void oh_int(struct oh *h, const char *name, int64_t value) {
    add_attr(h, name, OX_ATTR_INT, 1)->v.i = value;
}
void oh_float(struct oh *h, const char *name, float value) {
    add_attr(h, name, OX_ATTR_FLOAT, 1)->v.f = value;
}
void oh_string(struct oh *h, const char *name, const char *value) {
    add_attr(h, name, OX_ATTR_STRING, 1)->v.s = (struct ox_str){value, strlen(value)};
}
void oh_ints(struct oh *h, const char *name, size_t n, const int64_t *values) {
    add_attr(h, name, OX_ATTR_INTS, n)->v.ints = values;
}
void oh_floats(struct oh *h, const char *name, size_t n, const float *values) {
    add_attr(h, name, OX_ATTR_FLOATS, n)->v.floats = values;
}

void *oh_input(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims) {
    void *data;
    ck_assert_uint_lt(h->n_in, OH_MAX);
    ck_assert_int_eq(ox_tensor_new(&h->in[h->n_in++], &data, h->ctx, dtype, rank, dims), OX_OK);
    return data;
}

void oh_input_of(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims, const void *data) {
    void *to = oh_input(h, dtype, rank, dims);
    if (h->in[h->n_in - 1]->size) memcpy(to, data, h->in[h->n_in - 1]->size);
}

float *oh_random(struct oh *h, uint64_t *seed, int rank, const int64_t *dims) {
    float *data = oh_input(h, OX_FLOAT, rank, dims);
    for (size_t i = 0; i < h->in[h->n_in - 1]->count; i++)
        data[i] = oh_unit(seed);
    return data;
}

void oh_absent(struct oh *h) {
    ck_assert_uint_lt(h->n_in, OH_MAX);
    h->in[h->n_in++] = NULL;
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct call_parts {
    struct ox_call call;
    bool present[OH_MAX], wanted[OH_MAX];
};

static void make_call(struct call_parts *c, struct oh *h, ox_ctx *ctx, size_t n_out,
                      const ox_tensor *const *consts) {
    for (size_t i = 0; i < OH_MAX; i++) {
        c->present[i] = i < h->n_in && h->in[i];
        c->wanted[i] = !(h->unwanted >> i & 1);
    }
    c->call = (struct ox_call){.ctx = ctx,
                               .op = h->op,
                               .opset = h->opset,
                               .attrs = h->attrs,
                               .n_attrs = h->n_attrs,
                               .n_in = h->n_in,
                               .n_out = n_out,
                               .consts = consts,
                               .present = c->present,
                               .wanted = c->wanted};
}

ox_status oh_check(struct oh *h, size_t n_out) {
    struct call_parts c;
    make_call(&c, h, h->ctx, n_out, (const ox_tensor *const *)h->in);
    return ox_op_check(&c.call);
}

enum knowledge { ALL_CONSTANT, TYPES_ONLY, SYMBOLIC, VALUES_IN_PART, KNOWLEDGE_COUNT };

struct sizes { /* what the symbols stand for */
    const struct oh *h;
};

static int64_t int_at(const ox_tensor *t, size_t i) {
    return t->dtype == OX_INT64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
}

/* The symbol of dim d of input i is "d<i>_<d>", that of its element k "v<i>_<k>". */
static bool symbol_value(void *user, ox_name name, int64_t *out) {
    const struct sizes *s = user;
    char *end;
    unsigned long i = strtoul(ox_name_text(name) + 1, &end, 10);
    if (*end != '_') return false;
    unsigned long k = strtoul(end + 1, NULL, 10);
    *out = *ox_name_text(name) == 'v' ? int_at(s->h->in[i], k) : s->h->in[i]->dims[k];
    return true;
}

static void make_symbol(struct oh *h, ox_dim *out, struct ox_dims *dims, char kind, size_t i,
                        size_t k) {
    char text[64];
    ox_name name;
    int len = snprintf(text, sizeof text, "%c%zu_%zu", kind, i, k);
    ck_assert_int_eq(ox_name_get(&name, &h->names, text, (size_t)len), OX_OK);
    ck_assert_int_eq(ox_dim_symbol(out, dims, name), OX_OK);
}

static ox_status make_type(struct oh *h, const struct ox_type **out, struct ox_arena *arena,
                           struct ox_dims *dims, size_t i, bool symbolic) {
    const ox_tensor *t = h->in[i];
    if (!symbolic) return ox_type_of(out, arena, t);
    ox_dim d[OX_MAX_RANK];
    for (int k = 0; k < t->rank; k++)
        make_symbol(h, &d[k], dims, 'd', i, (size_t)k);
    return ox_type_tensor(out, arena, t->dtype, t->rank, d);
}

/* Integers of input i as infer sees them: numbers, or symbols for those that a dim can be (0 may
 * mean something else than a dim, so it stays a number). */
static const struct ox_partial *make_value(struct oh *h, struct ox_arena *arena,
                                           struct ox_dims *dims, size_t i, bool symbolic) {
    const ox_tensor *t = h->in[i];
    if (!t || t->rank > 1 || t->count > OX_PARTIAL_MAX ||
        (t->dtype != OX_INT64 && t->dtype != OX_INT32))
        return NULL;
    struct ox_partial *value;
    ox_dim *elems;
    ck_assert_int_eq(ox_arena_alloc(arena, &value, 1, sizeof *value), OX_OK);
    ck_assert_int_eq(ox_arena_alloc(arena, &elems, t->count + 1, sizeof *elems), OX_OK);
    for (size_t k = 0; k < t->count; k++) {
        elems[k] = ox_dim_const(int_at(t, k));
        if (symbolic && elems[k].k > 0) make_symbol(h, &elems[k], dims, 'v', i, k);
    }
    *value = (struct ox_partial){t->rank, t->count, elems};
    return value;
}

/* An inferred type must not contradict the tensor; with all constants it must say everything. */
static void compare_type(struct oh *h, const struct ox_type *type, const ox_tensor *t, size_t i,
                         enum knowledge k) {
    const char *name = h->op->name;
    if (!type || type->kind == OX_TYPE_UNKNOWN) {
        ck_assert_msg(k != ALL_CONSTANT, "%s: nothing inferred of output %zu", name, i);
        return;
    }
    ck_assert_int_eq(type->kind, OX_TYPE_TENSOR);
    if (type->dtype != OX_UNDEFINED || k == ALL_CONSTANT) ck_assert_int_eq(type->dtype, t->dtype);
    if (type->rank < 0) {
        ck_assert_msg(k != ALL_CONSTANT, "%s: rank of output %zu not inferred", name, i);
        return;
    }
    ck_assert_msg(type->rank == t->rank, "%s: output %zu has rank %d, inferred %d", name, i,
                  t->rank, type->rank);
    for (int d = 0; d < t->rank; d++) {
        int64_t value;
        struct sizes sizes = {h};
        char text[100];
        ox_dim_print(text, sizeof text, type->dims[d]);
        bool known = ox_dim_eval(&value, type->dims[d], symbol_value, &sizes);
        ck_assert_msg(known || k != ALL_CONSTANT, "%s: dim %d of output %zu not inferred", name, d,
                      i);
        ck_assert_msg(!known || value == t->dims[d],
                      "%s: dim %d of output %zu is %lld, inferred %s = %lld", name, d, i,
                      (long long)t->dims[d], text, (long long)value);
    }
}

/* What is claimed of an output's elements must be true. */
static void compare_value(struct oh *h, const struct ox_partial *value, const ox_tensor *t,
                          size_t i, enum knowledge known) {
    if (!value) return;
    ck_assert_msg(t->dtype == OX_INT64 || t->dtype == OX_INT32 || t->dtype == OX_BOOL,
                  "%s: elements claimed of a %s output", h->op->name, ox_dtype_name(t->dtype));
    ck_assert_int_eq(value->rank, t->rank);
    ck_assert_uint_eq(value->count, t->count);
    for (size_t k = 0; k < t->count; k++) {
        int64_t claimed, real;
        struct sizes sizes = {h};
        real = t->dtype == OX_BOOL ? ((const uint8_t *)t->data)[k] : int_at(t, k);
        if (!ox_dim_eval(&claimed, value->elems[k], symbol_value, &sizes)) continue;
        /* Expressions do not wrap as int32 does; sizes never come that far. */
        if (known == VALUES_IN_PART && t->dtype == OX_INT32) claimed = (int32_t)claimed;
        ck_assert_msg(claimed == real, "%s: element %zu of output %zu is %lld, inferred %lld",
                      h->op->name, k, i, (long long)real, (long long)claimed);
    }
}

static ox_status infer(struct oh *h, size_t n_out, enum knowledge k, bool compare) {
    struct ox_arena arena;
    struct ox_dims dims;
    ox_arena_init(&arena, h->ctx);
    ox_dims_init(&dims, h->ctx);
    const struct ox_type *in[OH_MAX] = {0}, *out[OH_MAX] = {0};
    const struct ox_partial *in_values[OH_MAX] = {0}, *out_values[OH_MAX] = {0};
    const ox_tensor *consts[OH_MAX] = {0};
    ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < h->n_in; i++) {
        if (!h->in[i]) continue;
        bool constant = k == ALL_CONSTANT || (k == SYMBOLIC && i > 0);
        status = make_type(h, &in[i], &arena, &dims, i, k == SYMBOLIC && i == 0);
        if (constant) consts[i] = h->in[i];
        if (constant || k == VALUES_IN_PART)
            in_values[i] = make_value(h, &arena, &dims, i, k == VALUES_IN_PART);
    }
    struct call_parts c;
    make_call(&c, h, h->ctx, n_out, consts);
    struct ox_infer io = {&arena, &dims, in, in_values, out, out_values, NULL};
    if (status == OX_OK) status = ox_op_infer(&c.call, &io);
    for (size_t i = 0; compare && status == OX_OK && i < n_out; i++)
        if (h->out[i]) {
            compare_type(h, out[i], h->out[i], i, k);
            compare_value(h, out_values[i], h->out[i], i, k);
        }
    ox_dims_fini(&dims);
    ox_arena_fini(&arena);
    return status;
}

ox_status oh_infer(struct oh *h, size_t n_out, bool types_only) {
    return infer(h, n_out, types_only ? TYPES_ONLY : ALL_CONSTANT, false);
}

/* With a state that was made once, in another context's memory, two calls give the bits of a call
 * that made its own. */
static void same_when_prepared(struct oh *h, size_t n_out) {
    struct call_parts c;
    void *state;
    ox_ctx *keeper = new_ctx(h, 1);
    make_call(&c, h, keeper, n_out, NULL);
    ck_assert_int_eq(ox_op_prepare(&state, &c.call), OX_OK);
    ck_assert_ptr_nonnull(state);
    c.call.ctx = h->ctx;
    c.call.prepared = state;
    for (int k = 0; k < 2; k++) {
        ox_tensor *out[OH_MAX] = {0};
        ck_assert_int_eq(ox_op_eval(&c.call, (const ox_tensor *const *)h->in, out), OX_OK);
        for (size_t i = 0; i < n_out; i++) {
            if (h->out[i])
                ck_assert_msg(ox_tensor_equal(h->out[i], out[i]), "%s: other results when prepared",
                              h->op->name);
            ox_tensor_unref(out[i]);
        }
    }
    ox_op_forget(h->op, state, keeper);
    ck_assert_uint_eq(ox_ctx_memory(keeper), 0);
    ox_ctx_free(keeper);
}

ox_status oh_eval(struct oh *h, size_t n_out) {
    struct call_parts c;
    drop_outputs(h);
    h->n_out = n_out;
    make_call(&c, h, h->ctx, n_out, NULL);
    ox_status status = ox_op_eval(&c.call, (const ox_tensor *const *)h->in, h->out);
    if (status == OX_OK && h->op->prepare) same_when_prepared(h, n_out);
    for (int k = 0; status == OX_OK && !h->no_infer && k < KNOWLEDGE_COUNT; k++) {
        ox_status inferred = infer(h, n_out, (enum knowledge)k, true);
        ck_assert_msg(inferred == OX_OK, "%s: inference %d failed: %s", h->op->name, k, h->text);
    }
    return status;
}

void oh_same_with_threads(struct oh *h, int threads) {
    struct call_parts c;
    ox_ctx *ctx = new_ctx(h, threads);
    ox_tensor *in[OH_MAX] = {0}, *out[OH_MAX] = {0};
    for (size_t i = 0; i < h->n_in; i++)
        if (h->in[i])
            ck_assert_int_eq(ox_tensor_copy(&in[i], ctx, h->in[i]->dtype, h->in[i]->rank,
                                            h->in[i]->dims, h->in[i]->data, h->in[i]->size),
                             OX_OK);
    make_call(&c, h, ctx, h->n_out, NULL);
    ck_assert_int_eq(ox_op_eval(&c.call, (const ox_tensor *const *)in, out), OX_OK);
    for (size_t i = 0; i < h->n_out; i++) {
        if (h->out[i])
            ck_assert_msg(ox_tensor_equal(h->out[i], out[i]), "%s: %d threads give other bits",
                          h->op->name, threads);
        ox_tensor_unref(out[i]);
    }
    for (size_t i = 0; i < h->n_in; i++)
        ox_tensor_unref(in[i]);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

/* ---- expectations ---------------------------------------------------------------------------- */

void oh_expect_dims(const struct oh *h, size_t i, int rank, const int64_t *dims) {
    ck_assert_ptr_nonnull(h->out[i]);
    ck_assert_int_eq(h->out[i]->rank, rank);
    for (int d = 0; d < rank; d++)
        ck_assert_int_eq(h->out[i]->dims[d], dims[d]);
}

void oh_expect_floats(const struct oh *h, size_t i, size_t n, const double *expected,
                      double tolerance) {
    ck_assert_ptr_nonnull(h->out[i]);
    ck_assert_int_eq(h->out[i]->dtype, OX_FLOAT);
    ck_assert_uint_eq(h->out[i]->count, n);
    const float *y = h->out[i]->data;
    for (size_t k = 0; k < n; k++) {
        if (isnan(expected[k])) {
            ck_assert_msg(isnan(y[k]), "%s: element %zu is %g, expected NaN", h->op->name, k,
                          (double)y[k]);
        } else if (isinf(expected[k])) {
            ck_assert_msg((double)y[k] == expected[k], "%s: element %zu is %g, expected %g",
                          h->op->name, k, (double)y[k], expected[k]);
        } else {
            double error = fabs((double)y[k] - expected[k]);
            ck_assert_msg(error <= tolerance * (1 + fabs(expected[k])),
                          "%s: element %zu is %.9g, expected %.9g", h->op->name, k, (double)y[k],
                          expected[k]);
        }
    }
}

uint64_t oh_pick(uint64_t *seed, uint64_t n) {
    *seed ^= *seed << 13; /* xorshift64 */
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return n ? (*seed >> 11) % n : 0;
}

float oh_unit(uint64_t *seed) {
    return (float)((double)oh_pick(seed, 1 << 24) / (1 << 23) - 1);
}
