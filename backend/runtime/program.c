/* backend/runtime/program.c - opening a blob: proving it, and making ready what sessions share. */
#include "backend/blob/blob_check.h"
#include "backend/runtime/program_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- constants and attributes ---------------------------------------------------------------- */

static ox_status make_strings(ox_tensor **out, ox_ctx *ctx, const struct ox_blob *b,
                              const struct ox_blob_const *k) {
    size_t count;
    struct ox_str *list;
    if (ox_shape_size(&count, NULL, OX_STRING, k->rank, b->dims + k->dims)) return OX_INTERNAL;
    const char *text = (const char *)b->data + k->at + 8 * (count + 1);
    OX_TRY(ox_alloc(ctx, &list, count, sizeof *list));
    for (size_t i = 0; i < count; i++) {
        uint64_t range[2];
        memcpy(range, b->data + k->at + 8 * i, sizeof range);
        list[i] = (struct ox_str){text + range[0], (size_t)(range[1] - range[0])};
    }
    ox_status s = ox_tensor_strings(out, ctx, (int)k->rank, b->dims + k->dims, list);
    ox_free(ctx, list);
    return s;
}

ox_status oxr_consts_make(ox_tensor **consts, ox_ctx *ctx, const struct ox_blob *b,
                          struct ox_bytes *data) {
    for (size_t i = 0; i < b->n_consts; i++) {
        const struct ox_blob_const *k = &b->consts[i];
        if (k->dtype == OX_STRING)
            OX_TRY(make_strings(&consts[i], ctx, b, k));
        else
            OX_TRY(ox_tensor_slice(&consts[i], ctx, (ox_dtype)k->dtype, (int)k->rank,
                                   b->dims + k->dims, data, (size_t)k->at, (size_t)k->size));
    }
    return OX_OK;
}

void oxr_attrs_stand_on(struct ox_attr *attrs, ox_tensor ***lists, const struct ox_blob *b,
                        ox_tensor *const *consts) {
    for (size_t i = 0; i < b->n_attrs; i++) {
        const struct ox_blob_attr *a = &b->attrs[i];
        if (a->type == OX_ATTR_TENSOR) attrs[i].v.t = consts[a->value];
        if (a->type != OX_ATTR_TENSORS) continue;
        attrs[i].v.tensors = *lists;
        for (size_t k = 0; k < a->count; k++)
            *(*lists)++ = consts[b->refs[a->value + k]];
    }
}

static ox_status get_name(ox_name *out, struct oxr_program *p, uint32_t string) {
    return ox_name_get(out, &p->names, oxr_text(p, string), strlen(oxr_text(p, string)));
}

static struct ox_str str_of(const struct oxr_program *p, uint32_t string) {
    return (struct ox_str){oxr_text(p, string), p->b.strings[string].len};
}

static ox_status make_attr(struct oxr_program *p, struct ox_attr *out,
                           const struct ox_blob_attr *a) {
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN, .rank = -1};
    float *floats;
    struct ox_str *strings;
    uint32_t bits = (uint32_t)a->value;
    *out = (struct ox_attr){.type = (enum ox_attr_type)a->type, .count = a->count};
    OX_TRY(get_name(&out->name, p, a->name));
    switch (a->type) {
    case OX_ATTR_FLOAT:
        memcpy(&out->v.f, &bits, 4);
        break;
    case OX_ATTR_INT:
        memcpy(&out->v.i, &a->value, 8);
        break;
    case OX_ATTR_STRING:
        out->v.s = str_of(p, (uint32_t)a->value);
        break;
    case OX_ATTR_TYPE_PROTO:
        out->v.tp = &unknown;
        break; /* no kernel looks at types */
    case OX_ATTR_GRAPH:
        out->v.g = (struct ox_graph *)(uintptr_t)&p->b.frames[a->value];
        break; /* opaque to who sees it */
    case OX_ATTR_INTS:
        out->v.ints = p->b.dims + a->value;
        break;
    case OX_ATTR_FLOATS:
        OX_TRY(ox_arena_alloc(&p->arena, &floats, a->count, sizeof *floats));
        if (a->count) memcpy(floats, p->b.refs + a->value, a->count * sizeof *floats);
        out->v.floats = floats;
        break;
    case OX_ATTR_STRINGS:
        OX_TRY(ox_arena_alloc(&p->arena, &strings, a->count, sizeof *strings));
        for (size_t i = 0; i < a->count; i++)
            strings[i] = str_of(p, p->b.refs[a->value + i]);
        out->v.strings = strings;
        break;
    default:
        break; /* tensors: oxr_attrs_stand_on */
    }
    return OX_OK;
}

