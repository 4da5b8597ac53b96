/* tests/unit/op_recorded.c - see op_recorded.h. */
#include "op_recorded.h"

#include "ir/base/bytes.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Attributes live in the text of the case, cut and turned into numbers here; tests are short
 * programs. */
enum { POOL = 256 };
struct pool {
    char text[2048];
    int64_t ints[POOL];
    float floats[POOL];
    size_t n_ints, n_floats;
};
static struct pool pool;

static void tell_attr(struct oh *h, char *word) {
    char *value = strchr(word, '='), kind;
    ck_assert_ptr_nonnull(value);
    *value++ = '\0';
    kind = *value++;
    switch (kind) {
    case 'i':
        oh_int(h, word, strtoll(value, NULL, 10));
        break;
    case 'f':
        oh_float(h, word, strtof(value, NULL));
        break;
    case 's':
        oh_string(h, word, value);
        break;
    default: {
        size_t n = 0;
        bool ints = kind == 'I';
        int64_t *i = pool.ints + pool.n_ints;
        float *f = pool.floats + pool.n_floats;
        for (char *end = value; *value; value = *end ? end + 1 : end, n++) {
            if (ints)
                i[n] = strtoll(value, &end, 10);
            else
                f[n] = strtof(value, &end);
        }
        if (ints)
            oh_ints(h, word, n, i), pool.n_ints += n;
        else
            oh_floats(h, word, n, f), pool.n_floats += n;
    }
    }
}

static ox_dtype type_of(const char **at) {
    static const struct {
        const char *name;
        ox_dtype dtype;
    } types[] = {{"u8", OX_UINT8},  {"i8", OX_INT8}, {"i16", OX_INT16}, {"i32", OX_INT32},
                 {"i64", OX_INT64}, {"f", OX_FLOAT}, {"h", OX_FLOAT16}, {"b", OX_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t n = strlen(types[i].name);
        if (strncmp(*at, types[i].name, n) == 0) return *at += n, types[i].dtype;
    }
    ck_abort_msg("no type at '%s'", *at);
    return OX_UNDEFINED;
}

static void store(void *data, ox_dtype dtype, size_t i, double v) {
    switch (dtype) {
    case OX_FLOAT:
        ((float *)data)[i] = (float)v;
        break;
    case OX_FLOAT16:
        ((uint16_t *)data)[i] = ox_float_to_half((float)v);
        break;
    case OX_INT16:
        ((int16_t *)data)[i] = (int16_t)v;
        break;
    case OX_INT32:
        ((int32_t *)data)[i] = (int32_t)v;
        break;
    case OX_INT64:
        ((int64_t *)data)[i] = (int64_t)v;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)(int)v;
        break;
    }
}

