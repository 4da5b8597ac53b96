/* frontend/dataset.c - files and folders into samples; see onnxopt/load.h for what is accepted.
 *
 * Opening lists what there is and counts samples; images are decoded and arrays cut only when a
 * sample is asked for. The arrays of the file that was used last stay open. */
#include "frontend/dataset_priv.h"
#include "frontend/external.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h> /* qsort */
#include <strings.h>
#include <sys/stat.h>

enum entry_kind { ENTRY_IMAGE, ENTRY_ARRAYS, ENTRY_SET };

/* A file, or files that belong together, with the samples [first, first + count). */
struct entry {
    enum entry_kind kind;
    char **files;
    size_t n_files;
    int64_t label; /* of all samples in it; -1: see the arrays */
    size_t first, count;
};

struct set {
    ox_ctx *ctx;
    struct ox_feed feed;
    struct entry *entries;
    size_t n_entries, cap_entries;
    size_t total, count; /* samples there are, samples given */
    struct ox_arrays arrays;
    struct entry *open; /* whose arrays these are, or NULL */
};

/* ---- names and folders ----------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcasecmp(name + n - m, end) == 0;
}

static bool is_image_name(const char *name) {
    static const char *const ends[] = {".png",  ".jpg", ".jpeg", ".jp2", ".j2k", ".tif", ".tiff",
                                       ".webp", ".bmp", ".pbm",  ".pgm", ".ppm", ".pnm"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i])) return true;
    return false;
}

static bool is_array_name(const char *name) {
    return ends_with(name, ".npy") || ends_with(name, ".npz") || ends_with(name, ".pb");
}

static ox_status join(char **out, ox_ctx *ctx, const char *folder, const char *name) {
    size_t n = strlen(folder) + strlen(name) + 2;
    OX_TRY(ox_alloc(ctx, out, n, 1));
    snprintf(*out, n, "%s/%s", folder, name);
    return OX_OK;
}

static ox_status no_file(ox_ctx *ctx, const char *path) {
    return ox_fail(ctx, OX_IO, "cannot-open", &(struct ox_place){.file = path}, "cannot open: %s",
                   strerror(errno));
}

/* Paths of a folder's files and folders, sorted; hidden ones are left out. */
struct listing {
    char **paths;
    size_t n, cap;
};

