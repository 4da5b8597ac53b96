/* tests/unit/test_tensor_file.c - tensors out of TensorProto, .npy and .npz, and all the ways in
 * which they can be wrong. */
#include "tests/unit/file_harness.h"

#include <stdio.h>
#include <zlib.h>

/* ---- TensorProto ----------------------------------------------------------------------------- */

/* Writes the message as a .pb file and reads it back. */
static ox_status read_pb(ox_tensor **out, struct pb *t) {
    ox_tensor_file *f;
    front_write("t.pb", t->data, t->len);
    pb_free(t);
    OX_TRY(ox_tensor_file_open(&f, front.ctx, front_path("t.pb")));
    ox_status s = ox_tensor_file_read(out, f, 0);
    ox_tensor_file_close(f);
    return s;
}

static void refuse_pb(struct pb t, const char *id) {
    ox_tensor *out;
    ck_fails(read_pb(&out, &t), OX_INVALID, id);
}

static ox_tensor *accept_pb(struct pb t) {
    ox_tensor *out;
    ck_ok(read_pb(&out, &t));
    return out;
}

/* A tensor with `n` numbers in a packed typed array. */
static struct pb typed(int dtype, const char *dims, uint32_t field, const int64_t *v, size_t n) {
    struct pb t = onnx_tensor("t", dtype, dims);
    pb_packed(&t, field, v, n);
    return t;
}

static struct pb raw(int dtype, const char *dims, const void *data, size_t size) {
    struct pb t = onnx_tensor("t", dtype, dims);
    pb_bytes(&t, TENSOR_RAW, data, size);
    return t;
}

START_TEST(raw_data_of_every_type) {
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i & 1);
    for (int dtype = 1; dtype < OX_DTYPE_COUNT; dtype++) {
        if (dtype == OX_STRING) continue;
        size_t size = ((size_t)ox_dtype_bits((ox_dtype)dtype) * 3 + 7) / 8;
        ox_tensor *t = accept_pb(raw(dtype, "3", bytes, size));
        ck_assert_int_eq(t->dtype, dtype);
        ck_assert_uint_eq(t->size, size);
        ck_assert_mem_eq(t->data, bytes, size);
        ox_tensor_unref(t);
        refuse_pb(raw(dtype, "3", bytes, size + 1), "tensor-size");
        refuse_pb(raw(dtype, "3", bytes, size - 1), "tensor-size");
    }
    refuse_pb(raw(OX_STRING, "3", bytes, 3), "bad-tensor");
}
END_TEST

START_TEST(typed_arrays_have_their_types) {
    static const int64_t v[3] = {1, 0, 1};
    static const struct {
        int dtype;
        uint32_t field;
    } fits[] = {{OX_INT32, 5},        {OX_INT16, 5}, {OX_INT8, 5},    {OX_UINT16, 5},
                {OX_UINT8, 5},        {OX_BOOL, 5},  {OX_FLOAT16, 5}, {OX_BFLOAT16, 5},
                {OX_FLOAT8E4M3FN, 5}, {OX_INT64, 7}, {OX_UINT64, 11}, {OX_UINT32, 11}};
    for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++)
        for (uint32_t field = 5; field <= 11; field += field == 7 ? 4 : 2) {
            if (field == fits[i].field) {
                ox_tensor *t = accept_pb(typed(fits[i].dtype, "3", field, v, 3));
                size_t width = (size_t)ox_dtype_bits(t->dtype) / 8;
                ck_assert_int_eq(((const char *)t->data)[0], 1);
                ck_assert_int_eq(((const char *)t->data)[width], 0);
                ck_assert_int_eq(((const char *)t->data)[2 * width], 1);
                ox_tensor_unref(t);
                refuse_pb(typed(fits[i].dtype, "3", field, v, 2), "tensor-size");
                refuse_pb(typed(fits[i].dtype, "2", field, v, 3), "tensor-size");
            } else {
                refuse_pb(typed(fits[i].dtype, "3", field, v, 3), "bad-tensor");
            }
        }
}
END_TEST

