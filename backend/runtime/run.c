/* backend/runtime/run.c - running frames: steps in order, one at a time; parallelism is inside the
 * kernels.
 *
 * A slot holds a tensor from its definition until the step that drops it. Nothing is looked up or
 * decided here that the blob's verifier or the opening of the program could decide: see
 * blob_check.h for what may be relied on. */
#include "backend/runtime/program_priv.h"
#include "ir/ops/control.h"
#include "ir/ops/random.h"

#include <time.h>

static ox_status run_frame(struct oxr_session *s, const struct ox_blob_frame *f, ox_tensor **in,
                           ox_tensor **out);

static const struct ox_blob_frame *frame_of(const struct ox_graph *body) {
    return (const void *)body;
}

/* ---- subgraphs ------------------------------------------------------------------------------- */

static size_t body_inputs(void *self, const struct ox_graph *body) {
    (void)self;
    return frame_of(body)->n_in;
}

static size_t body_outputs(void *self, const struct ox_graph *body) {
    (void)self;
    return frame_of(body)->n_out;
}

static void body_out_type(struct ox_body_out *type, void *self, const struct ox_graph *body,
                          size_t index) {
    const struct oxr_session *s = self;
    const struct ox_blob_port *port = &s->p->b.ports[frame_of(body)->out_ports + index];
    *type = (struct ox_body_out){.dtype = (ox_dtype)port->dtype, .rank = port->rank};
    for (int i = 0; i < port->rank; i++)
        type->dims[i] = s->p->b.dims[port->dims + (uint32_t)i];
}