static void listing_free(struct listing *l, ox_ctx *ctx) {
    for (size_t i = 0; i < l->n; i++)
        ox_free(ctx, l->paths[i]);
    ox_free(ctx, l->paths);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ox_status list_folder(struct listing *l, ox_ctx *ctx, const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *e;
    ox_status s = OX_OK;
    *l = (struct listing){0};
    if (!dir) return no_file(ctx, folder);
    while (s == OX_OK && (errno = 0, e = readdir(dir))) {
        if (e->d_name[0] == '.') continue;
        s = OX_GROW(ctx, l->paths, l->n, l->cap);
        if (s == OX_OK) s = join(&l->paths[l->n], ctx, folder, e->d_name);
        if (s == OX_OK) l->n++;
    }
    if (s == OX_OK && errno) s = no_file(ctx, folder);
    closedir(dir);
    if (s != OX_OK)
        listing_free(l, ctx);
    else if (l->n > 1)
        qsort(l->paths, l->n, sizeof *l->paths, by_name);
    return s;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Adds an entry whose first file is `path`. */
static ox_status add_entry(struct set *s, enum entry_kind kind, const char *path, int64_t label) {
    OX_TRY(OX_GROW(s->ctx, s->entries, s->n_entries, s->cap_entries));
    struct entry *e = &s->entries[s->n_entries];
    *e = (struct entry){.kind = kind, .label = label, .count = 1};
    s->n_entries++;
    OX_TRY(ox_alloc(s->ctx, &e->files, 1, sizeof *e->files));
    OX_TRY(ox_alloc(s->ctx, &e->files[0], strlen(path) + 1, 1));
    memcpy(e->files[0], path, strlen(path));
    e->n_files = 1;
    return OX_OK;
}

/* Adds a file to the last entry. */
static ox_status add_file(struct set *s, const char *path) {
    struct entry *e = &s->entries[s->n_entries - 1];
    char *copy;
    OX_TRY(ox_resize(s->ctx, &e->files, e->n_files, e->n_files + 1, sizeof *e->files));
    OX_TRY(ox_alloc(s->ctx, &copy, strlen(path) + 1, 1));
    memcpy(copy, path, strlen(path));
    e->files[e->n_files++] = copy;
    return OX_OK;
}

static ox_status add_sample_file(struct set *s, const char *path, int64_t label) {
    if (is_image_name(path)) return add_entry(s, ENTRY_IMAGE, path, label);
    if (is_array_name(path)) return add_entry(s, ENTRY_ARRAYS, path, label);
    return OX_OK;
}

/* A folder with input_0.pb, input_1.pb, ... is one sample. */
static ox_status add_set(bool *found, struct set *s, const char *folder) {
    char name[32], *path;
    *found = false;
    for (size_t i = 0; i < s->feed.n_inputs; i++) {
        snprintf(name, sizeof name, "input_%zu.pb", i);
        OX_TRY(join(&path, s->ctx, folder, name));
        struct stat st;
        bool there = stat(path, &st) == 0;
        ox_status status = !there   ? OX_OK
                           : i == 0 ? add_entry(s, ENTRY_SET, path, -1)
                                    : add_file(s, path);
        ox_free(s->ctx, path);
        if (!there) break;
        OX_TRY(status);
        *found = true;
    }
    return OX_OK;
}

/* Several .npy files of which one is named as labels: the members of an .npz, unpacked. */
static ox_status add_unpacked(bool *found, struct set *s, const struct listing *l) {
    *found = false;
    for (size_t i = 0; i < l->n && !*found; i++)
        *found = ends_with(l->paths[i], ".npy") && ox_is_label_name(last_part(l->paths[i]));
    if (!*found) return OX_OK;
    bool first = true;
    for (size_t i = 0; i < l->n; i++) {
        if (!ends_with(l->paths[i], ".npy")) continue;
        OX_TRY(first ? add_entry(s, ENTRY_ARRAYS, l->paths[i], -1) : add_file(s, l->paths[i]));
        first = false;
    }
    return OX_OK;
}

static ox_status add_class(struct set *s, const char *folder, int64_t label) {
    struct listing l;
    OX_TRY(list_folder(&l, s->ctx, folder));
    ox_status status = OX_OK;
    for (size_t i = 0; i < l.n && status == OX_OK; i++)
        status = add_sample_file(s, l.paths[i], label);
    listing_free(&l, s->ctx);
    return status;
}

/* Class index of a folder's name, -1 if it is not a number. */
static int64_t class_number(const char *path) {
    int64_t v = 0;
    const char *p = last_part(path);
    for (; *p >= '0' && *p <= '9' && v < 100000000; p++)
        v = v * 10 + (*p - '0');
    return *p || p == last_part(path) ? -1 : v;
}

/* Subfolders are classes: by their number if all of them are numbers, else by their place in the
 * order. */
static ox_status add_subfolders(struct set *s, const struct listing *l) {
    bool numbers = true, is_set;
    int64_t next = 0;
    for (size_t i = 0; i < l->n; i++)
        if (is_folder(l->paths[i]) && class_number(l->paths[i]) < 0) numbers = false;
    for (size_t i = 0; i < l->n; i++) {
        if (!is_folder(l->paths[i])) continue;
        OX_TRY(add_set(&is_set, s, l->paths[i]));
        if (!is_set)
            OX_TRY(add_class(s, l->paths[i], numbers ? class_number(l->paths[i]) : next++));
    }
    return OX_OK;
}

static ox_status scan_folder(struct set *s, const char *folder) {
    struct listing l;
    bool done;
    OX_TRY(add_set(&done, s, folder));
    if (done) return OX_OK;
    OX_TRY(list_folder(&l, s->ctx, folder));
    ox_status status = add_unpacked(&done, s, &l);
    if (status == OX_OK && !done) {
        status = add_subfolders(s, &l);
        for (size_t i = 0; i < l.n && status == OX_OK; i++)
            if (!is_folder(l.paths[i])) status = add_sample_file(s, l.paths[i], -1);
    }
    listing_free(&l, s->ctx);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static ox_status open_arrays(struct set *s, struct entry *e) {
    if (s->open == e) return OX_OK;
    if (s->open) ox_arrays_close(&s->arrays, &s->feed);
    s->open = NULL;
    OX_TRY((e->kind == ENTRY_SET ? ox_arrays_open_set : ox_arrays_open)(&s->arrays, &s->feed,
                                                                        e->files, e->n_files));
    s->open = e;
    return OX_OK;
}

static ox_status count_entries(struct set *s) {
    for (size_t i = 0; i < s->n_entries; i++) {
        struct entry *e = &s->entries[i];
        if (e->kind != ENTRY_IMAGE) {
            OX_TRY(open_arrays(s, e));
            e->count = s->arrays.samples;
        } else {
            size_t input;
            OX_TRY(ox_feed_single(&input, &s->feed, &(struct ox_place){.file = e->files[0]}));
            OX_TRY(ox_feed_plan(&s->feed, input));
        }
        e->first = s->total;
        s->total += e->count;
    }
    return OX_OK;
}

/* Whom samples are for. */
struct wanted {
    size_t n;
    const struct ox_port *ports;
    const bool *optional;
};

static ox_status init_feed(struct ox_feed *f, ox_ctx *ctx, const struct wanted *w,
                           const char *spec) {
    f->ctx = ctx;
    f->n_inputs = w->n;
    f->has_spec = spec && *spec;
    OX_TRY(ox_prep_parse(&f->prep, ctx, spec));
    OX_TRY(ox_alloc(ctx, &f->targets, f->n_inputs, sizeof *f->targets));
    OX_TRY(ox_alloc(ctx, &f->optional, f->n_inputs, sizeof *f->optional));
    for (size_t i = 0; i < f->n_inputs; i++) {
        const struct ox_port *port = &w->ports[i];
        struct ox_prep_target *t = &f->targets[i];
        t->name = port->name;
        t->dtype = port->dtype;
        t->rank = port->rank;
        for (int d = 0; d < port->rank; d++)
            t->dims[d] = port->dims[d];
        f->optional[i] = w->optional[i];
    }
    return OX_OK;
}

static ox_status open_set(struct set *s, const struct wanted *w, const char *path, const char *spec,
                          size_t limit) {
    OX_TRY(init_feed(&s->feed, s->ctx, w, spec));
    struct stat st;
    if (stat(path, &st) != 0) return no_file(s->ctx, path);
    if (S_ISDIR(st.st_mode))
        OX_TRY(scan_folder(s, path));
    else if (is_image_name(path))
        OX_TRY(add_entry(s, ENTRY_IMAGE, path, -1));
    else
        OX_TRY(add_entry(s, ENTRY_ARRAYS, path, -1));
    OX_TRY(count_entries(s));
    if (s->total == 0)
        return ox_fail(s->ctx, OX_INVALID, "no-samples", &(struct ox_place){.file = path},
                       "no samples: no .png, .jpg, .npy, .npz or .pb files");
    s->count = limit && limit < s->total ? limit : s->total;
    return OX_OK;
}

/* ---- the interface --------------------------------------------------------------------------- */

static void set_free(void *self) {
    struct set *s = self;
    ox_ctx *ctx = s->ctx;
    if (s->open) ox_arrays_close(&s->arrays, &s->feed);
    for (size_t i = 0; i < s->n_entries; i++) {
        for (size_t j = 0; j < s->entries[i].n_files; j++)
            ox_free(ctx, s->entries[i].files[j]);
        ox_free(ctx, s->entries[i].files);
    }
    ox_free(ctx, s->entries);
    ox_free(ctx, s->feed.targets);
    ox_free(ctx, s->feed.optional);
    ox_free(ctx, s);
}

static ox_status image_sample(ox_tensor **inputs, struct set *s, const struct entry *e) {
    const struct ox_place place = {.file = e->files[0]};
    struct ox_bytes *bytes;
    struct ox_image image;
    size_t input;
    OX_TRY(ox_feed_single(&input, &s->feed, &place));
    OX_TRY(ox_file_map(&bytes, s->ctx, e->files[0], ox_ctx_limits(s->ctx)->max_file_bytes));
    ox_status status = ox_image_read(&image, s->ctx, bytes->data, bytes->size, &place);
    ox_bytes_unref(bytes);
    OX_TRY(status);
    return ox_prep_image(&inputs[input], s->ctx, &s->feed.prep, &s->feed.targets[input], &image,
                         &place);
}

static struct entry *find_entry(struct set *s, size_t sample) {
    size_t low = 0, high = s->n_entries;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (s->entries[mid].first <= sample)
            low = mid;
        else
            high = mid;
    }
    return &s->entries[low];
}

/* Samples are spread evenly over what there is, so that a limited set has some of each class. */
static size_t spread(const struct set *s, size_t index) {
    return (size_t)((unsigned __int128)index * s->total / s->count);
}

static ox_status set_sample(void *self, size_t index, ox_tensor **inputs, int64_t *label) {
    struct set *s = self;
    int64_t found = -1;
    for (size_t i = 0; i < s->feed.n_inputs; i++)
        inputs[i] = NULL;
    if (index >= s->count)
        return ox_fail(s->ctx, OX_USAGE, "no-samples", NULL, "there is no sample %zu", index);
    size_t at = spread(s, index);
    struct entry *e = find_entry(s, at);
    ox_status status;
    if (e->kind == ENTRY_IMAGE) {
        status = image_sample(inputs, s, e);
    } else {
        status = open_arrays(s, e);
        if (status == OX_OK)
            status = ox_arrays_sample(inputs, &found, &s->arrays, &s->feed, at - e->first);
    }
    if (status != OX_OK) {
        for (size_t i = 0; i < s->feed.n_inputs; i++) {
            ox_tensor_unref(inputs[i]);
            inputs[i] = NULL;
        }
        return status;
    }
    if (label) *label = e->label >= 0 ? e->label : found;
    return OX_OK;
}

ox_status ox_dataset_open_ports(struct ox_dataset *out, ox_ctx *ctx, size_t n_inputs,
                                const struct ox_port *ports, const bool *optional, const char *path,
                                const struct ox_preprocess *preprocess, size_t limit) {
    struct set *s;
    struct ox_preprocess p = {0};
    const struct wanted wanted = {n_inputs, ports, optional};
    if (preprocess)
        memcpy(&p, preprocess, preprocess->size < sizeof p ? preprocess->size : sizeof p);
    OX_TRY(ox_alloc(ctx, &s, 1, sizeof *s));
    s->ctx = ctx;
    ox_status status = open_set(s, &wanted, path, p.spec, limit);
    if (status != OX_OK) {
        set_free(s);
        return status;
    }
    *out = (struct ox_dataset){s, s->count, s->feed.n_inputs, set_sample, set_free};
    return OX_OK;
}

/* The model's inputs, and which of them have a default. */
static ox_status look_at_inputs(struct ox_port *ports, bool *optional, ox_model *model, size_t n) {
    const struct ox_graph *g = model->graph;
    for (size_t i = 0; i < n; i++) {
        OX_TRY(ox_model_input(&ports[i], model, i));
        for (size_t j = 0; j < g->n_inputs; j++)
            if (ox_name_is(g->inputs[j]->name, ports[i].name))
                optional[i] = g->inputs[j]->init != NULL;
    }
    return OX_OK;
}

ox_status ox_dataset_open(struct ox_dataset *out, ox_model *model, const char *path,
                          const struct ox_preprocess *preprocess, size_t limit) {
    size_t n = ox_model_inputs(model);
    struct ox_port *ports;
    bool *optional;
    OX_TRY(ox_alloc(model->ctx, &ports, n, sizeof *ports));
    ox_status status = ox_alloc(model->ctx, &optional, n, sizeof *optional);
    if (status == OX_OK) {
        status = look_at_inputs(ports, optional, model, n);
        if (status == OX_OK)
            status =
                ox_dataset_open_ports(out, model->ctx, n, ports, optional, path, preprocess, limit);
        ox_free(model->ctx, optional);
    }
    ox_free(model->ctx, ports);
    return status;
}