START_TEST(int32_data_is_in_range) {
    static const struct {
        int dtype;
        int64_t low, high;
    } ranges[] = {{OX_INT8, -128, 127},   {OX_UINT8, 0, 255}, {OX_INT16, -32768, 32767},
                  {OX_UINT16, 0, 65535},  {OX_BOOL, 0, 1},    {OX_FLOAT16, 0, 65535},
                  {OX_FLOAT8E5M2, 0, 255}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        int64_t v[2] = {ranges[i].low, ranges[i].high};
        ox_tensor_unref(accept_pb(typed(ranges[i].dtype, "2", TENSOR_INT32S, v, 2)));
        v[0]--;
        refuse_pb(typed(ranges[i].dtype, "2", TENSOR_INT32S, v, 2), "bad-tensor");
        v[0]++;
        v[1]++;
        refuse_pb(typed(ranges[i].dtype, "2", TENSOR_INT32S, v, 2), "bad-tensor");
    }
    int64_t v = UINT32_MAX;
    ox_tensor_unref(accept_pb(typed(OX_UINT32, "1", TENSOR_UINT64S, &v, 1)));
    v++;
    refuse_pb(typed(OX_UINT32, "1", TENSOR_UINT64S, &v, 1), "bad-tensor");
}
END_TEST

START_TEST(narrow_types_are_packed) {
    static const int64_t v[2] = {0x21, 0x3};
    ox_tensor *t = accept_pb(typed(OX_UINT4, "3", TENSOR_INT32S, v, 2));
    ck_assert_uint_eq(t->size, 2);
    ck_assert_mem_eq(t->data, "\x21\x03", 2);
    ox_tensor_unref(t);
    refuse_pb(typed(OX_UINT4, "5", TENSOR_INT32S, v, 2), "tensor-size");
    t = accept_pb(typed(OX_INT2, "5", TENSOR_INT32S, v, 2));
    ck_assert_uint_eq(t->size, 2);
    ox_tensor_unref(t);
}
END_TEST

START_TEST(float_data_and_strings) {
    static const float v[4] = {1, 2, 3, 4};
    struct pb p = onnx_tensor("t", OX_FLOAT, "2,2");
    for (int i = 0; i < 4; i++)
        pb_float(&p, TENSOR_FLOATS, v[i]); /* not packed: put together */
    ox_tensor *t = accept_pb(p);
    ck_assert_mem_eq(t->data, v, sizeof v);
    ox_tensor_unref(t);
    p = onnx_tensor("t", OX_COMPLEX64, "2");
    pb_bytes(&p, TENSOR_FLOATS, v, sizeof v);
    ox_tensor_unref(accept_pb(p));
    p = onnx_tensor("t", OX_STRING, "2");
    pb_bytes(&p, TENSOR_STRINGS, "a\0b", 3);
    pb_bytes(&p, TENSOR_STRINGS, "", 0);
    t = accept_pb(p);
    const struct ox_str *s = t->data;
    ck_assert_uint_eq(s[0].len, 3);
    ck_assert_mem_eq(s[0].ptr, "a\0b", 3);
    ck_assert_uint_eq(s[1].len, 0);
    ox_tensor_unref(t);
    p = onnx_tensor("t", OX_STRING, "2");
    pb_str(&p, TENSOR_STRINGS, "only one");
    refuse_pb(p, "tensor-size");
}
END_TEST

