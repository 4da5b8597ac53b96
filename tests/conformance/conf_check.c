/* conf_check.c - what must hold of every model besides its answer: types, text, write. */
#include "conf.h"

#include <inttypes.h>
#include <onnxopt/load.h>
#include <onnxopt/save.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A check does not hold. The first reason is kept. */
static void breaks(struct conf_case *c, const char *format, ...) OX_PRINTF(2, 3);
static void breaks(struct conf_case *c, const char *format, ...) {
    va_list args;
    if (c->broken[0]) return;
    va_start(args, format);
    vsnprintf(c->broken, sizeof c->broken, format, args);
    va_end(args);
}

/* ---- types ----------------------------------------------------------------------------------- */

static bool bound(void *user, ox_name name, int64_t *out) {
    const struct conf_watch *w = user;
    for (size_t i = 0; i < w->n_symbols; i++) {
        if (w->symbols[i].name != name) continue;
        *out = w->symbols[i].value;
        return true;
    }
    return false;
}

/* The inputs of the main graph say what numbers the symbols stand for. (Those of a loop body change
 * from round to round.) */
static void bind(struct conf_watch *w, const struct ox_type *type, const ox_tensor *t) {
    int64_t known;
    if (type->kind != OX_TYPE_TENSOR || type->rank != t->rank) return;
    for (int i = 0; i < t->rank; i++) {
        ox_name name = ox_dim_name(type->dims[i]);
        if (name && !bound(w, name, &known) && w->n_symbols < CONF_SYMBOLS) {
            w->symbols[w->n_symbols].name = name;
            w->symbols[w->n_symbols++].value = t->dims[i];
        }
    }
}

/* Can the dim be this number? */
static bool dim_admits(struct conf_watch *w, ox_dim dim, int64_t actual) {
    int64_t v;
    return !ox_dim_eval(&v, dim, bound, w) || v == actual;
}

static bool admits(struct conf_watch *w, const struct ox_type *type, const ox_tensor *t);

static bool admits_list(struct conf_watch *w, const struct ox_type *type, const ox_tensor *t) {
    if (t->dtype != (type->kind == OX_TYPE_SEQUENCE ? OX_SEQUENCE : OX_OPTIONAL)) return false;
    for (size_t i = 0; type->elem && i < t->count; i++)
        if (!admits(w, type->elem, ox_tensor_item(t, i))) return false;
    return true;
}

/* Does the type that was inferred admit this tensor? */
static bool admits(struct conf_watch *w, const struct ox_type *type, const ox_tensor *t) {
    if (type->kind == OX_TYPE_UNKNOWN) return true;
    if (type->kind == OX_TYPE_SEQUENCE || type->kind == OX_TYPE_OPTIONAL)
        return admits_list(w, type, t);
    if (type->kind != OX_TYPE_TENSOR) return false;
    if (type->dtype != OX_UNDEFINED && type->dtype != t->dtype) return false;
    if (type->rank < 0) return true;
    if (type->rank != t->rank) return false;
    for (int i = 0; i < t->rank; i++)
        if (!dim_admits(w, type->dims[i], t->dims[i])) return false;
    return true;
}

static int64_t element(const ox_tensor *t, size_t i) {
    int64_t v;
    int32_t w;
    if (t->dtype == OX_BOOL) return ((const unsigned char *)t->data)[i];
    if (t->dtype == OX_INT64) {
        memcpy(&v, (const char *)t->data + 8 * i, 8);
        return v;
    }
    memcpy(&w, (const char *)t->data + 4 * i, 4);
    return w;
}

static bool admits_values(struct conf_watch *w, const struct ox_partial *p, const ox_tensor *t) {
    if (t->dtype != OX_INT64 && t->dtype != OX_INT32 && t->dtype != OX_BOOL) return false;
    if (p->rank != t->rank || p->count != t->count) return false;
    for (size_t i = 0; i < p->count; i++)
        if (!dim_admits(w, p->elems[i], element(t, i))) return false;
    return true;
}

static void say(struct conf_case *c, const struct ox_value *value, const ox_tensor *t,
                const char *what) {
    char type[200], dims[200] = "";
    size_t n = 0;
    ox_type_print(type, sizeof type, value->type);
    for (int i = 0; i < t->rank && n + 24 < sizeof dims; i++)
        n += (size_t)snprintf(dims + n, sizeof dims - n, "%s%" PRId64, i ? "," : "", t->dims[i]);
    breaks(c, "types: '%s' of %s: %s %s, computed %s[%s]", ox_name_text(value->name),
           value->def && value->def->type ? value->def->type->text : "input", what, type,
           ox_dtype_name(t->dtype), dims);
}

