/* frontend/npy.c - see npy.h. The format is described in NumPy's documentation of numpy.lib.format.
 */
#include "frontend/npy.h"

#define bad(p, ...) ox_fail((p)->ctx, OX_INVALID, "bad-npy", (p)->place, __VA_ARGS__)

enum { MAGIC = 6, HEADER_MAX = 10000 }; /* NumPy's own limit */

struct header {
    ox_dtype dtype;
    bool swapped; /* big-endian */
    bool fortran;
    int rank;
    int64_t dims[OX_MAX_RANK];
    size_t data; /* where elements begin */
};

/* The dictionary that is being read. */
struct parser {
    ox_ctx *ctx;
    const struct ox_place *place;
    const char *at, *end;
};

bool ox_npy_magic(const void *data, size_t size) {
    return size >= MAGIC && memcmp(data, "\x93NUMPY", MAGIC) == 0;
}

/* ---- the dictionary -------------------------------------------------------------------------- */

static void skip_space(struct parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
}

/* Takes one character if it is the next one. */
static bool take(struct parser *p, char c) {
    skip_space(p);
    if (p->at == p->end || *p->at != c) return false;
    p->at++;
    return true;
}

static bool take_word(struct parser *p, const char *word) {
    size_t n = strlen(word);
    skip_space(p);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}

/* A quoted string without escapes, cut where it does not fit: no string that means anything is so
 * long. */
static bool take_string(char *out, size_t size, struct parser *p) {
    size_t n = 0;
    skip_space(p);
    if (p->at == p->end || (*p->at != '\'' && *p->at != '"')) return false;
    char quote = *p->at++;
    for (; p->at < p->end && *p->at != quote; p->at++) {
        if (*p->at == '\\') return false;
        if (n + 1 < size) out[n++] = *p->at;
    }
    out[n] = 0;
    return p->at < p->end && *p->at++ == quote;
}

static bool take_number(int64_t *out, struct parser *p) {
    int64_t v = 0;
    skip_space(p);
    const char *begin = p->at;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        if (ox_mul_i64(&v, v, 10) || ox_add_i64(&v, v, *p->at - '0')) return false;
    if (p->at == begin) return false;
    if (p->at < p->end && *p->at == 'L') p->at++; /* Python 2 */
    *out = v;
    return true;
}

static ox_status parse_shape(struct header *h, struct parser *p) {
    if (!take(p, '(')) return bad(p, "the shape is not a tuple of numbers");
    for (h->rank = 0; !take(p, ')'); h->rank++) {
        if (h->rank == OX_MAX_RANK)
            return bad(p, "the shape has more than %d dimensions", OX_MAX_RANK);
        if (!take_number(&h->dims[h->rank], p))
            return bad(p, "the shape is not a tuple of numbers");
        if (!take(p, ',')) {
            /* One number in parentheses is a number, not a tuple. */
            if (h->rank == 0 || !take(p, ')')) return bad(p, "the shape is not a tuple of numbers");
            h->rank++;
            break;
        }
    }
    return OX_OK;
}

static ox_status parse_descr(struct header *h, struct parser *p) {
    static const struct {
        const char *code;
        ox_dtype dtype;
    } types[] = {{"f4", OX_FLOAT},     {"f8", OX_DOUBLE},     {"f2", OX_FLOAT16}, {"u1", OX_UINT8},
                 {"i1", OX_INT8},      {"u2", OX_UINT16},     {"i2", OX_INT16},   {"u4", OX_UINT32},
                 {"i4", OX_INT32},     {"u8", OX_UINT64},     {"i8", OX_INT64},   {"b1", OX_BOOL},
                 {"c8", OX_COMPLEX64}, {"c16", OX_COMPLEX128}};
    char text[16];
    if (take(p, '['))
        return ox_fail(p->ctx, OX_UNSUPPORTED, "bad-npy", p->place,
                       "structured arrays are not supported");
    if (!take_string(text, sizeof text, p)) return bad(p, "the data type is not a string");
    const char *code = text;
    if (*code == '<' || *code == '>' || *code == '|' || *code == '=') h->swapped = *code++ == '>';
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].code, code) == 0) {
            h->dtype = types[i].dtype;
            return OX_OK;
        }
    return ox_fail(p->ctx, OX_UNSUPPORTED, "bad-npy", p->place,
                   "the data type '%s' is not supported", text);
}

static ox_status parse_value(struct header *h, struct parser *p, const char *key, bool *has) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(key, keys[i]) != 0) continue;
        if (has[i]) return bad(p, "the header gives '%s' twice", key);
        has[i] = true;
        if (i == 0) return parse_descr(h, p);
        if (i == 2) return parse_shape(h, p);
        h->fortran = take_word(p, "True");
        return h->fortran || take_word(p, "False")
                   ? OX_OK
                   : bad(p, "fortran_order is neither True nor False");
    }
    return bad(p, "the header has the unknown key '%s'", key);
}