START_TEST(storage_and_shape_must_be_right) {
    static const float v[4] = {1, 2, 3, 4};
    struct pb p = raw(OX_FLOAT, "4", v, sizeof v);
    pb_bytes(&p, TENSOR_FLOATS, v, sizeof v);
    refuse_pb(p, "bad-tensor");                                  /* two storages */
    refuse_pb(onnx_tensor("t", OX_FLOAT, "4"), "tensor-size");   /* none */
    ox_tensor *t = accept_pb(onnx_tensor("t", OX_FLOAT, "0,4")); /* none needed */
    ck_assert_uint_eq(t->count, 0);
    ox_tensor_unref(t);
    t = accept_pb(onnx_tensor("t", OX_FLOAT, "4294967296,0,4294967296"));
    ck_assert_uint_eq(t->count, 0);
    ox_tensor_unref(t);
    refuse_pb(raw(OX_FLOAT, "-4,-1", v, sizeof v), "bad-shape");
    refuse_pb(raw(OX_FLOAT, "4294967296,4294967296", v, 0), "bad-shape");
    refuse_pb(raw(0, "4", v, sizeof v), "wrong-type");
    refuse_pb(raw(27, "4", v, sizeof v), "wrong-type");
    refuse_pb(raw(-1, "4", v, sizeof v), "wrong-type");
    refuse_pb(raw(OX_BOOL, "4", "\0\1\2\1", 4), "bad-tensor");
    p = raw(OX_FLOAT, "4", v, sizeof v);
    pb_int(&p, TENSOR_LOCATION, 1); /* external and raw */
    refuse_pb(p, "bad-tensor");
    p = raw(OX_FLOAT, "4", v, sizeof v);
    pb_int(&p, TENSOR_LOCATION, 2);
    refuse_pb(p, "bad-tensor");
    p = raw(OX_FLOAT, "4", v, sizeof v);
    onnx_external(&p, "location", "w.bin"); /* not marked as external */
    refuse_pb(p, "bad-tensor");
    p = onnx_tensor("t", OX_FLOAT, "4");
    pb_int(&p, TENSOR_LOCATION, 1);
    onnx_external(&p, "location", "t.pb");
    refuse_pb(p, "external-refused"); /* a lone tensor has no folder */
    p = (struct pb){0};
    for (int i = 0; i < 65; i++)
        pb_int(&p, TENSOR_DIMS, 1);
    pb_int(&p, TENSOR_TYPE, 1);
    refuse_pb(p, "bad-shape");
}
END_TEST

/* Elements of a slice need not be aligned. */
static float element(const ox_tensor *t, size_t i) {
    float v;
    memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
    return v;
}

/* ---- .npy ------------------------------------------------------------------------------------ */

/* A version 1 file with this dictionary and data. */
static struct pb npy(const char *dict, const void *data, size_t size) {
    struct pb b = {0};
    size_t n = strlen(dict);
    pb_raw(&b, "\x93NUMPY\1\0", 8);
    unsigned char len[2] = {(unsigned char)n, (unsigned char)(n >> 8)};
    pb_raw(&b, len, 2);
    pb_raw(&b, dict, n);
    pb_raw(&b, data, size);
    return b;
}

static ox_status read_file(ox_tensor **out, struct pb *b) {
    ox_tensor_file *f;
    front_write("a.npy", b->data, b->len);
    pb_free(b);
    OX_TRY(ox_tensor_file_open(&f, front.ctx, front_path("a.npy")));
    ox_status s = ox_tensor_file_read(out, f, 0);
    ox_tensor_file_close(f);
    return s;
}

static ox_tensor *accept_npy(const char *dict, const void *data, size_t size) {
    ox_tensor *t;
    struct pb b = npy(dict, data, size);
    ck_ok(read_file(&t, &b));
    return t;
}

START_TEST(npy_files) {
    static const float v[6] = {1, 2, 3, 4, 5, 6};
    ox_tensor *t = accept_npy(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n", v, sizeof v);
    ck_assert_int_eq(t->dtype, OX_FLOAT);
    ck_assert_int_eq(t->rank, 2);
    ck_assert_int_eq(t->dims[1], 3);
    ck_assert_mem_eq(t->data, v, sizeof v);
    ox_tensor_unref(t);
    /* any order of keys, other quotes, no blanks, Python 2's long numbers */
    t = accept_npy("{\"shape\":(6L,),\"fortran_order\":False,\"descr\":\"<f4\"}", v, sizeof v);
    ck_assert_int_eq(t->rank, 1);
    ox_tensor_unref(t);
    t = accept_npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", v, 4);
    ck_assert_int_eq(t->rank, 0);
    ox_tensor_unref(t);
    t = accept_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}", v, 0);
    ck_assert_uint_eq(t->count, 0);
    ox_tensor_unref(t);
}
END_TEST