static double load(const ox_tensor *t, size_t i) {
    switch (t->dtype) {
    case OX_FLOAT:
        return (double)((const float *)t->data)[i];
    case OX_FLOAT16:
        return (double)ox_half_to_float(((const uint16_t *)t->data)[i]);
    case OX_INT16:
        return ((const int16_t *)t->data)[i];
    case OX_INT32:
        return ((const int32_t *)t->data)[i];
    case OX_INT64:
        return (double)((const int64_t *)t->data)[i];
    case OX_INT8:
        return ((const int8_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

static double by_formula(ox_dtype dtype, size_t i, size_t k, size_t modulus) {
    bool is_float = dtype == OX_FLOAT || dtype == OX_FLOAT16;
    if (!modulus && (dtype == OX_INT8 || dtype == OX_UINT8))
        return (double)((i * 37 + k * 11) % 256);
    double v = (double)((i * (2 * k + 3) + 5 * k) % (modulus ? modulus : 13));
    if (modulus) return is_float ? (v + 1) * 0.125 : v;
    return is_float ? (v - 6) * 0.25 : v - 6;
}

static const char *numbers(double *out, size_t *n, const char *at) {
    char *end;
    for (*n = 0; *at != ')' && *at != ']'; at = *end == ',' ? end + 1 : end)
        out[(*n)++] = strtod(at, &end);
    return at + 1;
}

static void tell_input(struct oh *h, const char *at) {
    double values[POOL];
    int64_t dims[OX_MAX_RANK];
    size_t n = 0, modulus = 0, k = h->n_in;
    if (*at == '-') {
        oh_absent(h);
        return;
    }
    ox_dtype dtype = type_of(&at);
    if (*at == '=') {
        store(oh_input(h, dtype, 0, NULL), dtype, 0, strtod(at + 1, NULL));
    } else if (*at == '(') {
        double shape[OX_MAX_RANK];
        size_t rank = 1;
        at = numbers(values, &n, at + 1);
        dims[0] = (int64_t)n;
        if (*at == '[') numbers(shape, &rank, at + 1);
        for (size_t d = 0; *at == '[' && d < rank; d++)
            dims[d] = (int64_t)shape[d];
        void *data = oh_input(h, dtype, (int)rank, dims);
        for (size_t i = 0; i < n; i++)
            store(data, dtype, i, values[i]);
    } else {
        at = numbers(values, &n, at + 1);
        if (*at == '%') modulus = strtoul(at + 1, NULL, 10);
        for (size_t d = 0; d < n; d++)
            dims[d] = (int64_t)values[d];
        void *data = oh_input(h, dtype, (int)n, dims);
        for (size_t i = 0; i < h->in[k]->count; i++)
            store(data, dtype, i, by_formula(dtype, i, k, modulus));
    }
}

/* Words between single blanks, cut in `room`. */
static void tell_words(struct oh *h, const char *text, char *room,
                       void (*tell)(struct oh *h, char *word)) {
    memcpy(room, text, strlen(text) + 1);
    for (char *word = room, *end; *word; word = end) {
        end = word + strcspn(word, " ");
        if (*end) *end++ = '\0';
        tell(h, word);
    }
}
static void tell_in(struct oh *h, char *word) {
    tell_input(h, word);
}

void oh_tell(struct oh *h, const struct oh_recorded *c, int threads) {
    char inputs[1024];
    oh_init(h, "Add", c->domain[0] ? 1 : 17, threads);
    h->op = ox_op_find(c->domain, c->op);
    ck_assert_msg(h->op != NULL, "no operator %s", c->op);
    h->unwanted = c->unwanted;
    memset(&pool, 0, sizeof pool);
    ck_assert_uint_lt(strlen(c->attrs), sizeof pool.text);
    ck_assert_uint_lt(strlen(c->in), sizeof inputs);
    tell_words(h, c->attrs, pool.text, tell_attr);
    tell_words(h, c->in, inputs, tell_in);
}

/* One output: "[type ]dims: numbers"; returns what is behind it. */
static const char *compare(const struct oh_recorded *c, const ox_tensor *t, size_t k,
                           const char *at) {
    char *end;
    ox_dtype dtype = OX_FLOAT;
    while (*at == ' ')
        at++;
    if (*at >= 'a' && *at <= 'z') dtype = type_of(&at);
    ck_assert_ptr_nonnull(t);
    ck_assert_msg(t->dtype == dtype, "%s: output %zu is %s", c->op, k, ox_dtype_name(t->dtype));
    while (*at == ' ')
        at++;
    for (int d = 0; *at != ':'; d++, at = *end == ',' ? end + 1 : end) {
        int64_t dim = strtoll(at, &end, 10);
        ck_assert_msg(d < t->rank && t->dims[d] == dim, "%s (%s %s): dim %d of output %zu", c->op,
                      c->attrs, c->in, d, k);
    }
    at++;
    for (size_t i = 0; i < t->count; i++, at = end) {
        double expected = strtod(at, &end), actual = load(t, i);
        bool is_float = dtype == OX_FLOAT || dtype == OX_FLOAT16;
        double most = is_float ? c->tolerance * (1 + fabs(expected)) : c->tolerance;
        ck_assert_msg(end != at && fabs(actual - expected) <= most,
                      "%s (%s %s): element %zu of output %zu is %.9g, expected %.9g", c->op,
                      c->attrs, c->in, i, k, actual, expected);
    }
    while (*at == ' ')
        at++;
    ck_assert_msg(*at == '\0' || *at == ';', "%s (%s %s): more numbers than elements", c->op,
                  c->attrs, c->in);
    return *at ? at + 1 : at;
}

void oh_expect_recorded(const struct oh_recorded *c) {
    struct oh h;
    oh_tell(&h, c, 1);
    ck_assert_msg(oh_eval(&h, c->n_out) == OX_OK, "%s (%s %s): %s", c->op, c->attrs, c->in, h.text);
    const char *at = c->expected;
    for (size_t k = 0; at && k < c->n_out; k++)
        if (!(c->unwanted >> k & 1)) at = compare(c, h.out[k], k, at);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

/* ---- spoiling -------------------------------------------------------------------------------- */

enum spoil { ABSENT, SCALAR, MORE_DIMS, FEWER_DIMS, EMPTY, LONGER, OTHER_TYPE, SPOILS };

static void replace(struct oh *h, size_t k, enum spoil how) {
    ox_tensor *old = h->in[k];
    int64_t dims[OX_MAX_RANK + 1] = {0};
    int rank = old->rank;
    ox_dtype dtype = old->dtype;
    void *data;
    memcpy(dims, old->dims, (size_t)rank * sizeof *dims);
    switch (how) {
    case SCALAR:
        rank = 0;
        break;
    case MORE_DIMS:
        dims[rank++] = 2;
        break;
    case FEWER_DIMS:
        rank -= rank > 0;
        break;
    case EMPTY:
        rank ? (void)(dims[rank - 1] = 0) : (void)(dims[rank++] = 0);
        break;
    case LONGER:
        rank ? (void)dims[0]++ : (void)(dims[rank++] = 3);
        break;
    default:
        dtype = dtype == OX_FLOAT ? OX_INT32 : OX_FLOAT;
        break;
    }
    ck_assert_int_eq(ox_tensor_new(&h->in[k], &data, h->ctx, dtype, rank, dims), OX_OK);
    for (size_t i = 0; i < h->in[k]->count; i++)
        store(data, dtype, i, old->count ? load(old, i % old->count) : 1);
    ox_tensor_unref(old);
}

void oh_spoil(const struct oh_recorded *c) {
    for (size_t k = 0, n = 1; k < n; k++)
        for (int how = 0; how < SPOILS; how++) {
            struct oh h;
            oh_tell(&h, c, 1);
            n = h.n_in;
            if (h.in[k]) {
                if (how == ABSENT) {
                    ox_tensor_unref(h.in[k]);
                    h.in[k] = NULL;
                } else {
                    replace(&h, k, (enum spoil)how);
                }
                ox_status s = oh_eval(&h, c->n_out);
                ck_assert_msg(s == OX_OK || ((s == OX_INVALID || s == OX_UNSUPPORTED) && h.text[0]),
                              "%s (%s %s): input %zu spoiled (%d) gives %d '%s'", c->op, c->attrs,
                              c->in, k, how, (int)s, h.text);
            }
            oh_fini(&h);
        }
}
