/* ir/ops/op_ml_table.c - looking up: LabelEncoder, CategoryMapper, OneHotEncoder; and the operators
 * on maps: ZipMap, DictVectorizer, CastMap.
 *
 * A map travels as a list of two tensors of rank 1: keys, and as many values (OX_MAP). */
#include "ir/ops/convert.h"
#include "ir/ops/key_map.h"
#include "ir/ops/ml_scores.h"
#include "ir/ops/op_priv.h"

#define STRINGS OX_BIT(OX_STRING)
#define KEY_TYPES (OX_ML_NUMBERS | STRINGS | OX_BIT(OX_INT16))

/* What is prepared: from keys to positions, and for tables that are read both ways from values. */
struct tables {
    struct ox_key_map keys, values;
};

static ox_status build_map(struct ox_key_map *map, const struct ox_call *call,
                           const struct ox_ml_list *keys) {
    OX_TRY(ox_key_map_init(map, call->ctx, keys->n));
    for (size_t i = 0; i < keys->n; i++)
        ox_key_map_put(map, ox_ml_key(keys, i), i);
    return OX_OK;
}

static void forget(void *state, ox_ctx *ctx) {
    struct tables *t = state;
    ox_key_map_fini(&t->keys, ctx);
    ox_key_map_fini(&t->values, ctx);
    ox_free(ctx, t);
}

/* values may be NULL */
static ox_status prepare(const struct ox_call *call, const struct ox_ml_list *keys,
                         const struct ox_ml_list *values, void **state) {
    struct tables *t;
    OX_TRY(ox_alloc(call->ctx, &t, 1, sizeof *t));
    ox_status s = build_map(&t->keys, call, keys);
    if (s == OX_OK && values) s = build_map(&t->values, call, values);
    if (s == OX_OK)
        *state = t;
    else
        forget(t, call->ctx);
    return s;
}

static struct ox_ml_list list_of(const ox_tensor *t) {
    return (struct ox_ml_list){t->dtype, t->data ? t->data : "", t->count};
}

/* ---- LabelEncoder, CategoryMapper ------------------------------------------------------------ */

static ox_status defaults(struct ox_encode_params *p, const struct ox_call *call) {
    OX_TRY(ox_attr_string(&p->default_string, call, "default_string", "_Unused"));
    OX_TRY(ox_attr_int(&p->default_int, call, "default_int64", -1));
    return ox_attr_float(&p->default_float, call, "default_float", -0.f);
}

ox_status ox_decode_category_mapper(const struct ox_call *call, void *params) {
    struct ox_encode_params *p = params;
    const struct ox_str *strings;
    const int64_t *ints;
    p->both_ways = true;
    OX_TRY(ox_attr_strings(&strings, &p->keys.n, call, "cats_strings"));
    OX_TRY(ox_attr_ints(&ints, &p->values.n, call, "cats_int64s"));
    if (p->keys.n == SIZE_MAX || p->values.n != p->keys.n)
        return ox_bad_attr(call, "cats_strings and cats_int64s must be there and of one length");
    p->keys.dtype = OX_STRING, p->keys.data = strings;
    p->values.dtype = OX_INT64, p->values.data = p->keys.n ? ints : NULL;
    return defaults(p, call);
}