START_TEST(npy_in_other_orders) {
    static const int16_t c_order[6] = {1, 2, 3, 4, 5, 6}, fortran[6] = {1, 4, 2, 5, 3, 6};
    ox_tensor *t = accept_npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}", fortran,
                              sizeof fortran);
    ck_assert_mem_eq(t->data, c_order, sizeof c_order);
    ox_tensor_unref(t);
    t = accept_npy("{'descr': '>i2', 'fortran_order': False, 'shape': (3,)}", "\0\1\1\0\0\3", 6);
    ck_assert_int_eq(((const int16_t *)t->data)[0], 1);
    ck_assert_int_eq(((const int16_t *)t->data)[1], 256);
    ox_tensor_unref(t);
    t = accept_npy("{'descr': '>c8', 'fortran_order': False, 'shape': (1,)}",
                   "\x3f\x80\0\0\x40\0\0\0", 8);
    ck_assert(element(t, 0) == 1.0f); /* the parts are turned, not exchanged */
    ck_assert(element(t, 1) == 2.0f);
    ox_tensor_unref(t);
    /* three dimensions, both at once: element (i,j,k) is 100i + 10j + k */
    unsigned char data[2 * 3 * 4 * 2];
    size_t n = 0;
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++, n += 2)
                data[n] = 0, data[n + 1] = (unsigned char)(100 * i + 10 * j + k);
    t = accept_npy("{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3, 4)}", data,
                   sizeof data);
    ck_assert_int_eq(((const uint16_t *)t->data)[1 * 12 + 2 * 4 + 3], 123);
    ck_assert_int_eq(((const uint16_t *)t->data)[0 * 12 + 1 * 4 + 2], 12);
    ox_tensor_unref(t);
}
END_TEST

START_TEST(npy_headers_that_are_wrong) {
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "[]",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': 4, 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
        "{'de\\x73cr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{__import__('os'): '<f4', 'fortran_order': False, 'shape': (2,)}",
    };
    static const float v[2] = {1, 2};
    ox_tensor *t;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pb b = npy(bad[i], v, sizeof v);
        ck_fails(read_file(&t, &b), OX_INVALID, "bad-npy");
    }
    static const char *const unsupported[] = {"'|O'",      "'<U5'",          "'|S3'", "'|V8'",
                                              "'<M8[ns]'", "[('a', '<f4')]", "'<f16'"};
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        char dict[128];
        snprintf(dict, sizeof dict, "{'descr': %s, 'fortran_order': False, 'shape': (2,)}",
                 unsupported[i]);
        struct pb b = npy(dict, v, sizeof v);
        ck_fails(read_file(&t, &b), OX_UNSUPPORTED, "bad-npy");
    }
    struct pb b = npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\1\2", 2);
    ck_fails(read_file(&t, &b), OX_INVALID, "bad-npy");
}
END_TEST

START_TEST(npy_header_lengths) {
    static const char dict[] = "{'descr': '|u1', 'fortran_order': False, 'shape': ()}";
    ox_tensor *t;
    for (size_t length = 10000; length <= 10001; length++) { /* version 2, padded */
        struct pb b = {0};
        unsigned char len[4] = {(unsigned char)length, (unsigned char)(length >> 8), 0, 0};
        char pad[10001];
        memset(pad, ' ', sizeof pad);
        memcpy(pad, dict, sizeof dict - 1);
        pb_raw(&b, "\x93NUMPY\2\0", 8);
        pb_raw(&b, len, 4);
        pb_raw(&b, pad, length);
        pb_raw(&b, "\7", 1);
        if (length == 10000) {
            ck_ok(read_file(&t, &b));
            ox_tensor_unref(t);
        } else {
            ck_fails(read_file(&t, &b), OX_INVALID, "bad-npy");
        }
    }
    struct pb whole = npy(dict, "\7", 1);
    for (size_t len = 6; len < whole.len; len++) {
        struct pb b = {0};
        pb_raw(&b, whole.data, len);
        ck_fails(read_file(&t, &b), OX_INVALID, "bad-npy");
    }
    pb_free(&whole);
    struct pb b = {0};
    pb_raw(&b, "\x93NUMPY\4\0\1\0\0\0{", 13);
    ck_fails(read_file(&t, &b), OX_UNSUPPORTED, "bad-npy");
}
END_TEST

