/* frontend/reader.c - files into models: entry points, and what the model says of itself. See
 * reader_priv.h for the map. */
#include "frontend/reader_priv.h"

#include "ir/text/text.h"
#include <onnxopt/load.h>

enum { IR_MIN = 3, IR_MAX = 13 };

/* ---- small things ---------------------------------------------------------------------------- */

ox_status ox_read_name(ox_name *out, struct ox_reader *r, const char *text) {
    *out = NULL;
    return text && *text ? ox_model_name(out, r->model, text, strlen(text)) : OX_OK;
}

ox_status ox_read_domain(ox_name *out, struct ox_reader *r, const char *text) {
    OX_TRY(ox_read_name(out, r, text));
    *out = ox_domain_norm(*out);
    return OX_OK;
}

/* Unlike names, keys and values may be empty; they are never NULL. */
ox_status ox_read_pairs(const struct ox_pairs **out, struct ox_reader *r, size_t n,
                        Onnx__StringStringEntryProto *const *entries) {
    struct ox_pairs *pairs;
    size_t size;
    *out = NULL;
    if (n == 0) return OX_OK;
    if (ox_mul_size(&size, n, sizeof pairs->at[0]) || ox_add_size(&size, size, sizeof *pairs))
        return ox_fail(r->ctx, OX_NOMEM, "out-of-memory", &r->place, "too many metadata entries");
    OX_TRY(ox_arena_alloc(&r->model->arena, &pairs, 1, size));
    pairs->count = n;
    for (size_t i = 0; i < n; i++) {
        const char *key = entries[i]->key ? entries[i]->key : "",
                   *value = entries[i]->value ? entries[i]->value : "";
        OX_TRY(ox_model_name(&pairs->at[i].key, r->model, key, strlen(key)));
        OX_TRY(ox_model_name(&pairs->at[i].value, r->model, value, strlen(value)));
        OX_TRY(ox_read_unknown(&pairs->at[i].unknown, r, &entries[i]->base));
    }
    *out = pairs;
    return OX_OK;
}

ox_status ox_read_unknown(struct ox_str *out, struct ox_reader *r,
                          const ProtobufCMessage *message) {
    return ox_wire_copy(out, &r->wire, &r->model->arena, message, OX_WIRE_UNKNOWN);
}

ox_status ox_read_notes(const struct ox_notes **out, struct ox_reader *r, const char *doc,
                        size_t n_meta, Onnx__StringStringEntryProto *const *meta,
                        const ProtobufCMessage *message, const Onnx__TypeProto *type) {
    struct ox_notes *notes, n = {0};
    const struct ox_type_notes *of_type = NULL, **types;
    OX_TRY(ox_read_name(&n.doc, r, doc));
    OX_TRY(ox_read_pairs(&n.meta, r, n_meta, meta));
    OX_TRY(ox_read_unknown(&n.unknown, r, message));
    if (type) OX_TRY(ox_read_type_notes(&of_type, r, type));
    if (of_type) {
        OX_TRY(ox_arena_alloc(&r->model->arena, &types, 1, sizeof(struct ox_type_notes *)));
        types[0] = of_type;
        n.types = types;
    }
    if (!n.doc && !n.meta && !n.unknown.len && !n.types) return OX_OK;
    OX_TRY(ox_arena_alloc(&r->model->arena, &notes, 1, sizeof *notes));
    *notes = n;
    *out = notes;
    return OX_OK;
}

ox_status ox_read_label(struct ox_label *out, struct ox_reader *r, const Onnx__TensorProto *p) {
    OX_TRY(ox_read_name(&out->name, r, p->name));
    return ox_read_notes(&out->notes, r, p->doc_string, p->n_metadata_props, p->metadata_props,
                         &p->base, NULL);
}

ox_status ox_read_add_labels(const struct ox_notes **out, struct ox_reader *r,
                             const struct ox_label *labels, size_t n) {
    struct ox_notes *notes;
    struct ox_label *copy;
    OX_TRY(ox_arena_alloc(&r->model->arena, &notes, 1, sizeof *notes));
    OX_TRY(ox_arena_alloc(&r->model->arena, &copy, n, sizeof *copy));
    memcpy(copy, labels, n * sizeof *copy);
    *notes = *ox_notes_of(*out);
    notes->labels = copy;
    *out = notes;
    return OX_OK;
}

ox_status ox_read_add_types(const struct ox_notes **out, struct ox_reader *r,
                            const struct ox_type_notes *const *types) {
    struct ox_notes *notes;
    OX_TRY(ox_arena_alloc(&r->model->arena, &notes, 1, sizeof *notes));
    *notes = *ox_notes_of(*out);
    notes->types = types;
    *out = notes;
    return OX_OK;
}