/* One of prefix_strings, prefix_int64s, prefix_floats and (since version 4) prefix_tensor. */
static ox_status list_attr(struct ox_ml_list *list, const struct ox_call *call,
                           const char *const *names) {
    const struct ox_str *strings;
    const int64_t *ints;
    const float *floats;
    const ox_tensor *tensor = NULL;
    size_t n[3];
    OX_TRY(ox_attr_strings(&strings, &n[0], call, names[0]));
    OX_TRY(ox_attr_ints(&ints, &n[1], call, names[1]));
    OX_TRY(ox_attr_floats(&floats, &n[2], call, names[2]));
    if (call->opset >= 4) OX_TRY(ox_attr_tensor(&tensor, call, names[3]));
    int given = (n[0] != SIZE_MAX) + (n[1] != SIZE_MAX) + (n[2] != SIZE_MAX) + (tensor != NULL);
    if (given != 1)
        return ox_bad_attr(call, "exactly one of %s, %s, %s%s%s must be there", names[0], names[1],
                           names[2], call->opset >= 4 ? ", " : "",
                           call->opset >= 4 ? names[3] : "");
    if (tensor && !(OX_BIT(tensor->dtype) & KEY_TYPES))
        return ox_bad_attr(call, "attribute '%s' holds %s", names[3], ox_dtype_name(tensor->dtype));
    *list = tensor             ? list_of(tensor)
            : n[0] != SIZE_MAX ? (struct ox_ml_list){OX_STRING, strings, n[0]}
            : n[1] != SIZE_MAX ? (struct ox_ml_list){OX_INT64, n[1] ? (const void *)ints : "", n[1]}
                               : (struct ox_ml_list){OX_FLOAT, floats, n[2]};
    return OX_OK;
}

ox_status ox_decode_label_encoder(const struct ox_call *call, void *params) {
    static const char *const keys[] = {"keys_strings", "keys_int64s", "keys_floats", "keys_tensor"};
    static const char *const values[] = {"values_strings", "values_int64s", "values_floats",
                                         "values_tensor"};
    struct ox_encode_params *p = params;
    const struct ox_str *strings;
    OX_TRY(defaults(p, call));
    if (call->opset == 1) {
        OX_TRY(ox_attr_strings(&strings, &p->keys.n, call, "classes_strings"));
        if (p->keys.n == SIZE_MAX)
            return ox_bad_attr(call, "attribute 'classes_strings' is missing");
        p->keys.dtype = OX_STRING, p->keys.data = strings;
        p->values = (struct ox_ml_list){OX_INT64, NULL, p->keys.n};
        p->both_ways = true;
        return OX_OK;
    }
    OX_TRY(list_attr(&p->keys, call, keys));
    OX_TRY(list_attr(&p->values, call, values));
    if (p->keys.n != p->values.n)
        return ox_bad_attr(call, "%zu keys and %zu values", p->keys.n, p->values.n);
    if (call->opset >= 4) OX_TRY(ox_attr_tensor(&p->default_tensor, call, "default_tensor"));
    if (p->default_tensor &&
        (p->default_tensor->dtype != p->values.dtype || p->default_tensor->count != 1))
        return ox_bad_attr(call, "default_tensor must be one %s", ox_dtype_name(p->values.dtype));
    return OX_OK;
}

/* Which list an input of this type is looked up in. */
static bool turned(const struct ox_encode_params *p, ox_dtype dtype) {
    return p->both_ways && dtype == p->values.dtype;
}

static ox_status check_key_type(const struct ox_encode_params *p, const struct ox_call *call,
                                ox_dtype dtype) {
    if (dtype == OX_UNDEFINED || dtype == p->keys.dtype || turned(p, dtype)) return OX_OK;
    return ox_bad_attr(call, "the keys are of type %s, the input is of type %s",
                       ox_dtype_name(p->keys.dtype), ox_dtype_name(dtype));
}

ox_status ox_infer_encode(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_encode_params *p = params;
    ox_dtype from = ox_in_dtype(io, 0);
    const struct ox_type *t = io->in[0];
    OX_TRY(check_key_type(p, call, from));
    if (p->both_ways && from == OX_UNDEFINED) return OX_OK;
    return ox_infer_tensor(io, 0, turned(p, from) ? p->keys.dtype : p->values.dtype,
                           ox_in_rank(io, 0), ox_type_is_tensor(t) ? t->dims : NULL);
}

