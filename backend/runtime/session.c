/* backend/runtime/session.c - sessions: what belongs to one, binding inputs, results. Running is in
 * run.c. */
#include "backend/runtime/program_priv.h"

#include <stdio.h>

/* ---- making and ending ----------------------------------------------------------------------- */

static ox_status make_attrs(struct oxr_session *s) {
    const struct ox_blob *b = &s->p->b;
    size_t listed = 0;
    for (size_t i = 0; i < b->n_attrs; i++)
        if (b->attrs[i].type == OX_ATTR_TENSORS) listed += b->attrs[i].count;
    OX_TRY(ox_alloc(s->ctx, &s->attrs, b->n_attrs, sizeof *s->attrs));
    OX_TRY(ox_alloc(s->ctx, &s->attr_lists, listed, sizeof(ox_tensor *)));
    if (b->n_attrs) memcpy(s->attrs, s->p->attrs, b->n_attrs * sizeof *s->attrs);
    ox_tensor **lists = s->attr_lists;
    oxr_attrs_stand_on(s->attrs, &lists, b, s->consts);
    return OX_OK;
}

static ox_status make(struct oxr_session *s, int threads) {
    const struct oxr_program *p = s->p;
    struct ox_allocator recycling = oxr_pool_allocator(&s->pool);
    OX_TRY(ox_ctx_child(&s->ctx, s->outer, &recycling, threads));
    OX_TRY(ox_bytes_lend(&s->data, s->ctx, p->b.data, p->b.n_data));
    OX_TRY(ox_alloc(s->ctx, &s->consts, p->b.n_consts, sizeof(ox_tensor *)));
    OX_TRY(oxr_consts_make(s->consts, s->ctx, &p->b, s->data));
    OX_TRY(make_attrs(s));
    OX_TRY(ox_alloc(s->ctx, &s->slots, p->b.info->n_slots, sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(s->ctx, &s->bound, p->b.info->n_inputs, sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(s->ctx, &s->results, p->b.info->n_outputs, sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(s->ctx, &s->key, p->b.info->n_inputs, (2 + OX_MAX_RANK) * sizeof *s->key));
    OX_TRY(ox_alloc(s->ctx, &s->in, p->widest, sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(s->ctx, &s->out, p->widest, sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(s->ctx, &s->in_data, p->widest, sizeof(void *)));
    OX_TRY(ox_alloc(s->ctx, &s->out_data, p->widest, sizeof(void *)));
    OX_TRY(ox_alloc(s->ctx, &s->shapes, 2 * p->widest, sizeof *s->shapes));
    oxr_workers_start(&s->workers, s->ctx);
    s->env = (struct oxr_env){.ctx = s->ctx,
                              .pool = s->workers.pool,
                              .shared = p->shared,
                              .direct = p->b.flags & OX_BLOB_DIRECT_FLAG};
    return oxr_native_init(s);
}

ox_status oxr_session_new(oxr_session **out, ox_ctx *ctx, const oxr_program *program,
                          const struct oxr_session_options *options) {
    struct oxr_session_options o = {0};
    struct oxr_session *s;
    if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    OX_TRY(ox_alloc(ctx, &s, 1, sizeof *s));
    s->outer = ctx;
    s->p = program;
    oxr_pool_init(&s->pool, ctx);
    ox_status status = make(s, o.threads);
    if (status != OX_OK) {
        oxr_session_free(s);
        return status;
    }
    *out = s;
    return OX_OK;
}

static void drop_all(ox_tensor **list, size_t n) {
    for (size_t i = 0; list && i < n; i++) {
        ox_tensor_unref(list[i]);
        list[i] = NULL;
    }
}

void oxr_session_free(oxr_session *s) {
    if (!s) return;
    const struct ox_blob *b = &s->p->b;
    ox_ctx *ctx = s->ctx;
    if (ctx) {
        drop_all(s->slots, b->info->n_slots);
        drop_all(s->bound, b->info->n_inputs);
        drop_all(s->results, b->info->n_outputs);
        oxr_native_fini(s);
        drop_all(s->consts, b->n_consts);
        ox_bytes_unref(s->data);
        ox_free(ctx, s->consts);
        ox_free(ctx, s->attrs);
        ox_free(ctx, s->attr_lists);
        ox_free(ctx, s->slots);
        ox_free(ctx, s->bound);
        ox_free(ctx, s->results);
        ox_free(ctx, s->key);
        ox_free(ctx, s->in);
        ox_free(ctx, s->out);
        ox_free(ctx, s->in_data);
        ox_free(ctx, s->out_data);
        ox_free(ctx, s->shapes);
        oxr_workers_end(&s->workers);
        ox_ctx_free(ctx);
    }
    oxr_pool_fini(&s->pool);
    ox_free(s->outer, s);
}

/* ---- inputs and results ---------------------------------------------------------------------- */

static ox_status check_port(ox_ctx *ctx, const struct oxr_program *p, size_t index,
                            const ox_tensor *t) {
    const struct ox_blob_port *port = &p->b.ports[index];
    bool fits = !port->dtype ||
                ((ox_dtype)port->dtype == t->dtype && (port->rank < 0 || port->rank == t->rank));
    for (int i = 0; fits && port->dtype && i < port->rank; i++) {
        int64_t d = p->b.dims[port->dims + (uint32_t)i];
        if (d >= 0 && d != t->dims[i]) fits = false;
    }
    if (fits) return OX_OK;
    char got[256];
    size_t n = (size_t)snprintf(got, sizeof got, "%s[", ox_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && n < sizeof got - 24; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%lld", i ? "," : "",
                              (long long)t->dims[i]);
    snprintf(got + n, sizeof got - n, "]");
    return ox_fail(ctx, OX_INVALID, "wrong-input", NULL, "input '%s' is %s and was given %s",
                   oxr_text(p, port->name), oxr_text(p, port->type), got);
}

/* Kernels read whole vectors: what lies in a mapped file, or in memory that somebody lends, may end
 * at the end of a page. */
static bool has_slack(const ox_tensor *t) {
    size_t offset;
    if (!ox_dtype_valid(t->dtype) || t->dtype == OX_STRING) return true;
    const struct ox_bytes *b = ox_tensor_bytes(t, &offset);
    return !b || (!b->mapped && !b->lent) || b->size - offset - t->size >= OXR_SLACK;
}

ox_status oxr_bind(oxr_session *s, size_t index, const ox_tensor *tensor) {
    const struct ox_blob_info *info = s->p->b.info;
    ox_tensor *t = NULL;
    if (index >= info->n_inputs)
        return ox_fail(s->outer, OX_USAGE, "no-such-input", NULL, "the model has no input %zu",
                       index);
    drop_all(s->results, info->n_outputs);
    if (tensor) {
        OX_TRY(check_port(s->outer, s->p, index, tensor));
        if (has_slack(tensor))
            OX_TRY(ox_tensor_aligned(&t, s->ctx, tensor));
        else
            OX_TRY(ox_tensor_copy(&t, s->ctx, tensor->dtype, tensor->rank, tensor->dims,
                                  tensor->data, tensor->size));
    }
    ox_tensor_unref(s->bound[index]);
    s->bound[index] = t;
    return OX_OK;
}

/* Types and dims of the inputs. */
static size_t make_key(struct oxr_session *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->p->b.info->n_inputs; i++) {
        const ox_tensor *t = s->bound[i];
        s->key[n++] = t ? (int64_t)t->dtype : -1;
        s->key[n++] = t ? t->rank : 0;
        for (int k = 0; t && k < t->rank; k++)
            s->key[n++] = t->dims[k];
    }
    return n;
}

static ox_status run(struct oxr_session *s) {
    const struct ox_blob *b = &s->p->b;
    size_t n = b->info->n_inputs;
    ox_tensor **in;
    OX_TRY(ox_alloc(s->ctx, &in, n, sizeof *in));
    ox_status status = OX_OK;
    for (size_t i = 0; i < n && status == OX_OK; i++) {
        const struct ox_blob_port *port = &b->ports[i];
        if (s->bound[i])
            in[i] = ox_tensor_ref(s->bound[i]);
        else if (port->fallback)
            in[i] = ox_tensor_ref(s->consts[port->fallback - 1]);
        else
            status =
                ox_fail(s->ctx, OX_INVALID, "no-input", NULL,
                        "input '%s' is not given and has no default", oxr_text(s->p, port->name));
    }
    if (status == OX_OK)
        status = oxr_run_main(s, in, s->results);
    else
        drop_all(in, n);
    ox_free(s->ctx, in);
    return status;
}

ox_status oxr_run(oxr_session *s) {
    const struct oxr_program *p = s->p;
    struct ox_place place = {.file = p->file, .graph = oxr_text(p, p->b.info->name)};
    drop_all(s->results, p->b.info->n_outputs);
    const struct ox_place *former = ox_place_set(s->ctx, &place);
    oxr_pool_begin(&s->pool, s->key, make_key(s));
    ox_status status = run(s);
    oxr_pool_end(&s->pool, status == OX_OK);
    ox_place_set(s->ctx, former);
    return status;
}

static ox_status bind_zeros(struct oxr_session *s, size_t i, bool *fixed) {
    const struct ox_blob_port *port = &s->p->b.ports[i];
    int64_t dims[OX_MAX_RANK];
    ox_tensor *t;
    void *data;
    if (port->fallback) return OX_OK;
    if (!port->dtype || port->dtype == OX_STRING || port->rank < 0) return OX_UNSUPPORTED;
    for (int k = 0; k < port->rank; k++) {
        dims[k] = s->p->b.dims[port->dims + (uint32_t)k];
        if (dims[k] >= 0) continue;
        dims[k] = 1;
        *fixed = false;
    }
    OX_TRY(ox_tensor_new(&t, &data, s->ctx, (ox_dtype)port->dtype, port->rank, dims));
    ox_status status = oxr_bind(s, i, t);
    ox_tensor_unref(t);
    return status;
}

ox_status oxr_rehearse(oxr_session *s, bool *fixed) {
    bool all = true;
    const struct ox_blob_info *info = s->p->b.info;
    ox_status status = OX_OK;
    ox_mute(s->ctx, true);
    for (size_t i = 0; i < info->n_inputs; i++)
        drop_all(&s->bound[i], 1);
    for (size_t i = 0; i < info->n_inputs && status == OX_OK; i++)
        status = bind_zeros(s, i, &all);
    if (status == OX_OK) status = oxr_run(s);
    ox_mute(s->ctx, false);
    if (fixed) *fixed = all;
    drop_all(s->bound, info->n_inputs);
    drop_all(s->results, info->n_outputs);
    return status == OX_OK || status == OX_NOMEM || status == OX_CANCELLED ? status
                                                                           : OX_UNSUPPORTED;
}

const ox_tensor *oxr_result(const oxr_session *s, size_t index) {
    return index < s->p->b.info->n_outputs ? s->results[index] : NULL;
}

/* A copy in memory of `ctx`, lists with all that is in them. */
static ox_status copy_out(ox_tensor **out, ox_ctx *ctx, const ox_tensor *t) {
    if (ox_dtype_valid(t->dtype))
        return ox_tensor_copy(out, ctx, t->dtype, t->rank, t->dims, t->data,
                              t->dtype == OX_STRING ? t->count * sizeof(struct ox_str) : t->size);
    ox_tensor **items;
    OX_TRY(ox_alloc(ctx, &items, t->count, sizeof *items));
    ox_status s = OX_OK;
    for (size_t i = 0; i < t->count && s == OX_OK; i++)
        s = copy_out(&items[i], ctx, ox_tensor_item(t, i)); /* lists are nested 8 deep at most */
    if (s == OX_OK) s = ox_tensor_list(out, ctx, t->dtype, t->count, items);
    drop_all(items, t->count);
    ox_free(ctx, items);
    return s;
}

ox_status oxr_call(oxr_session *s, const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_blob_info *info = s->p->b.info;
    for (size_t i = 0; i < info->n_outputs; i++)
        out[i] = NULL;
    for (size_t i = 0; i < info->n_inputs; i++)
        OX_TRY(oxr_bind(s, i, in[i]));
    ox_status status = oxr_run(s);
    for (size_t i = 0; i < info->n_outputs && status == OX_OK; i++)
        status = copy_out(&out[i], s->outer, s->results[i]);
    for (size_t i = 0; i < info->n_inputs; i++)
        (void)ox_as_given(oxr_bind(s, i, NULL), OX_OK); /* the caller's tensors are not kept */
    if (status != OX_OK) drop_all(out, info->n_outputs);
    return status;
}

void oxr_profile(oxr_session *s, oxr_profile_fn fn, void *user) {
    s->profile = fn;
    s->profile_user = user;
}

void oxr_session_memory(struct oxr_memory *out, const oxr_session *s) {
    *out = (struct oxr_memory){s->pool.held, s->pool.used, s->pool.peak, s->pool.requests,
                               s->pool.planned};
}