ox_status ox_read_opsets(struct ox_opset **out, size_t *n_out, struct ox_reader *r, size_t n,
                         Onnx__OperatorSetIdProto *const *imports) {
    OX_TRY(ox_arena_alloc(&r->model->arena, out, n, sizeof **out));
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        struct ox_opset *o = &(*out)[i];
        OX_TRY(ox_read_domain(&o->domain, r, imports[i]->domain));
        o->version = imports[i]->version;
        OX_TRY(ox_read_unknown(&o->unknown, r, &imports[i]->base));
        const char *text = o->domain ? o->domain->text : "ai.onnx";
        if (o->version < 1)
            return ox_reader_bad(r, "bad-opset", "operator set '%s' is imported in version %lld",
                                 text, (long long)o->version);
        if (!o->domain && o->version > OX_OPSET_MAX)
            return ox_fail(r->ctx, OX_UNSUPPORTED, "bad-opset", &r->place,
                           "the model uses operator set %lld; the newest known one is %d",
                           (long long)o->version, OX_OPSET_MAX);
        for (size_t j = 0; j < i; j++)
            if ((*out)[j].domain == o->domain)
                return ox_reader_bad(r, "duplicate-name", "operator set '%s' is imported twice",
                                     text);
        *n_out = i + 1;
    }
    return OX_OK;
}

/* ---- the model ------------------------------------------------------------------------------- */

static ox_status read_header(struct ox_reader *r, const Onnx__ModelProto *p) {
    enum { TRAINING_INFO = 20, OPSETS_MAX = 1024 };
    struct ox_model *m = r->model;
    m->ir_version = p->ir_version;
    if (!p->has_ir_version || p->ir_version < 1)
        return ox_reader_bad(r, "bad-version", "not an ONNX model: it has no IR version");
    if (p->ir_version < IR_MIN || p->ir_version > IR_MAX)
        return ox_fail(r->ctx, OX_UNSUPPORTED, "bad-version", &r->place,
                       "IR version %lld; versions %d to %d are known", (long long)p->ir_version,
                       IR_MIN, IR_MAX);
    if (!p->graph) return ox_reader_bad(r, "no-graph", "the model has no graph");
    if (p->n_opset_import == 0)
        return ox_reader_bad(r, "no-opset", "the model imports no operator set");
    if (p->n_opset_import > OPSETS_MAX)
        return ox_reader_bad(r, "over-limit", "the model imports %zu operator sets",
                             p->n_opset_import);
    OX_TRY(ox_read_opsets(&m->opsets, &m->n_opsets, r, p->n_opset_import, p->opset_import));
    OX_TRY(ox_read_name(&m->producer, r, p->producer_name));
    OX_TRY(ox_read_name(&m->producer_version, r, p->producer_version));
    OX_TRY(ox_read_name(&m->domain, r, p->domain));
    OX_TRY(ox_read_name(&m->doc, r, p->doc_string));
    m->has_model_version = p->has_model_version;
    m->model_version = p->model_version;
    OX_TRY(ox_read_pairs(&m->meta, r, p->n_metadata_props, p->metadata_props));
    OX_TRY(ox_wire_copy(&m->training, &r->wire, &m->arena, &p->base, TRAINING_INFO));
    return ox_read_unknown(&m->unknown, r, &p->base);
}

static ox_status read_model(struct ox_reader *r) {
    const Onnx__ModelProto *p = (const Onnx__ModelProto *)r->wire.root;
    size_t depths = (size_t)ox_ctx_limits(r->ctx)->max_subgraph_depth + 1;
    OX_TRY(ox_alloc(r->ctx, &r->unsorted, depths, sizeof *r->unsorted));
    OX_TRY(read_header(r, p));
    OX_TRY(ox_declare_functions(r, p->n_functions, p->functions));
    OX_TRY(ox_read_graph(r->model->graph, r, p->graph));
    return ox_read_functions(r);
}