/* The default as an element of the output's type. */
static void store_default(void *to, const struct ox_encode_params *p, ox_dtype dtype) {
    double d = (double)p->default_float;
    int32_t i32 = (int32_t)p->default_int;
    int16_t i16 = (int16_t)p->default_int;
    size_t size = (size_t)ox_dtype_bits(dtype) / 8;
    if (p->default_tensor)
        memcpy(to, p->default_tensor->data, size);
    else
        memcpy(to,
               dtype == OX_STRING   ? (const void *)&p->default_string
               : dtype == OX_FLOAT  ? (const void *)&p->default_float
               : dtype == OX_DOUBLE ? (const void *)&d
               : dtype == OX_INT32  ? (const void *)&i32
               : dtype == OX_INT16  ? (const void *)&i16
                                    : (const void *)&p->default_int,
               size);
}

ox_status ox_prepare_encode(const struct ox_call *call, const void *params, void **state) {
    const struct ox_encode_params *p = params;
    return prepare(call, &p->keys, p->both_ways ? &p->values : NULL, state);
}

void ox_forget_encode(void *state, ox_ctx *ctx) {
    forget(state, ctx);
}

static ox_status encode(ox_tensor **out, const struct ox_call *call,
                        const struct ox_encode_params *p, const struct ox_key_map *map,
                        const struct ox_ml_list *values, const ox_tensor *x) {
    unsigned char fallback[sizeof(struct ox_str)], *to = NULL;
    size_t size = (size_t)ox_dtype_bits(values->dtype) / 8;
    const struct ox_ml_list from = list_of(x);
    store_default(fallback, p, values->dtype);
    ox_status s = ox_alloc(call->ctx, &to, x->count, size);
    for (size_t i = 0; s == OX_OK && i < x->count; i++) {
        size_t at = ox_key_map_get(map, ox_ml_key(&from, i));
        int64_t iota = (int64_t)at;
        const void *value = at == SIZE_MAX ? fallback
                            : values->data ? (const unsigned char *)values->data + at * size
                                           : (const void *)&iota;
        memcpy(to + i * size, value, size);
    }
    if (s == OX_OK)
        s = values->dtype == OX_STRING ? ox_tensor_strings(out, call->ctx, x->rank, x->dims,
                                                           (const struct ox_str *)(const void *)to)
                                       : ox_tensor_copy(out, call->ctx, values->dtype, x->rank,
                                                        x->dims, to, x->count * size);
    ox_free(call->ctx, to);
    return s;
}

ox_status ox_eval_encode(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_encode_params *p = params;
    OX_TRY(check_key_type(p, call, in[0]->dtype));
    const struct tables *t = call->prepared;
    bool back = turned(p, in[0]->dtype);
    return encode(&out[0], call, p, back ? &t->values : &t->keys, back ? &p->keys : &p->values,
                  in[0]);
}

/* ---- OneHotEncoder --------------------------------------------------------------------------- */

ox_status ox_decode_one_hot_encoder(const struct ox_call *call, void *params) {
    struct ox_one_hot_encoder_params *p = params;
    int64_t zeros;
    OX_TRY(ox_ml_list_attr(&p->cats, call, "cats_int64s", "cats_strings"));
    OX_TRY(ox_attr_int(&zeros, call, "zeros", 1));
    if (p->cats.n == 0) return ox_bad_attr(call, "there are no categories");
    p->zeros = zeros != 0;
    return OX_OK;
}

static ox_status check_cats(const struct ox_one_hot_encoder_params *p, const struct ox_call *call,
                            ox_dtype dtype) {
    return ox_expect_dtype(call, 0, dtype, p->cats.dtype == OX_STRING ? STRINGS : OX_ML_NUMBERS);
}

ox_status ox_infer_one_hot_encoder(const struct ox_call *call, const void *params,
                                   struct ox_infer *io) {
    const struct ox_one_hot_encoder_params *p = params;
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_MAX_RANK];
    OX_TRY(check_cats(p, call, ox_in_dtype(io, 0)));
    if (rank < 0 || rank == OX_MAX_RANK) return ox_infer_tensor(io, 0, OX_FLOAT, -1, NULL);
    if (rank) memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    dims[rank] = ox_dim_const((int64_t)p->cats.n);
    return ox_infer_tensor(io, 0, OX_FLOAT, rank + 1, dims);
}