static ox_status make_attrs(struct oxr_program *p) {
    size_t listed = 0;
    ox_tensor **lists;
    OX_TRY(ox_arena_alloc(&p->arena, &p->attrs, p->b.n_attrs, sizeof *p->attrs));
    for (size_t i = 0; i < p->b.n_attrs; i++) {
        OX_TRY(make_attr(p, &p->attrs[i], &p->b.attrs[i]));
        if (p->b.attrs[i].type == OX_ATTR_TENSORS) listed += p->b.attrs[i].count;
    }
    OX_TRY(ox_arena_alloc(&p->arena, &lists, listed, sizeof(ox_tensor *)));
    oxr_attrs_stand_on(p->attrs, &lists, &p->b, p->consts);
    return OX_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static ox_status plan_generic(struct oxr_program *p, size_t i) {
    const struct ox_blob_step *s = &p->b.steps[i];
    struct oxr_plan *plan = &p->plans[i];
    const char *domain = oxr_text(p, s->domain), *name = oxr_text(p, s->op);
    plan->op = ox_op_find(domain, name);
    if (!plan->op || (!plan->op->eval && !(plan->op->traits & OX_CONTROL)))
        return ox_fail(p->ctx, OX_UNSUPPORTED, "cannot-run", NULL,
                       "operator %s%s%s is not known to this runtime", domain,
                       domain[0] ? "::" : "", name);
    struct ox_call call = {
        .ctx = p->ctx,
        .op = plan->op,
        .opset = s->opset,
        .attrs = p->attrs + s->attrs,
        .n_attrs = s->n_attrs,
        .n_in = s->n_in,
        .n_out = s->n_out,
        .present = plan->present,
        .wanted = plan->wanted,
    };
    OX_TRY(ox_op_check(&call));
    return ox_op_prepare(&plan->prepared, &call);
}

static ox_status plan_native(struct oxr_program *p, size_t i) {
    const struct ox_blob_step *s = &p->b.steps[i];
    struct oxr_plan *plan = &p->plans[i];
    const ox_tensor **consts;
    OX_TRY(ox_arena_alloc(&p->arena, &consts, s->n_in, sizeof *consts));
    for (size_t k = 0; k < s->n_in; k++) {
        uint32_t ref = p->b.refs[s->in + k];
        if (ref != OX_BLOB_NONE && (ref & OX_BLOB_CONST_BIT))
            consts[k] = p->consts[ref & ~OX_BLOB_CONST_BIT];
    }
    plan->consts = consts;
    plan->kernel = oxr_kernel_find(s->kind);
    if (!plan->kernel)
        return ox_fail(p->ctx, OX_UNSUPPORTED, "cannot-run", NULL,
                       "this runtime has no kernel for steps of kind %u", s->kind);
    const struct ox_step step = {
        s->kind, p->b.params + s->params, s->n_in, s->n_out, plan->present, consts, i};
    return ox_step_check(p->ctx, &step);
}

static ox_status plan_step(struct oxr_program *p, size_t i) {
    const struct ox_blob_step *s = &p->b.steps[i];
    struct ox_place place = {
        .file = p->file, .node = oxr_text(p, s->name), .op = oxr_text(p, s->op)};
    bool *flags;
    OX_TRY(ox_arena_alloc(&p->arena, &flags, (size_t)s->n_in + s->n_out, sizeof *flags));
    for (size_t k = 0; k < s->n_in; k++)
        flags[k] = p->b.refs[s->in + k] != OX_BLOB_NONE;
    for (size_t k = 0; k < s->n_out; k++)
        flags[s->n_in + k] = p->b.refs[s->out + k] != OX_BLOB_NONE;
    p->plans[i].present = flags;
    p->plans[i].wanted = flags + s->n_in;
    if (s->n_in > p->widest) p->widest = s->n_in;
    if (s->n_out > p->widest) p->widest = s->n_out;
    const struct ox_place *former = ox_place_set(p->ctx, &place);
    ox_status status = s->kind == OX_BLOB_GENERIC ? plan_generic(p, i) : plan_native(p, i);
    ox_place_set(p->ctx, former);
    return status;
}

static ox_status prepare(struct oxr_program *p, const struct oxr_open_options *o) {
    OX_TRY(ox_blob_open(&p->b, p->ctx, p->bytes->data, p->bytes->size, p->file, !o->trust_weights));
    OX_TRY(ox_blob_check(p->ctx, &p->b, p->file));
    OX_TRY(ox_bytes_lend(&p->data, p->ctx, p->b.data, p->b.n_data));
    OX_TRY(ox_alloc(p->ctx, &p->consts, p->b.n_consts, sizeof(ox_tensor *)));
    OX_TRY(oxr_consts_make(p->consts, p->ctx, &p->b, p->data));
    OX_TRY(make_attrs(p));
    OX_TRY(ox_alloc(p->ctx, &p->plans, p->b.n_steps, sizeof *p->plans));
    p->widest = 1;
    for (size_t i = 0; i < p->b.n_steps; i++)
        OX_TRY(plan_step(p, i));
    OX_TRY(oxr_program_describe(p));
    return oxr_shared_open(&p->shared, p->ctx, &p->b);
}

/* ---- opening --------------------------------------------------------------------------------- */

static struct oxr_open_options options_of(const struct oxr_open_options *given) {
    struct oxr_open_options o = {0};
    if (given) memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    return o;
}

static ox_status program_new(struct oxr_program **out, ox_ctx *ctx, const char *path) {
    struct oxr_program *p;
    OX_TRY(ox_alloc(ctx, &p, 1, sizeof *p));
    p->ctx = ctx;
    ox_arena_init(&p->arena, ctx);
    ox_names_init(&p->names, ctx);
    *out = p;
    if (!path) return OX_OK;
    size_t len = strlen(path) + 1;
    ox_status s = ox_alloc(ctx, &p->file, len, 1);
    if (s == OX_OK) memcpy(p->file, path, len);
    return s;
}

static ox_status cannot_read(struct oxr_program *p, const char *what) {
    struct ox_place place = {.file = p->file};
    return ox_fail(p->ctx, OX_IO, "cannot-read", &place, "cannot read the file: %s", what);
}

static ox_status read_all(struct oxr_program *p, int fd, size_t size) {
    OX_TRY(ox_bytes_new_raw(&p->bytes, p->ctx, size));
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, p->bytes->data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot_read(p, strerror(errno));
        if (n == 0) return cannot_read(p, "it is shorter than it was");
        done += (size_t)n;
    }
    return OX_OK;
}