static ox_status parse_dictionary(struct header *h, struct parser *p) {
    bool has[3] = {false, false, false};
    char key[32];
    if (!take(p, '{')) return bad(p, "the header is not a dictionary");
    while (!take(p, '}')) {
        if (!take_string(key, sizeof key, p) || !take(p, ':'))
            return bad(p, "the header is not a dictionary");
        OX_TRY(parse_value(h, p, key, has));
        if (take(p, ',')) continue;
        if (take(p, '}')) break;
        return bad(p, "the header is not a dictionary");
    }
    skip_space(p);
    if (p->at != p->end) return bad(p, "something follows the header's dictionary");
    if (!has[0] || !has[1] || !has[2])
        return bad(p, "the header lacks descr, fortran_order or shape");
    return OX_OK;
}

static ox_status parse_header(struct header *h, struct parser *p, const unsigned char *data,
                              size_t size) {
    if (!ox_npy_magic(data, size) || size < MAGIC + 4) return bad(p, "not an .npy file");
    unsigned major = data[MAGIC];
    if (major < 1 || major > 3)
        return ox_fail(p->ctx, OX_UNSUPPORTED, "bad-npy", p->place, "version %u of the .npy format",
                       major);
    size_t at = MAGIC + 2, width = major == 1 ? 2 : 4, length = 0;
    if (size - at < width) return bad(p, "the header is cut off");
    for (size_t i = 0; i < width; i++)
        length |= (size_t)data[at + i] << (8 * i);
    at += width;
    if (length > HEADER_MAX)
        return bad(p, "the header is %zu bytes long, more than %d", length, HEADER_MAX);
    if (length > size - at) return bad(p, "the header is cut off");
    p->at = (const char *)data + at;
    p->end = p->at + length;
    h->data = at + length;
    return parse_dictionary(h, p);
}

/* ---- elements -------------------------------------------------------------------------------- */

/* Copies elements of `width` bytes, whose parts of `part` bytes are reversed when `swapped`. */
static void copy_element(unsigned char *to, const unsigned char *from, size_t width, size_t part,
                         bool swapped) {
    for (size_t i = 0; i < width; i++)
        to[i] = from[swapped ? i / part * part + (part - 1 - i % part) : i];
}

static void convert(unsigned char *to, const unsigned char *from, const struct header *h,
                    size_t count) {
    size_t width = (size_t)ox_dtype_bits(h->dtype) / 8;
    bool complex = h->dtype == OX_COMPLEX64 || h->dtype == OX_COMPLEX128;
    size_t part = complex ? width / 2 : width, stride[OX_MAX_RANK], at = 0;
    int64_t index[OX_MAX_RANK] = {0};
    for (int d = 0; d < h->rank; d++)
        stride[d] = d ? stride[d - 1] * (size_t)h->dims[d - 1] : 1;
    for (size_t i = 0; i < count; i++) {
        copy_element(to + i * width, from + (h->fortran ? at : i) * width, width, part, h->swapped);
        for (int d = h->rank;
             d-- > 0;) { /* the next index in C order, and where it is in Fortran's */
            at += stride[d];
            if (++index[d] < h->dims[d]) break;
            at -= stride[d] * (size_t)h->dims[d];
            index[d] = 0;
        }
    }
}

static ox_status check_bools(const struct parser *p, const ox_tensor *t) {
    const unsigned char *b = t->data;
    unsigned char all = 0;
    for (size_t i = 0; i < t->count; i++)
        all |= b[i];
    return all > 1 ? bad(p, "a bool array has bytes other than 0 and 1") : OX_OK;
}

ox_status ox_npy_read(ox_tensor **out, ox_ctx *ctx, struct ox_bytes *bytes, size_t offset,
                      size_t size, const struct ox_place *place) {
    struct header h = {0};
    struct parser p = {.ctx = ctx, .place = place};
    size_t count, need;
    ox_tensor *t;
    OX_TRY(parse_header(&h, &p, bytes->data + offset, size));
    if (ox_shape_size(&count, &need, h.dtype, h.rank, h.dims))
        return bad(&p, "the shape has more elements than memory can hold");
    if (need != size - h.data)
        return bad(&p, "the shape needs %zu bytes, but %zu follow the header", need, size - h.data);
    if (ox_dtype_bits(h.dtype) == 8) h.swapped = false;
    if (h.swapped || (h.fortran && h.rank > 1)) {
        void *data;
        OX_TRY(ox_tensor_new(&t, &data, ctx, h.dtype, h.rank, h.dims));
        convert(data, bytes->data + offset + h.data, &h, count);
    } else {
        OX_TRY(ox_tensor_slice(&t, ctx, h.dtype, h.rank, h.dims, bytes, offset + h.data, need));
    }
    ox_status s = h.dtype == OX_BOOL ? check_bools(&p, t) : OX_OK;
    if (s != OX_OK)
        ox_tensor_unref(t);
    else
        *out = t;
    return s;
}