ox_status ox_prepare_one_hot_encoder(const struct ox_call *call, const void *params, void **state) {
    return prepare(call, &((const struct ox_one_hot_encoder_params *)params)->cats, NULL, state);
}

void ox_forget_one_hot_encoder(void *state, ox_ctx *ctx) {
    forget(state, ctx);
}

/* Floats are cut to integers first. */
static ox_status one_hot(ox_tensor **out, const struct ox_call *call,
                         const struct ox_one_hot_encoder_params *p, const ox_tensor *x,
                         const struct ox_key_map *map) {
    int64_t dims[OX_MAX_RANK];
    const struct ox_ml_list from = list_of(x);
    void *data;
    if (x->rank == OX_MAX_RANK)
        return ox_bad_shape(call, "the result has more than %d dims", OX_MAX_RANK);
    if (x->rank) memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    dims[x->rank] = (int64_t)p->cats.n;
    OX_TRY(ox_tensor_new(out, &data, call->ctx, OX_FLOAT, x->rank + 1, dims));
    for (size_t i = 0; i < x->count; i++) {
        size_t at = ox_key_map_get(map, ox_ml_key(&from, i));
        if (at != SIZE_MAX)
            ((float *)data)[i * p->cats.n + at] = 1;
        else if (!p->zeros)
            return ox_fail(call->ctx, OX_INVALID, "unknown-category", NULL,
                           "element %zu is in no category", i);
    }
    return OX_OK;
}

ox_status ox_eval_one_hot_encoder(const struct ox_call *call, const void *params,
                                  const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_one_hot_encoder_params *p = params;
    ox_tensor *ints = NULL;
    OX_TRY(check_cats(p, call, in[0]->dtype));
    if (in[0]->dtype != OX_STRING) OX_TRY(ox_tensor_cast(&ints, call->ctx, in[0], OX_INT64, true));
    ox_status s = one_hot(&out[0], call, p, ints ? ints : in[0],
                          &((const struct tables *)call->prepared)->keys);
    ox_tensor_unref(ints);
    return s;
}

/* ---- ZipMap ---------------------------------------------------------------------------------- */

ox_status ox_decode_zip_map(const struct ox_call *call, void *params) {
    struct ox_zip_map_params *p = params;
    OX_TRY(ox_ml_list_attr(&p->labels, call, "classlabels_int64s", "classlabels_strings"));
    return p->labels.n ? OX_OK : ox_bad_attr(call, "there are no class labels");
}

ox_status ox_infer_zip_map(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_zip_map_params *p = params;
    struct ox_type *types;
    const struct ox_type *values;
    int rank = ox_in_rank(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_BIT(OX_FLOAT)));
    OX_TRY(ox_expect_rank(call, 0, rank, 1, 2));
    if (rank > 0 && ox_dim_is_const(io->in[0]->dims[rank - 1]) &&
        (uint64_t)io->in[0]->dims[rank - 1].k != p->labels.n)
        return ox_bad_shape(call, "%lld columns for %zu labels",
                            (long long)io->in[0]->dims[rank - 1].k, p->labels.n);
    OX_TRY(ox_type_tensor(&values, io->arena, OX_FLOAT, -1, NULL));
    OX_TRY(ox_arena_alloc(io->arena, &types, 2, sizeof *types));
    types[0] =
        (struct ox_type){.kind = OX_TYPE_MAP, .dtype = p->labels.dtype, .rank = -1, .elem = values};
    types[1] = (struct ox_type){.kind = OX_TYPE_SEQUENCE, .rank = -1, .elem = &types[0]};
    io->out[0] = &types[1];
    return OX_OK;
}