static ox_status load_file(struct oxr_program *p, const char *path, bool copy) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return cannot_read(p, strerror(errno));
    ox_status s = OX_OK;
    if (fstat(fd, &st) != 0)
        s = cannot_read(p, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = cannot_read(p, "it is no regular file");
    else if (copy)
        s = read_all(p, fd, (size_t)st.st_size);
    else
        s = ox_bytes_map(&p->bytes, p->ctx, fd, (size_t)st.st_size, path);
    close(fd);
    return s;
}

ox_status oxr_program_open(oxr_program **out, ox_ctx *ctx, const char *path,
                           const struct oxr_open_options *options) {
    struct oxr_open_options o = options_of(options);
    struct oxr_program *p = NULL;
    ox_status s = program_new(&p, ctx, path);
    if (s == OX_OK) s = load_file(p, path, o.private_copy);
    if (s == OX_OK) s = prepare(p, &o);
    if (s != OX_OK) {
        oxr_program_free(p);
        return s;
    }
    *out = p;
    return OX_OK;
}

ox_status oxr_program_open_memory(oxr_program **out, ox_ctx *ctx, const void *data, size_t size,
                                  const struct oxr_open_options *options) {
    struct oxr_open_options o = options_of(options);
    struct oxr_program *p = NULL;
    ox_status s = program_new(&p, ctx, NULL);
    if (s == OX_OK && !o.private_copy && (uintptr_t)data % OX_BLOB_ALIGN == 0) {
        s = ox_bytes_lend(&p->bytes, ctx, data, size);
    } else if (s == OX_OK) {
        s = ox_bytes_new_raw(&p->bytes, ctx, size);
        if (s == OX_OK && size) memcpy(p->bytes->data, data, size);
    }
    if (s == OX_OK) s = prepare(p, &o);
    if (s != OX_OK) {
        oxr_program_free(p);
        return s;
    }
    *out = p;
    return OX_OK;
}

void oxr_program_free(oxr_program *p) {
    if (!p) return;
    oxr_shared_close(p->shared, p->ctx);
    for (size_t i = 0; p->plans && i < p->b.n_steps; i++)
        ox_op_forget(p->plans[i].op, p->plans[i].prepared, p->ctx);
    for (size_t i = 0; p->consts && i < p->b.n_consts; i++)
        ox_tensor_unref(p->consts[i]);
    ox_free(p->ctx, p->consts);
    ox_free(p->ctx, p->plans);
    ox_bytes_unref(p->data);
    ox_bytes_unref(p->bytes);
    ox_names_fini(&p->names);
    ox_arena_fini(&p->arena);
    ox_free(p->ctx, p->file);
    ox_free(p->ctx, p);
}