/* ---- .npz ------------------------------------------------------------------------------------ */

struct zip {
    struct pb file, directory;
    int count;
};

static void put(struct pb *b, uint64_t v, int n) {
    for (; n > 0; n--, v >>= 8)
        pb_raw(b, &(unsigned char){(unsigned char)v}, 1);
}

/* What a test wants to be wrong in a member; 0: nothing. */
struct wrong {
    uint32_t crc; /* added to it */
    int64_t size; /* added to the declared size */
    int64_t packed, offset;
    unsigned method, flags;
    bool zip64;
};

static void zip_add(struct zip *z, const char *name, const struct pb *content, bool deflate_it,
                    struct wrong w) {
    struct pb packed = {0};
    size_t n = strlen(name), offset = z->file.len;
    uint32_t crc = (uint32_t)crc32(0, content->data, (uInt)content->len) + w.crc;
    if (deflate_it) {
        z_stream s = {0};
        unsigned char out[4096];
        ck_assert_int_eq(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
        s.next_in = content->data;
        s.avail_in = (uInt)content->len;
        s.next_out = out;
        s.avail_out = sizeof out;
        ck_assert_int_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
        pb_raw(&packed, out, s.total_out);
        deflateEnd(&s);
    } else {
        pb_raw(&packed, content->data, content->len);
    }
    unsigned method = w.method ? w.method : deflate_it ? 8 : 0;
    pb_raw(&z->file, "PK\3\4", 4);
    put(&z->file, 20, 2), put(&z->file, w.flags, 2), put(&z->file, method, 2), put(&z->file, 0, 4),
        put(&z->file, crc, 4);
    put(&z->file, packed.len, 4), put(&z->file, content->len, 4), put(&z->file, n, 2),
        put(&z->file, 4, 2);
    pb_raw(&z->file, name, n);
    pb_raw(&z->file, "xy\0\0", 4); /* an extra field */
    pb_raw(&z->file, packed.data, packed.len);
    uint64_t size = content->len + (uint64_t)w.size, packed_size = packed.len + (uint64_t)w.packed,
             at = offset + (uint64_t)w.offset;
    uint64_t big = 0xffffffff;
    pb_raw(&z->directory, "PK\1\2", 4);
    put(&z->directory, 20, 2), put(&z->directory, 20, 2), put(&z->directory, w.flags, 2),
        put(&z->directory, method, 2);
    put(&z->directory, 0, 4), put(&z->directory, crc, 4),
        put(&z->directory, w.zip64 ? big : packed_size, 4);
    put(&z->directory, w.zip64 ? big : size, 4), put(&z->directory, n, 2),
        put(&z->directory, w.zip64 ? 28 : 0, 2);
    put(&z->directory, 0, 8), put(&z->directory, 0, 2), put(&z->directory, w.zip64 ? big : at, 4);
    pb_raw(&z->directory, name, n);
    if (w.zip64)
        put(&z->directory, 1, 2), put(&z->directory, 24, 2), put(&z->directory, size, 8),
            put(&z->directory, packed_size, 8), put(&z->directory, at, 8);
    z->count++;
    pb_free(&packed);
}

/* Writes a.npz. */
static void zip_end(struct zip *z, bool zip64) {
    size_t at = z->file.len, size = z->directory.len;
    pb_raw(&z->file, z->directory.data, size);
    if (zip64) {
        size_t end = z->file.len;
        pb_raw(&z->file, "PK\6\6", 4), put(&z->file, 44, 8), put(&z->file, 45, 2),
            put(&z->file, 45, 2), put(&z->file, 0, 8);
        put(&z->file, (uint64_t)z->count, 8), put(&z->file, (uint64_t)z->count, 8),
            put(&z->file, size, 8), put(&z->file, at, 8);
        pb_raw(&z->file, "PK\6\7", 4), put(&z->file, 0, 4), put(&z->file, end, 8),
            put(&z->file, 1, 4);
    }
    pb_raw(&z->file, "PK\5\6", 4), put(&z->file, 0, 4);
    put(&z->file, zip64 ? 0xffff : (uint64_t)z->count, 2),
        put(&z->file, zip64 ? 0xffff : (uint64_t)z->count, 2);
    put(&z->file, zip64 ? 0xffffffff : size, 4), put(&z->file, zip64 ? 0xffffffff : at, 4),
        put(&z->file, 0, 2);
    front_write("a.npz", z->file.data, z->file.len);
    pb_free(&z->file);
    pb_free(&z->directory);
    *z = (struct zip){0};
}

static struct pb three(float first) {
    float v[3] = {first, 2, 3};
    return npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", v, sizeof v);
}

START_TEST(npz_files) {
    for (int zip64 = 0; zip64 < 2; zip64++) {
        struct zip z = {0};
        struct pb a = three(7), b = three(8), other = {0};
        ox_tensor_file *f;
        ox_tensor *t;
        zip_add(&z, "stored.npy", &a, false, (struct wrong){.zip64 = zip64});
        zip_add(&z, "readme.txt", &other, false, (struct wrong){0});
        zip_add(&z, "folder/deflated.npy", &b, true, (struct wrong){.zip64 = zip64});
        zip_end(&z, zip64);
        ck_ok(ox_tensor_file_open(&f, front.ctx, front_path("a.npz")));
        ck_assert_uint_eq(ox_tensor_file_count(f), 2);
        ck_assert_str_eq(ox_tensor_file_name(f, 0), "stored");
        ck_assert_str_eq(ox_tensor_file_name(f, 1), "folder/deflated");
        ck_ok(ox_tensor_file_read(&t, f, 0));
        ck_assert(element(t, 0) == 7);
        ox_tensor_unref(t);
        ck_ok(ox_tensor_file_read(&t, f, 1));
        ck_assert(element(t, 0) == 8);
        ox_tensor_file_close(f);
        ck_assert(element(t, 2) == 3); /* outlives the file */
        ox_tensor_unref(t);
        ck_fails(ox_tensor_file_open(&f, front.ctx, front_path("no.npz")), OX_IO, "cannot-open");
        pb_free(&a);
        pb_free(&b);
    }
}
END_TEST

static void refuse_npz(bool deflate_it, struct wrong w, ox_status status) {
    struct zip z = {0};
    struct pb a = three(7);
    ox_tensor_file *f = NULL;
    ox_tensor *t;
    front.id[0] = 0;
    zip_add(&z, "a.npy", &a, deflate_it, w);
    zip_end(&z, false);
    ox_status s = ox_tensor_file_open(&f, front.ctx, front_path("a.npz"));
    if (s == OX_OK) s = ox_tensor_file_read(&t, f, 0);
    ck_assert_int_eq(s, status);
    ck_assert_str_eq(front.id, "bad-npz");
    ox_tensor_file_close(s == OX_OK || f ? f : NULL);
    pb_free(&a);
}

START_TEST(npz_members_that_are_wrong) {
    for (int packed = 0; packed < 2; packed++) {
        refuse_npz(packed, (struct wrong){.crc = 1}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.size = 1}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.size = -1}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.packed = 1}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.packed = -1}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.packed = 100000}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.offset = 1}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.offset = 100000}, OX_INVALID);
        refuse_npz(packed, (struct wrong){.method = 9}, OX_UNSUPPORTED);
        refuse_npz(packed, (struct wrong){.flags = 1}, OX_UNSUPPORTED);
        refuse_npz(packed, (struct wrong){.zip64 = true, .offset = -1}, OX_INVALID); /* 2^64 - 1 */
        refuse_npz(packed, (struct wrong){.zip64 = true, .size = INT64_MAX}, OX_INVALID);
    }
    struct zip z = {0};
    struct pb a = three(7);
    ox_tensor_file *f;
    zip_add(&z, "a.npy", &a, false, (struct wrong){0});
    zip_add(&z, "a.npy", &a, false, (struct wrong){0});
    zip_end(&z, false);
    ck_fails(ox_tensor_file_open(&f, front.ctx, front_path("a.npz")), OX_INVALID, "bad-npz");
    pb_free(&a);
}
END_TEST