/* One map; all rows share the tensor of keys. */
static ox_status zip_row(ox_tensor **out, const struct ox_call *call, ox_tensor *keys,
                         const float *row, size_t n) {
    const int64_t dims[1] = {(int64_t)n};
    ox_tensor *parts[2] = {keys, NULL};
    OX_TRY(ox_tensor_copy(&parts[1], call->ctx, OX_FLOAT, 1, dims, row, n * sizeof *row));
    ox_status s = ox_tensor_list(out, call->ctx, OX_MAP, 2, parts);
    ox_tensor_unref(parts[1]);
    return s;
}

ox_status ox_eval_zip_map(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_zip_map_params *p = params;
    size_t n = p->labels.n, rows, made = 0;
    const int64_t dims[1] = {(int64_t)n};
    ox_tensor *keys, **maps = NULL;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_BIT(OX_FLOAT)));
    OX_TRY(ox_expect_rank(call, 0, in[0]->rank, 1, 2));
    rows = in[0]->rank == 1 ? 1 : (size_t)in[0]->dims[0];
    if ((size_t)in[0]->dims[in[0]->rank - 1] != n)
        return ox_bad_shape(call, "%lld columns for %zu labels",
                            (long long)in[0]->dims[in[0]->rank - 1], n);
    OX_TRY(p->labels.dtype == OX_STRING
               ? ox_tensor_strings(&keys, call->ctx, 1, dims, p->labels.data)
               : ox_tensor_copy(&keys, call->ctx, OX_INT64, 1, dims, p->labels.data,
                                n * sizeof(int64_t)));
    ox_status s = ox_alloc(call->ctx, &maps, rows, sizeof(ox_tensor *));
    while (s == OX_OK && made < rows) {
        s = zip_row(&maps[made], call, keys, (const float *)in[0]->data + made * n, n);
        if (s == OX_OK) made++;
    }
    if (s == OX_OK) s = ox_tensor_list(&out[0], call->ctx, OX_SEQUENCE, rows, maps);
    for (size_t i = 0; i < made; i++)
        ox_tensor_unref(maps[i]);
    ox_free(call->ctx, maps);
    ox_tensor_unref(keys);
    return s;
}

/* ---- DictVectorizer -------------------------------------------------------------------------- */

/* A map whose keys are of the type and whose two halves are of one length. */
static ox_status need_map(const struct ox_call *call, const ox_tensor *t, ox_dtypes keys,
                          ox_dtypes values) {
    if (!t || t->dtype != OX_MAP)
        return ox_bad_type(call, "the input is a %s, expected a map",
                           t ? ox_dtype_name(t->dtype) : "missing value");
    const ox_tensor *k = ox_tensor_item(t, 0), *v = ox_tensor_item(t, 1);
    if (!(keys & OX_BIT(k->dtype & 31)) || !(values & OX_BIT(v->dtype & 31)) ||
        k->dtype > OX_DTYPE_COUNT || v->dtype > OX_DTYPE_COUNT)
        return ox_bad_type(call, "a map from %s to %s", ox_dtype_name(k->dtype),
                           ox_dtype_name(v->dtype));
    return k->count == v->count
               ? OX_OK
               : ox_bad_shape(call, "a map of %zu keys and %zu values", k->count, v->count);
}

ox_status ox_decode_dict(const struct ox_call *call, void *params) {
    struct ox_dict_params *p = params;
    OX_TRY(ox_ml_list_attr(&p->words, call, "int64_vocabulary", "string_vocabulary"));
    return p->words.n ? OX_OK : ox_bad_attr(call, "there is no vocabulary");
}

/* One row a map, as ONNX Runtime gives it (the standard's text speaks of a vector). */
ox_status ox_infer_dict(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_dict_params *p = params;
    const struct ox_type *t = io->in[0], *map = t && t->kind == OX_TYPE_SEQUENCE ? t->elem : t;
    ox_dim dims[2] = {ox_dim_const(1), ox_dim_const((int64_t)p->words.n)};
    if (ox_type_is_tensor(t)) return ox_bad_type(call, "the input is a tensor, expected a map");
    if (!t || t->kind != OX_TYPE_MAP) OX_TRY(ox_dim_unknown(&dims[0], io->dims));
    ox_dtype dtype = map && map->kind == OX_TYPE_MAP && ox_type_is_tensor(map->elem)
                         ? map->elem->dtype
                         : OX_UNDEFINED;
    return dtype == OX_UNDEFINED ? OX_OK : ox_infer_tensor(io, 0, dtype, 2, dims);
}