ox_status conf_watch_value(void *user, const struct ox_value *value, const ox_tensor *tensor) {
    struct conf_watch *w = user;
    w->c->values++;
    if (value->is_input && value->graph->depth == 0) bind(w, value->type, tensor);
    if (value->type->kind == OX_TYPE_UNKNOWN ||
        (value->type->kind == OX_TYPE_TENSOR && value->type->rank < 0))
        w->c->vague++;
    if (!admits(w, value->type, tensor)) {
        w->agrees = false;
        say(w->c, value, tensor, "inferred");
    }
    const struct ox_partial *p = w->shapes ? ox_shapes_value(w->shapes, value) : NULL;
    if (p && !admits_values(w, p, tensor)) {
        w->agrees = false;
        say(w->c, value, tensor, "other values were inferred;");
    }
    return OX_OK;
}

/* ---- bytes of a model ------------------------------------------------------------------------ */

/* What the writer makes of a model, in memory; the caller frees. */
static ox_status model_bytes(char **out, size_t *size, struct ox_model *model) {
    struct stat st;
    FILE *f = tmpfile();
    if (!f) return ox_fail(ox_model_ctx(model), OX_IO, "io", NULL, "no temporary file");
    int fd = fileno(f);
    ox_status s = ox_model_write(model, fd, NULL);
    if (s == OX_OK && fstat(fd, &st) != 0) s = OX_IO;
    if (s == OX_OK) {
        *size = (size_t)st.st_size;
        *out = conf_realloc(NULL, *size);
        if (pread(fd, *out, *size, 0) != (ssize_t)*size) {
            free(*out);
            s = OX_IO;
        }
    }
    fclose(f);
    return s;
}

static bool same_bytes(const char *a, size_t n, const char *b, size_t m, size_t *at) {
    *at = 0;
    while (*at < n && *at < m && a[*at] == b[*at])
        ++*at;
    return n == m && *at == n;
}

/* ---- text ------------------------------------------------------------------------------------ */

static ox_status text_again(struct conf_case *c, struct ox_model *model, const char *text,
                            size_t len) {
    ox_ctx *ctx = ox_model_ctx(model);
    struct ox_model *other;
    char *again;
    size_t again_len, at = 0;
    const struct ox_text_options options = {0};
    ox_status s = ox_text_parse(&other, ctx, text, len, "text");
    if (s != OX_OK) {
        breaks(c, "text: the printed form does not parse");
        return s;
    }
    s = ox_text_print(&again, &again_len, other, &options);
    if (s == OX_OK && same_bytes(text, len, again, again_len, &at))
        c->checks |= CONF_TEXT;
    else
        breaks(c, "text: printed again it differs at byte %zu", at);
    if (s == OX_OK) ox_free(ctx, again);
    ox_model_free(other);
    return s;
}

void conf_check_text(struct conf_case *c, struct ox_model *model) {
    char *text;
    size_t len;
    const struct ox_text_options options = {0};
    ox_status s = ox_text_print(&text, &len, model, &options);
    if (s != OX_OK) {
        breaks(c, "text: cannot be printed (%s)", ox_status_text(s));
        return;
    }
    (void)!text_again(c, model, text, len);
    ox_free(ox_model_ctx(model), text);
}

/* ---- write ----------------------------------------------------------------------------------- */

static ox_status write_again(struct conf_case *c, ox_ctx *ctx, const char *bytes, size_t size) {
    struct ox_model *other;
    char *again;
    size_t again_size, at = 0;
    const struct ox_load_options options = {.size = sizeof options, .no_check = true};
    OX_TRY(ox_model_load_memory(&other, ctx, bytes, size, "written", NULL, &options));
    ox_status s = model_bytes(&again, &again_size, other);
    if (s == OX_OK) {
        if (same_bytes(bytes, size, again, again_size, &at))
            c->checks |= CONF_WRITE;
        else
            breaks(c, "write: written again it differs at byte %zu of %zu", at, size);
        free(again);
    }
    ox_model_free(other);
    return s;
}

void conf_check_write(struct conf_case *c, struct ox_model *model) {
    char *bytes;
    size_t size;
    ox_status s = model_bytes(&bytes, &size, model);
    if (s == OX_OK) {
        s = write_again(c, ox_model_ctx(model), bytes, size);
        free(bytes);
    }
    if (s != OX_OK) breaks(c, "write: %s", ox_status_text(s));
}
