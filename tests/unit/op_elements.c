/* tests/unit/op_elements.c - see op_elements.h. */
#include "op_elements.h"

#include "ir/base/bytes.h"
#include <stdio.h>
#include <stdlib.h>

const ox_dtype oe_dtypes[] = {OX_UINT2, OX_INT4,  OX_UINT8,      OX_FLOAT16, OX_FLOAT,
                              OX_INT64, OX_INT32, OX_COMPLEX128, OX_STRING};

uint64_t oe_trim(ox_dtype dtype, uint64_t v) {
    int bits = ox_dtype_bits(dtype);
    return bits < 64 ? v & ((UINT64_C(1) << bits) - 1) : v;
}

static void string_input(struct oh *h, int rank, const int64_t *dims, uint64_t first) {
    size_t count;
    ck_assert(!ox_shape_size(&count, NULL, OX_STRING, rank, dims));
    struct ox_str *strings = calloc(count + 1, sizeof *strings);
    char *text = calloc(count + 1, 24);
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(text + 24 * i, 24, "%llu", (unsigned long long)(first + i));
        strings[i] = (struct ox_str){text + 24 * i, (size_t)len};
    }
    ck_assert_int_eq(ox_tensor_strings(&h->in[h->n_in++], h->ctx, rank, dims, strings), OX_OK);
    free(text);
    free(strings);
}

void oe_input(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims, uint64_t first) {
    if (dtype == OX_STRING) {
        string_input(h, rank, dims, first);
        return;
    }
    unsigned char *data = oh_input(h, dtype, rank, dims);
    size_t bits = (size_t)ox_dtype_bits(dtype), count = h->in[h->n_in - 1]->count;
    for (size_t i = 0; i < count; i++) {
        uint64_t v = oe_trim(dtype, first + i);
        if (bits < 8)
            data[i * bits / 8] |= (unsigned char)(v << (i * bits % 8));
        else
            memcpy(data + i * bits / 8, &v, bits > 64 ? 8 : bits / 8);
    }
}

uint64_t oe_get(const ox_tensor *t, size_t i) {
    size_t bits = (size_t)ox_dtype_bits(t->dtype);
    const unsigned char *data = t->data;
    uint64_t v = 0;
    if (t->dtype == OX_STRING) {
        const struct ox_str *s = (const struct ox_str *)t->data + i;
        char text[24] = {0};
        if (s->len >= sizeof text) ck_abort_msg("a string of %zu bytes", s->len);
        if (s->len) memcpy(text, s->ptr, s->len);
        return strtoull(text, NULL, 10);
    }
    if (bits < 8) return oe_trim(t->dtype, (uint64_t)data[i * bits / 8] >> (i * bits % 8));
    memcpy(&v, data + i * bits / 8, bits > 64 ? 8 : bits / 8);
    return v;
}

int oe_dims(uint64_t *seed, int64_t *dims, int min_rank, int max_rank, int64_t max) {
    int rank = min_rank + (int)oh_pick(seed, (uint64_t)(max_rank - min_rank + 1));
    for (int i = 0; i < rank; i++)
        dims[i] = oh_pick(seed, 40) == 0 ? 0 : 1 + (int64_t)oh_pick(seed, (uint64_t)max);
    return rank;
}

void oe_coords(int64_t *coords, size_t i, int rank, const int64_t *dims) {
    for (int d = rank - 1; d >= 0; d--) {
        coords[d] = (int64_t)(i % (size_t)dims[d]);
        i /= (size_t)dims[d];
    }
}

size_t oe_index(const int64_t *coords, int rank, const int64_t *dims) {
    size_t i = 0;
    for (int d = 0; d < rank; d++) {
        /* Not ck_assert: its bookkeeping costs more than the loop. */
        if (coords[d] < 0 || coords[d] >= dims[d]) ck_abort_msg("coordinate out of range");
        i = i * (size_t)dims[d] + (size_t)coords[d];
    }
    return i;
}

