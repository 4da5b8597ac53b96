/* backend/runtime/run_native.c - native steps in a session: their states, shapes, results and
 * workspaces. */
#include "backend/runtime/program_priv.h"

static struct ox_step step_of(const struct oxr_program *p, size_t i) {
    const struct ox_blob_step *s = &p->b.steps[i];
    return (struct ox_step){s->kind,  p->b.params + s->params, s->n_in,
                            s->n_out, p->plans[i].present,     p->plans[i].consts,
                            i};
}

static void place_step(struct ox_place *place, const struct oxr_program *p, size_t i) {
    *place = (struct ox_place){.file = p->file,
                               .node = oxr_text(p, p->b.steps[i].name),
                               .op = oxr_text(p, p->b.steps[i].op)};
}

static ox_status create(struct oxr_session *s, size_t i) {
    struct oxr_native *n = &s->natives[i];
    const struct oxr_program *p = s->p;
    struct ox_place place;
    OX_TRY(
        ox_alloc(s->ctx, &n->in, (size_t)p->b.steps[i].n_in + p->b.steps[i].n_out, sizeof *n->in));
    n->out = n->in + p->b.steps[i].n_in;
    place_step(&place, p, i);
    const struct ox_place *former = ox_place_set(s->ctx, &place);
    const struct ox_step step = step_of(p, i);
    ox_status status = p->plans[i].kernel->create(&n->state, &s->env, &step);
    ox_place_set(s->ctx, former);
    return status;
}

ox_status oxr_native_init(struct oxr_session *s) {
    const struct ox_blob *b = &s->p->b;
    OX_TRY(ox_alloc(s->ctx, &s->natives, b->n_steps, sizeof *s->natives));
    for (size_t i = 0; i < b->n_steps; i++)
        if (b->steps[i].kind != OX_BLOB_GENERIC) OX_TRY(create(s, i));
    return OX_OK;
}

void oxr_native_fini(struct oxr_session *s) {
    for (size_t i = 0; s->natives && i < s->p->b.n_steps; i++) {
        if (s->natives[i].state) s->p->plans[i].kernel->destroy(s->natives[i].state, &s->env);
        ox_free(s->ctx, s->natives[i].in);
    }
    ox_free(s->ctx, s->natives);
}

/* Shapes of the operands at hand into s->shapes. */
static ox_status look(struct oxr_session *s, const struct ox_blob_step *step) {
    for (size_t k = 0; k < step->n_in; k++) {
        const ox_tensor *t = s->in[k] = oxr_operand(s, s->p->b.refs[step->in + k]);
        s->shapes[k] = (struct oxr_shape){.dtype = OX_UNDEFINED};
        s->in_data[k] = t ? t->data : NULL;
        if (!t) continue;
        if (!ox_dtype_valid(t->dtype) || t->dtype == OX_STRING)
            return ox_fail(s->ctx, OX_INVALID, "wrong-type", NULL, "operand %zu is a %s", k,
                           ox_dtype_name(t->dtype));
        if (t->rank > OX_STEP_RANK_MAX)
            return ox_fail(s->ctx, OX_INVALID, "shape-mismatch", NULL, "operand %zu is of rank %d",
                           k, t->rank);
        s->shapes[k].dtype = t->dtype;
        s->shapes[k].rank = t->rank;
        if (t->rank) memcpy(s->shapes[k].dims, t->dims, (size_t)t->rank * sizeof t->dims[0]);
    }
    return OX_OK;
}

static ox_status reshape(struct oxr_session *s, size_t i) {
    struct oxr_native *n = &s->natives[i];
    const struct ox_blob_step *step = &s->p->b.steps[i];
    n->shaped = false;
    n->workspace = 0;
    memset(n->out, 0, step->n_out * sizeof *n->out);
    oxr_pool_pause(&s->pool, true);
    ox_status status =
        s->p->plans[i].kernel->reshape(n->state, &s->env, s->shapes, n->out, &n->workspace);
    oxr_pool_pause(&s->pool, false);
    OX_TRY(status);
    for (size_t k = 0; k < step->n_out; k++)
        if (n->out[k].rank < 0 || n->out[k].rank > OX_STEP_RANK_MAX)
            return ox_fail(s->ctx, OX_INTERNAL, "bad-step", NULL, "result %zu is of rank %d", k,
                           n->out[k].rank);
    memcpy(n->in, s->shapes, step->n_in * sizeof *n->in);
    n->shaped = true;
    return OX_OK;
}

/* The operand whose memory result 0 may take, if it dies here and nobody else has it. */
static const ox_tensor *donor(struct oxr_session *s, size_t i) {
    const struct ox_blob_step *step = &s->p->b.steps[i];
    const uint32_t *refs = s->p->b.refs;
    size_t k = (size_t)s->p->plans[i].kernel->in_place - 1, bytes;
    const struct oxr_shape *shape = &s->natives[i].out[0];
    if (k >= step->n_in || !s->in[k] ||
        ox_shape_size(NULL, &bytes, shape->dtype, shape->rank, shape->dims))
        return NULL;
    if (s->in[k]->size != bytes || bytes == 0 || !ox_tensor_sole(s->in[k])) return NULL;
    for (size_t other = 0; other < step->n_in; other++)
        if (other != k && s->in[other] == s->in[k]) return NULL;
    for (size_t d = 0; d < step->n_drop; d++)
        if (refs[step->drop + d] == refs[step->in + k]) return s->in[k];
    return NULL;
}

static ox_status make_results(struct oxr_session *s, size_t i) {
    const struct ox_blob_step *step = &s->p->b.steps[i];
    for (size_t k = 0; k < step->n_out; k++) {
        const struct oxr_shape *shape = &s->natives[i].out[k];
        const ox_tensor *from = k == 0 ? donor(s, i) : NULL;
        size_t offset;
        s->out_data[k] = NULL;
        if (!s->p->plans[i].wanted[k]) continue;
        if (from) {
            struct ox_bytes *bytes = ox_tensor_bytes(from, &offset);
            OX_TRY(ox_tensor_slice(&s->out[k], s->ctx, shape->dtype, shape->rank, shape->dims,
                                   bytes, offset, from->size));
            s->out_data[k] = bytes->data + offset;
        } else {
            OX_TRY(ox_tensor_new_raw(&s->out[k], &s->out_data[k], s->ctx, shape->dtype, shape->rank,
                                     shape->dims));
        }
    }
    return OX_OK;
}

static ox_status run(struct oxr_session *s, size_t i) {
    const struct ox_blob_step *step = &s->p->b.steps[i];
    struct oxr_native *n = &s->natives[i];
    void *workspace = NULL;
    OX_TRY(look(s, step));
    if (!n->shaped || memcmp(n->in, s->shapes, step->n_in * sizeof *n->in) != 0)
        OX_TRY(reshape(s, i));
    OX_TRY(make_results(s, i));
    if (n->workspace) OX_TRY(ox_alloc_raw(s->ctx, &workspace, n->workspace, 1));
    ox_status status =
        s->p->plans[i].kernel->run(n->state, &s->env, s->in_data, s->out_data, workspace);
    ox_free(s->ctx, workspace);
    return status;
}

ox_status oxr_native_run(struct oxr_session *s, size_t i) {
    const struct ox_blob_step *step = &s->p->b.steps[i];
    for (size_t k = 0; k < step->n_out; k++)
        s->out[k] = NULL;
    ox_status status = run(s, i);
    for (size_t k = 0; k < step->n_out && status != OX_OK; k++) {
        ox_tensor_unref(s->out[k]);
        s->out[k] = NULL;
    }
    return status;
}