static ox_status body_run(void *self, const struct ox_graph *body, ox_tensor **in,
                          ox_tensor **out) {
    ((struct oxr_session *)self)->bodies++;
    return run_frame(self, frame_of(body), in, out);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Where the numbers of a random step start: as in the reference executor, from its name, and others
 * each time a body runs. */
static uint64_t stream_of(const struct oxr_session *s, size_t i) {
    const struct ox_blob_frame *main_frame = &s->p->b.frames[0];
    bool in_main = i >= main_frame->step && i - main_frame->step < main_frame->n_steps;
    if (!(s->p->plans[i].op->traits & (OX_RANDOM | OX_TRAINING))) return 0;
    return ox_random_stream(oxr_text(s->p, s->p->b.steps[i].name)) + (in_main ? 0 : s->bodies);
}

static struct ox_call call_of(struct oxr_session *s, size_t i) {
    const struct ox_blob_step *step = &s->p->b.steps[i];
    const struct oxr_plan *plan = &s->p->plans[i];
    return (struct ox_call){
        .ctx = s->ctx,
        .op = plan->op,
        .opset = step->opset,
        .attrs = s->attrs + step->attrs,
        .n_attrs = step->n_attrs,
        .n_in = step->n_in,
        .n_out = step->n_out,
        .present = plan->present,
        .wanted = plan->wanted,
        .prepared = plan->prepared,
        .stream = stream_of(s, i),
    };
}

/* Takes over the counts in out. */
static void store(struct oxr_session *s, const struct ox_blob_step *step, ox_tensor **out) {
    for (size_t i = 0; i < step->n_out; i++) {
        uint32_t slot = s->p->b.refs[step->out + i];
        if (slot == OX_BLOB_NONE)
            ox_tensor_unref(out[i]);
        else
            s->slots[slot] = out[i];
        out[i] = NULL;
    }
}

static ox_status run_control(struct oxr_session *s, size_t i) {
    const struct ox_bodies bodies = {s, body_inputs, body_outputs, body_out_type, body_run};
    const struct ox_blob_step *step = &s->p->b.steps[i];
    const ox_tensor **in;
    ox_tensor **out;
    OX_TRY(ox_alloc(s->ctx, &in, (size_t)step->n_in + step->n_out, sizeof *in));
    out = (ox_tensor **)(uintptr_t)(in + step->n_in);
    for (size_t k = 0; k < step->n_in; k++)
        in[k] = oxr_operand(s, s->p->b.refs[step->in + k]);
    struct ox_call call = call_of(s, i);
    ox_status status = ox_control_run(&call, &bodies, in, out);
    for (size_t k = 0; k < step->n_out && status == OX_OK; k++)
        if (call.wanted[k] && !out[k])
            status = ox_fail(s->ctx, OX_INTERNAL, "no-output", NULL, "output %zu was not made", k);
    if (status == OX_OK)
        store(s, step, out);
    else
        for (size_t k = 0; k < step->n_out; k++)
            ox_tensor_unref(out[k]);
    ox_free(s->ctx, in);
    return status;
}

static ox_status run_plain(struct oxr_session *s, size_t i) {
    const struct ox_blob_step *step = &s->p->b.steps[i];
    struct ox_call call = call_of(s, i);
    for (size_t k = 0; k < step->n_in; k++)
        s->in[k] = oxr_operand(s, s->p->b.refs[step->in + k]);
    OX_TRY(ox_op_eval(&call, s->in, s->out));
    store(s, step, s->out);
    return OX_OK;
}

static ox_status run_native(struct oxr_session *s, size_t i) {
    OX_TRY(oxr_native_run(s, i));
    store(s, &s->p->b.steps[i], s->out);
    return OX_OK;
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static ox_status run_step(struct oxr_session *s, const struct ox_blob_frame *f, size_t i) {
    const struct oxr_program *p = s->p;
    const struct ox_blob_step *step = &p->b.steps[i];
    struct ox_place place = {.file = p->file,
                             .graph = oxr_text(p, f->name),
                             .node = oxr_text(p, step->name),
                             .op = oxr_text(p, step->op)};
    const struct ox_place *former = ox_place_set(s->ctx, &place);
    int64_t start = s->profile ? now() : 0;
    ox_status status;
    if (step->kind != OX_BLOB_GENERIC)
        status = run_native(s, i);
    else if (p->plans[i].op->traits & OX_CONTROL)
        status = run_control(s, i);
    else
        status = run_plain(s, i);
    if (s->profile && status == OX_OK)
        s->profile(s->profile_user, &(struct oxr_event){i, start, now()});
    ox_place_set(s->ctx, former);
    if (status != OX_OK) return status;
    for (size_t k = 0; k < step->n_drop; k++) {
        uint32_t slot = p->b.refs[step->drop + k];
        ox_tensor_unref(s->slots[slot]);
        s->slots[slot] = NULL;
    }
    return OX_OK;
}

static void clear(struct oxr_session *s, const struct ox_blob_frame *f) {
    for (size_t i = 0; i < f->n_slots; i++) {
        ox_tensor_unref(s->slots[f->slot + i]);
        s->slots[f->slot + i] = NULL;
    }
}

/* in: counts are taken over. out: n_out entries, counted for the caller, NULL on failure. */
static ox_status run_frame(struct oxr_session *s, const struct ox_blob_frame *f, ox_tensor **in,
                           ox_tensor **out) {
    const uint32_t *refs = s->p->b.refs;
    ox_status status = OX_OK;
    for (size_t i = 0; i < f->n_out; i++)
        out[i] = NULL;
    for (size_t i = 0; i < f->n_in; i++) {
        if (!in[i] && status == OX_OK)
            status = ox_fail(s->ctx, OX_INVALID, "missing-input", NULL,
                             "input %zu of graph '%s' has no value", i, oxr_text(s->p, f->name));
        s->slots[refs[f->in + i]] = in[i];
        in[i] = NULL;
    }
    for (size_t i = 0; i < f->n_steps && status == OX_OK; i++)
        status = run_step(s, f, (size_t)f->step + i);
    for (size_t i = 0; i < f->n_out && status == OX_OK; i++)
        out[i] = ox_tensor_ref(oxr_operand(s, refs[f->out + i]));
    clear(s, f);
    return status;
}

ox_status oxr_run_main(struct oxr_session *s, ox_tensor **in, ox_tensor **out) {
    s->bodies = 0;
    return run_frame(s, &s->p->b.frames[0], in, out);
}