START_TEST(npz_cut_off_anywhere) {
    struct zip z = {0};
    struct pb a = three(7), whole = {0};
    ox_tensor_file *f;
    zip_add(&z, "a.npy", &a, true, (struct wrong){0});
    zip_end(&z, true);
    FILE *in = fopen(front_path("a.npz"), "rb");
    unsigned char data[4096];
    size_t n = fread(data, 1, sizeof data, in);
    fclose(in);
    pb_raw(&whole, data, n);
    for (size_t len = 4; len < n; len++) {
        front_write("cut.npz", whole.data, len);
        ck_fails(ox_tensor_file_open(&f, front.ctx, front_path("cut.npz")), OX_INVALID, "bad-npz");
    }
    pb_free(&whole);
    pb_free(&a);
}
END_TEST

/* ---- sequences, optionals, maps ----------------------------------------------------------------
 */

static void add_message(struct pb *to, uint32_t field, struct pb m) {
    pb_bytes(to, field, m.data, m.len);
    pb_free(&m);
}

static struct pb number(float f) {
    return raw(OX_FLOAT, "", &f, sizeof f);
}

static ox_status read_value(ox_tensor **out, const struct pb *p, ox_dtype kind) {
    front_write("v.pb", p->data, p->len);
    return ox_value_file_read(out, front.ctx, front_path("v.pb"), kind);
}