static ox_status vectorize(ox_tensor **out, const struct ox_call *call,
                           const struct ox_dict_params *p, const ox_tensor *const *maps, size_t n,
                           const struct ox_key_map *words) {
    const ox_dtypes values = OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE) | OX_BIT(OX_INT64) | STRINGS;
    const int64_t dims[2] = {(int64_t)n, (int64_t)p->words.n};
    unsigned char *to = NULL;
    size_t cells, bytes, size = 0;
    ox_dtype dtype = OX_UNDEFINED;
    for (size_t i = 0; i < n; i++) {
        OX_TRY(need_map(call, maps[i], OX_BIT(p->words.dtype), values));
        ox_dtype here = ox_tensor_item(maps[i], 1)->dtype;
        if (i && here != dtype)
            return ox_bad_type(call, "maps to %s and to %s", ox_dtype_name(dtype),
                               ox_dtype_name(here));
        dtype = here;
    }
    if (n == 0) dtype = OX_FLOAT;
    size = (size_t)ox_dtype_bits(dtype) / 8;
    if (ox_shape_size(&cells, &bytes, dtype, 2, dims))
        return ox_bad_shape(call, "the result is too large");
    OX_TRY(ox_alloc(call->ctx, &to, cells, size));
    struct ox_str *strings = (struct ox_str *)(void *)to;
    for (size_t i = 0; dtype == OX_STRING && i < cells; i++)
        strings[i].ptr = "";
    for (size_t i = 0; i < n; i++) {
        const struct ox_ml_list keys = list_of(ox_tensor_item(maps[i], 0));
        for (size_t k = 0; k < keys.n; k++) { /* a word outside the vocabulary says nothing */
            size_t at = ox_key_map_get(words, ox_ml_key(&keys, k));
            if (at != SIZE_MAX)
                memcpy(to + (i * p->words.n + at) * size,
                       (const unsigned char *)ox_tensor_item(maps[i], 1)->data + k * size, size);
        }
    }
    ox_status s = dtype == OX_STRING ? ox_tensor_strings(out, call->ctx, 2, dims, strings)
                                     : ox_tensor_copy(out, call->ctx, dtype, 2, dims, to, bytes);
    ox_free(call->ctx, to);
    return s;
}

ox_status ox_prepare_dict(const struct ox_call *call, const void *params, void **state) {
    return prepare(call, &((const struct ox_dict_params *)params)->words, NULL, state);
}

void ox_forget_dict(void *state, ox_ctx *ctx) {
    forget(state, ctx);
}

ox_status ox_eval_dict(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    const struct ox_dict_params *p = params;
    const struct ox_key_map *words = &((const struct tables *)call->prepared)->keys;
    bool many = in[0]->dtype == OX_SEQUENCE;
    return vectorize(&out[0], call, p, many ? (const ox_tensor *const *)in[0]->data : &in[0],
                     many ? in[0]->count : 1, words);
}

/* ---- CastMap --------------------------------------------------------------------------------- */

ox_status ox_decode_cast_map(const struct ox_call *call, void *params) {
    static const char *const types[] = {"TO_FLOAT", "TO_STRING", "TO_INT64", NULL};
    static const char *const forms[] = {"DENSE", "SPARSE", NULL};
    static const ox_dtype dtypes[] = {OX_FLOAT, OX_STRING, OX_INT64};
    struct ox_cast_map_params *p = params;
    int type, form;
    OX_TRY(ox_attr_choice(&type, call, "cast_to", types, 0));
    OX_TRY(ox_attr_choice(&form, call, "map_form", forms, 0));
    OX_TRY(ox_attr_int(&p->max_map, call, "max_map", 1));
    p->to = dtypes[type];
    p->sparse = form == 1;
    if (p->sparse && p->max_map < 1)
        return ox_bad_attr(call, "max_map is %lld", (long long)p->max_map);
    return OX_OK;
}

