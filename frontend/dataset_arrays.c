/* frontend/dataset_arrays.c - arrays into samples: which member feeds which input, and how it is
 * cut.
 *
 * An array of the input's own type and shape is taken as it is, a batch at a time; its samples are
 * slices, not copies. With one more dimension than the input, its rows are samples. Anything else
 * is an error, unless the user gave a specification for preprocessing, by which it is then
 * converted. */
#include "frontend/dataset_priv.h"

#include <stdio.h>

#define bad(feed, place, ...) ox_fail((feed)->ctx, OX_INVALID, "wrong-sample", (place), __VA_ARGS__)

enum { TEXT = 256 };

bool ox_is_label_name(const char *name) {
    return strcmp(name, "y") == 0 || strncmp(name, "label", 5) == 0;
}

ox_status ox_feed_plan(struct ox_feed *feed, size_t input) {
    if (feed->planned) return OX_OK;
    OX_TRY(ox_prep_plan(&feed->targets[input], feed->ctx, &feed->prep));
    feed->planned = true;
    return OX_OK;
}

ox_status ox_feed_single(size_t *input, const struct ox_feed *feed, const struct ox_place *place) {
    size_t n = 0;
    for (size_t i = 0; i < feed->n_inputs; i++)
        if (!feed->optional[i] && n++ == 0) *input = i;
    if (n == 1) return OX_OK;
    if (n == 0 && feed->n_inputs == 1) {
        *input = 0;
        return OX_OK;
    }
    return bad(feed, place, "data without names for a model with %zu inputs",
               n ? n : feed->n_inputs);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static void print_dims(char *out, size_t size, const char *type, int rank, const int64_t *dims) {
    int n = snprintf(out, size, "%s[", type);
    for (int i = 0; i < rank && n > 0 && (size_t)n < size - 24; i++) {
        const char *comma = i ? "," : "";
        n += dims[i] < 0 ? snprintf(out + n, size - (size_t)n, "%s?", comma)
                         : snprintf(out + n, size - (size_t)n, "%s%lld", comma, (long long)dims[i]);
    }
    snprintf(out + n, size - (size_t)n, rank < 0 ? "...]" : "]");
}

static bool dims_fit(const int64_t *have, const int64_t *need, int rank) {
    for (int i = 0; i < rank; i++)
        if (need[i] >= 0 && need[i] != have[i]) return false;
    return true;
}

/* How an array of the input's type is cut; false: it does not fit. */
static bool cut_directly(struct ox_array *a, const struct ox_prep_target *t) {
    const ox_tensor *x = a->tensor;
    if (x->dtype != t->dtype) return false;
    if (t->rank == 0 && x->rank == 0) {
        a->cut = OX_CUT_WHOLE;
        a->samples = 1;
        return true;
    }
    if (x->rank < 1) return false;
    bool same =
        t->rank < 0 || (x->rank == t->rank && dims_fit(x->dims + 1, t->dims + 1, t->rank - 1));
    size_t rows = (size_t)x->dims[0];
    if (same) {
        a->cut = OX_CUT_BATCH;
        a->batch = t->rank > 0 && t->dims[0] > 0 ? (size_t)t->dims[0] : 1;
        a->samples = rows / a->batch;
        return a->samples > 0;
    }
    if (x->rank != t->rank + 1 || !dims_fit(x->dims + 1, t->dims, t->rank)) return false;
    a->cut = OX_CUT_ITEM;
    a->samples = rows;
    return rows > 0;
}

static bool is_single_image(const ox_tensor *x) {
    return x->rank == 3 && (x->dims[2] == 1 || x->dims[2] == 3);
}

static ox_status plan_array(struct ox_array *a, struct ox_feed *feed, size_t input,
                            const struct ox_place *place) {
    const ox_tensor *x = a->tensor;
    const struct ox_prep_target *t = &feed->targets[input];
    if (cut_directly(a, t)) return OX_OK;
    if (!feed->has_spec || x->rank < 1 || x->count == 0) {
        char have[TEXT], need[TEXT];
        print_dims(have, sizeof have, ox_dtype_name(x->dtype), x->rank, x->dims);
        print_dims(need, sizeof need, ox_dtype_name(t->dtype), t->rank, t->dims);
        const char *hint =
            x->dtype != t->dtype ? "; a preprocessing specification would convert it" : "";
        return bad(feed, place, "an array %s for input '%s', which is %s%s", have, t->name, need,
                   hint);
    }
    OX_TRY(ox_feed_plan(feed, input));
    bool whole = is_single_image(x);
    a->cut = whole ? OX_CUT_CONVERT_WHOLE : OX_CUT_CONVERT;
    a->samples = whole ? 1 : (size_t)x->dims[0];
    return OX_OK;
}

/* ---- members --------------------------------------------------------------------------------- */

/* Named arrays, not yet read. */
struct member {
    ox_tensor_file *file; /* borrowed from `opened` */
    size_t index;
    const char *name;
    bool used;
};

struct members {
    ox_tensor_file **opened;
    size_t n_opened;
    struct member *list;
    size_t n, cap;
    char **names; /* of files, where the file's name counts */
    size_t n_names;
};

static void members_free(struct members *m, ox_ctx *ctx) {
    for (size_t i = 0; i < m->n_opened; i++)
        ox_tensor_file_close(m->opened[i]);
    for (size_t i = 0; i < m->n_names; i++)
        ox_free(ctx, m->names[i]);
    ox_free(ctx, m->opened);
    ox_free(ctx, m->list);
    ox_free(ctx, m->names);
}

/* File name without folder and ending. */
static ox_status base_name(char **out, ox_ctx *ctx, const char *path) {
    const char *slash = strrchr(path, '/'), *begin = slash ? slash + 1 : path,
               *dot = strrchr(begin, '.');
    size_t n = dot ? (size_t)(dot - begin) : strlen(begin);
    OX_TRY(ox_alloc(ctx, out, n + 1, 1));
    memcpy(*out, begin, n);
    return OX_OK;
}

static ox_status members_open(struct members *m, ox_ctx *ctx, char *const *files, size_t n_files) {
    OX_TRY(ox_alloc(ctx, &m->opened, n_files, sizeof(ox_tensor_file *)));
    OX_TRY(ox_alloc(ctx, &m->names, n_files, sizeof(char *)));
    for (size_t i = 0; i < n_files; i++) {
        OX_TRY(ox_tensor_file_open(&m->opened[i], ctx, files[i]));
        m->n_opened++;
        OX_TRY(base_name(&m->names[i], ctx, files[i]));
        m->n_names++;
        for (size_t j = 0; j < ox_tensor_file_count(m->opened[i]); j++) {
            const char *name = ox_tensor_file_name(m->opened[i], j);
            OX_TRY(OX_GROW(ctx, m->list, m->n, m->cap));
            m->list[m->n++] =
                (struct member){m->opened[i], j, n_files > 1 ? m->names[i] : name, false};
        }
    }
    return OX_OK;
}

static struct member *find_member(struct members *m, const char *name) {
    for (size_t i = 0; i < m->n; i++)
        if (!m->list[i].used && strcmp(m->list[i].name, name) == 0) return &m->list[i];
    return NULL;
}

static struct member *find_labels(struct members *m) {
    for (size_t i = 0; i < m->n; i++)
        if (!m->list[i].used && ox_is_label_name(m->list[i].name)) return &m->list[i];
    return NULL;
}

/* The only member that is left, whatever its name. */
static struct member *find_left(struct members *m) {
    struct member *left = NULL;
    for (size_t i = 0; i < m->n; i++) {
        if (m->list[i].used) continue;
        if (left) return NULL;
        left = &m->list[i];
    }
    return left;
}

static ox_status read_member(ox_tensor **out, struct member *m) {
    m->used = true;
    return ox_tensor_file_read(out, m->file, m->index);
}

/* ---- matching -------------------------------------------------------------------------------- */

static ox_status take_inputs(struct ox_arrays *a, struct ox_feed *feed, struct members *m,
                             const struct ox_place *place) {
    size_t missing = 0;
    for (size_t i = 0; i < feed->n_inputs; i++) {
        struct member *x = find_member(m, feed->targets[i].name);
        if (x) OX_TRY(read_member(&a->inputs[i].tensor, x));
        if (!x && !feed->optional[i]) missing++;
    }
    struct member *labels = find_labels(m);
    if (labels) OX_TRY(read_member(&a->labels, labels));
    if (missing == 0 && (feed->n_inputs != 1 || a->inputs[0].tensor)) return OX_OK;
    size_t input = feed->n_inputs;
    for (size_t i = feed->n_inputs; i-- > 0;)
        if (!a->inputs[i].tensor && (!feed->optional[i] || feed->n_inputs == 1)) input = i;
    struct member *left = missing <= 1 ? find_left(m) : NULL;
    if (!left)
        return bad(feed, place, "there is no array for input '%s'", feed->targets[input].name);
    return read_member(&a->inputs[input].tensor, left);
}

static bool is_index(ox_dtype dtype) {
    return ox_dtype_is_integer(dtype) && ox_dtype_bits(dtype) >= 8;
}

static ox_status count_samples(struct ox_arrays *a, struct ox_feed *feed,
                               const struct ox_place *place) {
    a->samples = 0;
    for (size_t i = 0; i < feed->n_inputs; i++) {
        struct ox_array *x = &a->inputs[i];
        if (!x->tensor) continue;
        OX_TRY(plan_array(x, feed, i, place));
        if (x->samples == 1 && x->cut == OX_CUT_WHOLE) continue;
        if (a->samples && a->samples != x->samples)
            return bad(feed, place, "input '%s' has %zu samples, another one has %zu",
                       feed->targets[i].name, x->samples, a->samples);
        a->samples = x->samples;
    }
    if (!a->samples) a->samples = 1;
    if (a->labels && (!is_index(a->labels->dtype) || a->labels->count != a->samples))
        return bad(feed, place, "%zu samples, but %zu labels of type %s", a->samples,
                   a->labels->count, ox_dtype_name(a->labels->dtype));
    return OX_OK;
}

static ox_status arrays_init(struct ox_arrays *a, const struct ox_feed *feed) {
    *a = (struct ox_arrays){0};
    return ox_alloc(feed->ctx, &a->inputs, feed->n_inputs, sizeof *a->inputs);
}

ox_status ox_arrays_open(struct ox_arrays *out, struct ox_feed *feed, char *const *files,
                         size_t n_files) {
    struct members m = {0};
    const struct ox_place place = {.file = files[0]};
    OX_TRY(arrays_init(out, feed));
    ox_status s = members_open(&m, feed->ctx, files, n_files);
    if (s == OX_OK) s = take_inputs(out, feed, &m, &place);
    if (s == OX_OK) s = count_samples(out, feed, &place);
    members_free(&m, feed->ctx);
    if (s != OX_OK) ox_arrays_close(out, feed);
    return s;
}

static ox_status read_set(struct ox_arrays *a, struct ox_feed *feed, char *const *files,
                          size_t n_files) {
    for (size_t i = 0; i < n_files; i++) {
        const struct ox_place place = {.file = files[i]};
        struct ox_array *x = &a->inputs[i];
        const struct ox_prep_target *t = &feed->targets[i];
        ox_tensor_file *file;
        if (i == feed->n_inputs)
            return bad(feed, &place, "the model has only %zu inputs", feed->n_inputs);
        OX_TRY(ox_tensor_file_open(&file, feed->ctx, files[i]));
        ox_status s = ox_tensor_file_read(&x->tensor, file, 0);
        ox_tensor_file_close(file);
        OX_TRY(s);
        *x = (struct ox_array){.tensor = x->tensor, .cut = OX_CUT_WHOLE, .samples = 1};
        if (x->tensor->dtype != t->dtype ||
            (t->rank >= 0 &&
             (x->tensor->rank != t->rank || !dims_fit(x->tensor->dims, t->dims, t->rank))))
            return bad(feed, &place, "an array of another type or shape than input '%s'", t->name);
    }
    a->samples = 1;
    return OX_OK;
}

ox_status ox_arrays_open_set(struct ox_arrays *out, struct ox_feed *feed, char *const *files,
                             size_t n_files) {
    OX_TRY(arrays_init(out, feed));
    ox_status s = read_set(out, feed, files, n_files);
    if (s != OX_OK) ox_arrays_close(out, feed);
    return s;
}

void ox_arrays_close(struct ox_arrays *a, const struct ox_feed *feed) {
    for (size_t i = 0; a->inputs && i < feed->n_inputs; i++)
        ox_tensor_unref(a->inputs[i].tensor);
    ox_tensor_unref(a->labels);
    ox_free(feed->ctx, a->inputs);
    *a = (struct ox_arrays){0};
}

/* ---- samples --------------------------------------------------------------------------------- */

/* Rows [index * n, index * n + n) of a tensor, with or without the first dim. */
static ox_status rows(ox_tensor **out, ox_ctx *ctx, const ox_tensor *x, size_t index, size_t n,
                      bool keep_dim) {
    int64_t dims[OX_MAX_RANK];
    size_t offset,
        row = x->size /
              (size_t)x->dims[0]; /* whole bytes: .npy has no narrower types, .pb is not cut */
    struct ox_bytes *bytes = ox_tensor_bytes(x, &offset);
    if (!bytes || ox_dtype_bits(x->dtype) < 8)
        return ox_fail(ctx, OX_UNSUPPORTED, "wrong-sample", NULL,
                       "a %s array cannot be cut into samples", ox_dtype_name(x->dtype));
    memcpy(dims, x->dims, (size_t)x->rank * sizeof dims[0]);
    dims[0] = (int64_t)n;
    return ox_tensor_slice(out, ctx, x->dtype, x->rank - !keep_dim, dims + !keep_dim, bytes,
                           offset + index * n * row, n * row);
}

static ox_status convert(ox_tensor **out, const struct ox_array *a, struct ox_feed *feed,
                         size_t input, size_t index) {
    ox_tensor *row;
    if (a->cut == OX_CUT_CONVERT_WHOLE)
        return ox_prep_array(out, feed->ctx, &feed->prep, &feed->targets[input], a->tensor, NULL);
    OX_TRY(rows(&row, feed->ctx, a->tensor, index, 1, false));
    ox_status s = ox_prep_array(out, feed->ctx, &feed->prep, &feed->targets[input], row, NULL);
    ox_tensor_unref(row);
    return s;
}

static ox_status make_input(ox_tensor **out, const struct ox_array *a, struct ox_feed *feed,
                            size_t input, size_t index) {
    switch (a->cut) {
    case OX_CUT_WHOLE:
        *out = ox_tensor_ref(a->tensor);
        return OX_OK;
    case OX_CUT_BATCH:
        return rows(out, feed->ctx, a->tensor, index, a->batch, true);
    case OX_CUT_ITEM:
        return rows(out, feed->ctx, a->tensor, index, 1, false);
    case OX_CUT_CONVERT:
    case OX_CUT_CONVERT_WHOLE:
        return convert(out, a, feed, input, index);
    }
    return OX_INTERNAL;
}

static int64_t read_label(const ox_tensor *t, size_t index) {
    size_t width = (size_t)ox_dtype_bits(t->dtype) / 8;
    bool is_signed =
        t->dtype == OX_INT8 || t->dtype == OX_INT16 || t->dtype == OX_INT32 || t->dtype == OX_INT64;
    uint64_t v = 0;
    memcpy(&v, (const char *)t->data + index * width, width); /* little-endian */
    if (is_signed && width < 8 && v >> (8 * width - 1)) v |= ~(uint64_t)0 << (8 * width);
    return (int64_t)v < 0 ? -1 : (int64_t)v;
}

ox_status ox_arrays_sample(ox_tensor **inputs, int64_t *label, const struct ox_arrays *a,
                           struct ox_feed *feed, size_t index) {
    for (size_t i = 0; i < feed->n_inputs; i++) {
        if (!a->inputs[i].tensor) continue;
        ox_status s = make_input(&inputs[i], &a->inputs[i], feed, i, index);
        if (s != OX_OK) return s;
    }
    *label = a->labels ? read_label(a->labels, index) : -1;
    return OX_OK;
}