/* {5: 1.5, -1: 2.5}; how: keys as they come, packed, or strings "a" and ""; values one by one or
 * (bit 2) in one tensor. */
static struct pb map_of(int how) {
    struct pb map = {0}, values = {0};
    pb_int(&map, 2, (how & 3) == 2 ? OX_STRING : OX_INT64);
    if ((how & 3) == 0) pb_int(&map, 3, 5), pb_int(&map, 3, -1);
    if ((how & 3) == 1) pb_packed(&map, 3, (int64_t[]){5, -1}, 2);
    if ((how & 3) == 2) pb_bytes(&map, 4, "a", 1), pb_bytes(&map, 4, "", 0);
    if (how & 4) {
        add_message(&values, 3, raw(OX_FLOAT, "2", (float[]){1.5f, 2.5f}, 8));
    } else {
        add_message(&values, 3, number(1.5f));
        add_message(&values, 3, number(2.5f));
    }
    add_message(&map, 5, values);
    return map;
}

START_TEST(maps) {
    for (int how = 0; how < 7; how++) {
        if ((how & 3) == 3) continue;
        struct pb map = map_of(how), list = {0};
        ox_tensor *t;
        ck_ok(read_value(&t, &map, OX_MAP));
        const ox_tensor *keys = ox_tensor_item(t, 0), *values = ox_tensor_item(t, 1);
        ck_assert(t->dtype == OX_MAP && t->count == 2 && keys->count == 2 &&
                  values->dtype == OX_FLOAT && values->rank == 1);
        if ((how & 3) == 2)
            ck_assert_uint_eq(((const struct ox_str *)keys->data)[0].len, 1);
        else
            ck_assert(((const int64_t *)keys->data)[0] == 5 &&
                      ((const int64_t *)keys->data)[1] == -1);
        ck_assert(((const float *)values->data)[0] == 1.5f &&
                  ((const float *)values->data)[1] == 2.5f);
        ox_tensor_unref(t);
        pb_bytes(&list, 6, map.data, map.len);
        pb_bytes(&list, 6, map.data, map.len);
        ck_ok(read_value(&t, &list, OX_SEQUENCE));
        ck_assert(t->dtype == OX_SEQUENCE && t->count == 2 &&
                  ox_tensor_item(t, 1)->dtype == OX_MAP);
        ox_tensor_unref(t);
        for (size_t len = 0; len < map.len;
             len++) { /* cut off anywhere: an error, or a shorter map */
            struct pb cut = {.data = map.data, .len = len};
            if (read_value(&t, &cut, OX_MAP) == OX_OK) ox_tensor_unref(t);
        }
        pb_free(&map);
        pb_free(&list);
    }
}
END_TEST