ox_status ox_infer_cast_map(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_cast_map_params *p = params;
    ox_dim dims[2] = {ox_dim_const(1), ox_dim_const(p->max_map)};
    if (ox_type_is_tensor(io->in[0]))
        return ox_bad_type(call, "the input is a tensor, expected a map");
    if (!p->sparse) OX_TRY(ox_dim_unknown(&dims[1], io->dims));
    return ox_infer_tensor(io, 0, p->to, 2, dims);
}

/* Where entry i of the map goes: dense, by the order of keys; sparse, by the key itself. SIZE_MAX:
 * nowhere. */
static ox_status places(size_t *at, const struct ox_call *call, const struct ox_cast_map_params *p,
                        const int64_t *keys, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (keys[i] < 0) return ox_bad_shape(call, "the map has the key %lld", (long long)keys[i]);
        at[i] = p->sparse ? (keys[i] < p->max_map ? (size_t)keys[i] : SIZE_MAX) : i;
    }
    for (size_t i = 1; !p->sparse && i < n; i++) /* mostly in order already */
        if (keys[i] <= keys[i - 1]) {
            for (size_t k = 0; k < n; k++) {
                at[k] = 0;
                for (size_t j = 0; j < n; j++)
                    at[k] += keys[j] < keys[k] || (keys[j] == keys[k] && j < k);
            }
            break;
        }
    return OX_OK;
}

/* A gap is 0, as a string "0.f": that is what ONNX Runtime fills in. */
static ox_status spread(ox_tensor **out, const struct ox_call *call,
                        const struct ox_cast_map_params *p, const ox_tensor *values,
                        const size_t *at) {
    const int64_t dims[2] = {1, p->sparse ? p->max_map : (int64_t)values->count};
    size_t n, bytes, size = (size_t)ox_dtype_bits(p->to) / 8;
    unsigned char *to;
    if (ox_shape_size(&n, &bytes, p->to, 2, dims))
        return ox_bad_shape(call, "the result is too large");
    OX_TRY(ox_alloc(call->ctx, &to, n, size));
    struct ox_str *strings = (struct ox_str *)(void *)to;
    for (size_t i = 0; p->to == OX_STRING && i < n; i++)
        strings[i] = (struct ox_str){"0.f", 3};
    for (size_t i = 0; i < values->count; i++)
        if (at[i] != SIZE_MAX)
            memcpy(to + at[i] * size, (const unsigned char *)values->data + i * size, size);
    ox_status s = p->to == OX_STRING ? ox_tensor_strings(out, call->ctx, 2, dims, strings)
                                     : ox_tensor_copy(out, call->ctx, p->to, 2, dims, to, bytes);
    ox_free(call->ctx, to);
    return s;
}

ox_status ox_eval_cast_map(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_cast_map_params *p = params;
    OX_TRY(need_map(call, in[0], OX_BIT(OX_INT64), OX_BIT(OX_FLOAT) | STRINGS));
    const ox_tensor *keys = ox_tensor_item(in[0], 0);
    ox_tensor *values;
    size_t *at;
    OX_TRY(ox_tensor_cast(&values, call->ctx, ox_tensor_item(in[0], 1), p->to, true));
    ox_status s = ox_alloc(call->ctx, &at, keys->count, sizeof *at);
    if (s == OX_OK) {
        s = places(at, call, p, keys->data, keys->count);
        if (s == OX_OK) s = spread(&out[0], call, p, values, at);
        ox_free(call->ctx, at);
    }
    ox_tensor_unref(values);
    return s;
}