/* What a file that is no model at all may be; NULL: no idea. */
static const char *guess(const unsigned char *data, size_t size) {
    static const struct {
        const char *magic;
        size_t length;
        const char *what;
    } known[] = {
        {"version https:", 14, "a Git LFS pointer; fetch the file with 'git lfs pull'"},
        {"\x89PNG", 4, "a PNG image"},
        {"\xff\xd8\xff", 3, "a JPEG image"},
        {"PK\x03\x04", 4, "a ZIP archive"},
        {"\x93NUMPY", 6, "a NumPy array"},
        {"\x1f\x8b", 2, "a gzip file"},
        {"\x7f"
         "ELF",
         4, "a program"},
        {"<", 1, "text; the ONNX text form needs the name ending .onnxtxt"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (size >= known[i].length && memcmp(data, known[i].magic, known[i].length) == 0)
            return known[i].what;
    return NULL;
}

static ox_status read_bytes(struct ox_reader *r, struct ox_bytes *bytes) {
    const char *what = guess(bytes->data, bytes->size);
    if (bytes->size == 0) return ox_reader_bad(r, "not-a-model", "the file is empty");
    if (what) return ox_reader_bad(r, "not-a-model", "not an ONNX model, but %s", what);
    r->tensors = (struct ox_tensor_source){r->ctx, &r->wire, bytes, &r->external, &r->place};
    OX_TRY(ox_wire_unpack(&r->wire, r->ctx, &onnx__model_proto__descriptor, bytes->data,
                          bytes->size, r->place.file));
    ox_scopes_init(&r->scopes, r->ctx);
    const struct ox_place *former = ox_place_set(r->ctx, &r->place);
    ox_status s = read_model(r);
    ox_place_set(r->ctx, former);
    ox_scopes_fini(&r->scopes);
    ox_functions_fini(r);
    ox_free(r->ctx, r->unsorted);
    ox_wire_fini(&r->wire);
    /* Whoever needs weights reads them again; until then they take no memory of ours. */
    ox_bytes_drop(bytes, 0, bytes->size);
    return s;
}

/* Before a model leaves the reader it is whole: checked, and its types are known. */
static ox_status finish(ox_model *model, const struct ox_load_options *options) {
    if (options->no_check) return OX_OK;
    OX_TRY(ox_model_verify(model));
    return ox_model_infer(model, NULL);
}

static ox_status load_bytes(ox_model **out, ox_ctx *ctx, struct ox_bytes *bytes, const char *name,
                            const char *folder, const struct ox_load_options *options) {
    struct ox_reader r = {.ctx = ctx, .place = {.file = name}};
    OX_TRY(ox_external_init(&r.external, ctx, folder, options->links_under));
    ox_status s = ox_model_new(&r.model, ctx);
    if (s == OX_OK) s = ox_model_name(&r.model->file, r.model, name, strlen(name));
    if (s == OX_OK) s = read_bytes(&r, bytes);
    if (s == OX_OK) {
        r.model->file_bytes = bytes->size + r.external.mapped;
        s = finish(r.model, options);
    }
    ox_external_fini(&r.external);
    if (s == OX_OK)
        *out = r.model;
    else
        ox_model_free(r.model);
    return s;
}

/* ---- entry points ---------------------------------------------------------------------------- */

static struct ox_load_options read_options(const struct ox_load_options *given) {
    struct ox_load_options o = {0};
    if (given) memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    return o;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

static ox_status load_text(ox_model **out, ox_ctx *ctx, const struct ox_bytes *bytes,
                           const char *path) {
    return ox_model_parse(out, ctx, bytes->size ? (const char *)bytes->data : "", bytes->size,
                          path);
}

/* Folder part of a path: "." where there is none. */
static ox_status folder_of(char **out, ox_ctx *ctx, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *folder = !slash ? "." : slash == path ? "/" : path;
    size_t n = !slash || slash == path ? 1 : (size_t)(slash - path);
    OX_TRY(ox_alloc(ctx, out, n + 1, 1));
    memcpy(*out, folder, n);
    return OX_OK;
}

ox_status ox_model_load(ox_model **out, ox_ctx *ctx, const char *path,
                        const struct ox_load_options *options) {
    struct ox_load_options o = read_options(options);
    struct ox_bytes *bytes;
    char *folder = NULL;
    OX_TRY(ox_file_map(&bytes, ctx, path, ox_ctx_limits(ctx)->max_file_bytes));
    ox_status s;
    if (ends_with(path, ".onnxtxt")) {
        s = load_text(out, ctx, bytes, path);
    } else {
        s = folder_of(&folder, ctx, path);
        if (s == OX_OK) s = load_bytes(out, ctx, bytes, path, folder, &o);
    }
    ox_free(ctx, folder);
    ox_bytes_unref(bytes);
    return s;
}

ox_status ox_model_load_memory(ox_model **out, ox_ctx *ctx, const void *data, size_t size,
                               const char *name, const char *folder,
                               const struct ox_load_options *options) {
    struct ox_load_options o = read_options(options);
    struct ox_bytes *bytes;
    OX_TRY(ox_bytes_new(&bytes, ctx, size));
    if (size) memcpy(bytes->data, data, size);
    ox_status s = ends_with(name, ".onnxtxt") ? load_text(out, ctx, bytes, name)
                                              : load_bytes(out, ctx, bytes, name, folder, &o);
    ox_bytes_unref(bytes);
    return s;
}