START_TEST(lists) {
    struct pb list = {0}, empty = {0}, deep = {0};
    ox_tensor *t;
    add_message(&list, 3, number(1));
    pb_bytes(&list, 5, "", 0);
    ck_ok(read_value(&t, &list, OX_SEQUENCE));
    ck_assert(t->count == 2 && ox_tensor_item(t, 0)->dtype == OX_FLOAT &&
              ox_tensor_item(t, 1)->dtype == OX_SEQUENCE && ox_tensor_item(t, 1)->count == 0);
    ox_tensor_unref(t);
    ck_fails(read_value(&t, &list, OX_OPTIONAL), OX_INVALID, "bad-value"); /* of two */
    ck_ok(read_value(&t, &empty, OX_OPTIONAL));
    ck_assert_uint_eq(t->count, 0);
    ox_tensor_unref(t);
    for (int i = 0; i < 9; i++) {
        struct pb outer = {0};
        add_message(&outer, 5, deep);
        deep = outer;
    }
    ck_fails(read_value(&t, &deep, OX_SEQUENCE), OX_INVALID, "bad-value");
    pb_free(&deep);
    pb_free(&list);
}
END_TEST

START_TEST(maps_that_are_wrong) {
    struct pb keys = {0}, both = map_of(0), few = map_of(0), typed_keys = map_of(0);
    ox_tensor *t;
    pb_int(&keys, 3, 1); /* no values */
    ck_fails(read_value(&t, &keys, OX_MAP), OX_INVALID, "bad-value");
    pb_bytes(&both, 4, "k", 1);
    ck_fails(read_value(&t, &both, OX_MAP), OX_INVALID, "bad-value");
    pb_int(&few, 3, 9); /* three keys, two values */
    ck_fails(read_value(&t, &few, OX_MAP), OX_INVALID, "bad-value");
    pb_int(&typed_keys, 2, OX_INT32);
    ck_fails(read_value(&t, &typed_keys, OX_MAP), OX_UNSUPPORTED, "no-reader");
    pb_free(&keys);
    pb_free(&both);
    pb_free(&few);
    pb_free(&typed_keys);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tensor_file");
    TCase *t = tcase_create("tensor_file");
    tcase_add_checked_fixture(t, front_begin, front_end);
    tcase_add_test(t, raw_data_of_every_type);
    tcase_add_test(t, typed_arrays_have_their_types);
    tcase_add_test(t, int32_data_is_in_range);
    tcase_add_test(t, narrow_types_are_packed);
    tcase_add_test(t, float_data_and_strings);
    tcase_add_test(t, storage_and_shape_must_be_right);
    tcase_add_test(t, maps);
    tcase_add_test(t, lists);
    tcase_add_test(t, maps_that_are_wrong);
    tcase_add_test(t, npy_files);
    tcase_add_test(t, npy_in_other_orders);
    tcase_add_test(t, npy_headers_that_are_wrong);
    tcase_add_test(t, npy_header_lengths);
    tcase_add_test(t, npz_files);
    tcase_add_test(t, npz_members_that_are_wrong);
    tcase_add_test(t, npz_cut_off_anywhere);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