void oe_int64s(struct oh *h, int n, const int64_t *values) {
    int64_t count = n;
    oh_input_of(h, OX_INT64, 1, &count, values);
}

void oe_int64(struct oh *h, int64_t value) {
    oh_input_of(h, OX_INT64, 0, NULL, &value);
}

/* ---- symbolic inference ---------------------------------------------------------------------- */

static void make_input(struct oh *h, struct ox_infer *io, const struct ox_type **type,
                       const struct ox_partial **value, size_t i) {
    const ox_tensor *t = h->in[i];
    ox_dim dims[OX_MAX_RANK];
    for (int d = 0; d < t->rank; d++) {
        ox_name name;
        char letter = (char)('a' + d);
        dims[d] = ox_dim_const(t->dims[d]);
        if (i != 0 || t->dims[d] != 0) continue;
        ck_assert_int_eq(ox_name_get(&name, &h->names, &letter, 1), OX_OK);
        ck_assert_int_eq(ox_dim_symbol(&dims[d], io->dims, name), OX_OK);
    }
    ck_assert_int_eq(ox_type_tensor(type, io->arena, t->dtype, t->rank, dims), OX_OK);
    if (i == 0 || t->rank > 1 || t->dtype != OX_INT64) return;
    struct ox_partial *v;
    ox_dim *elems;
    ck_assert_int_eq(ox_arena_alloc(io->arena, &v, 1, sizeof *v), OX_OK);
    ck_assert_int_eq(ox_arena_alloc(io->arena, &elems, t->count, sizeof *elems), OX_OK);
    for (size_t k = 0; k < t->count; k++)
        elems[k] = ox_dim_const(((const int64_t *)t->data)[k]);
    *v = (struct ox_partial){t->rank, t->count, elems};
    *value = v;
}

static size_t print_output(char *text, size_t size, const struct ox_type *type,
                           const struct ox_partial *value) {
    size_t n = ox_type_print(text, size, type);
    for (size_t k = 0; value && k < value->count; k++) {
        n += (size_t)snprintf(text + n, size - n, "%s", k ? "," : "={");
        n += ox_dim_print(text + n, size - n, value->elems[k]);
    }
    if (value) n += (size_t)snprintf(text + n, size - n, "%s", value->count ? "}" : "={}");
    return n;
}

const char *oe_symbolic(struct oh *h, size_t n_out) {
    struct ox_arena arena;
    struct ox_dims dims;
    ox_arena_init(&arena, h->ctx);
    ox_dims_init(&dims, h->ctx);
    const struct ox_type *in[OH_MAX] = {0}, *out[OH_MAX] = {0};
    const struct ox_partial *in_values[OH_MAX] = {0}, *out_values[OH_MAX] = {0};
    const ox_tensor *consts[OH_MAX] = {0};
    bool present[OH_MAX] = {0};
    struct ox_infer io = {&arena, &dims, in, in_values, out, out_values, NULL};
    for (size_t i = 0; i < h->n_in; i++) {
        present[i] = h->in[i] != NULL;
        if (!h->in[i]) continue;
        make_input(h, &io, &in[i], &in_values[i], i);
        if (i > 0) consts[i] = h->in[i];
    }
    struct ox_call call = {.ctx = h->ctx,
                           .op = h->op,
                           .opset = h->opset,
                           .attrs = h->attrs,
                           .n_attrs = h->n_attrs,
                           .n_in = h->n_in,
                           .n_out = n_out,
                           .consts = consts,
                           .present = present};
    static char text[2000];
    size_t n = 0;
    if (ox_op_infer(&call, &io) != OX_OK) {
        snprintf(text, sizeof text, "%s", h->id);
    } else {
        for (size_t i = 0; i < n_out; i++) {
            if (i) text[n++] = ' ';
            n += print_output(text + n, sizeof text - n, out[i], out_values[i]);
        }
    }
    ox_dims_fini(&dims);
    ox_arena_fini(&arena);
    return text;
}
