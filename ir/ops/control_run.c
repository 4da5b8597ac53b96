/* ir/ops/control_run.c - running If, Loop, Scan and SequenceMap: ONNX operator specification, "If",
 * "Loop", "Scan". */
#include "ir/ops/axis_steps.h"
#include "ir/ops/control.h"
#include "ir/ops/control_flex.h"
#include "ir/ops/op_control.h"

/* A call at work. */
struct run {
    ox_ctx *ctx;
    const struct ox_call *call;
    const struct ox_bodies *bodies;
    const ox_tensor *const *in; /* the call's operands */
};

static const ox_tensor *operand(const struct run *r, size_t i) {
    return i < r->call->n_in ? r->in[i] : NULL;
}

static const struct ox_graph *body_of(const struct run *r, const char *attr) {
    return ox_attr_find(r->call, attr)->v.g;
}

/* A growable list of counted tensors. */
struct items {
    ox_tensor **at;
    size_t n, cap;
};

static ox_status push(ox_ctx *ctx, struct items *list, ox_tensor *t) {
    ox_status s = OX_GROW(ctx, list->at, list->n, list->cap);
    if (s != OX_OK) {
        ox_tensor_unref(t);
        return s;
    }
    list->at[list->n++] = t;
    return OX_OK;
}

static void items_fini(ox_ctx *ctx, struct items *list) {
    for (size_t i = 0; i < list->n; i++)
        ox_tensor_unref(list->at[i]);
    ox_free(ctx, list->at);
}

/* Everything a loop needs at once. */
struct loop {
    const struct run *r;
    const struct ox_graph *body;
    size_t n_in, n_out; /* of the body */
    size_t n_state;     /* values carried from step to step */
    size_t n_collected; /* values collected over all steps */
    ox_tensor **state;  /* counted */
    struct items *collected;
    ox_tensor **in, **out; /* of one step */
};

static ox_status loop_init(struct loop *l, size_t n_state, size_t n_collected) {
    const struct ox_bodies *b = l->r->bodies;
    ox_ctx *ctx = l->r->ctx;
    l->n_in = b->n_in(b->self, l->body);
    l->n_out = b->n_out(b->self, l->body);
    l->n_state = n_state;
    l->n_collected = n_collected;
    OX_TRY(ox_alloc(ctx, &l->state, n_state, sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(ctx, &l->collected, n_collected, sizeof *l->collected));
    OX_TRY(ox_alloc(ctx, &l->in, l->n_in, sizeof(ox_tensor *)));
    return ox_alloc(ctx, &l->out, l->n_out, sizeof(ox_tensor *));
}

static void loop_fini(struct loop *l) {
    ox_ctx *ctx = l->r->ctx;
    for (size_t i = 0; l->state && i < l->n_state; i++)
        ox_tensor_unref(l->state[i]);
    for (size_t i = 0; l->collected && i < l->n_collected; i++)
        items_fini(ctx, &l->collected[i]);
    for (size_t i = 0; l->in && i < l->n_in; i++)
        ox_tensor_unref(l->in[i]);
    for (size_t i = 0; l->out && i < l->n_out; i++)
        ox_tensor_unref(l->out[i]);
    ox_free(ctx, l->state);
    ox_free(ctx, l->collected);
    ox_free(ctx, l->in);
    ox_free(ctx, l->out);
}

static ox_status set_state(struct loop *l, size_t i, const ox_tensor *t) {
    if (!t)
        return ox_fail(l->r->ctx, OX_INVALID, "missing-input", NULL,
                       "carried value %zu has no initial value", i);
    l->state[i] = ox_tensor_ref(t);
    return OX_OK;
}

/* Runs the body once; the step's own inputs beyond the state are in l->in already. `first` is the
 * first body input that is state and `skip` the number of body outputs in front of the state. */
static ox_status step(struct loop *l, size_t first, size_t skip) {
    ox_status s;
    for (size_t i = 0; i < l->n_state; i++)
        l->in[first + i] = ox_tensor_ref(l->state[i]);
    OX_TRY(l->r->bodies->run(l->r->bodies->self, l->body, l->in, l->out));
    for (size_t i = 0; i < l->n_state; i++) {
        ox_tensor_unref(l->state[i]);
        l->state[i] = l->out[skip + i];
        l->out[skip + i] = NULL;
    }
    for (size_t i = 0; i < l->n_collected; i++) {
        ox_tensor *t = l->out[skip + l->n_state + i];
        l->out[skip + l->n_state + i] = NULL;
        s = push(l->r->ctx, &l->collected[i], t);
        if (s != OX_OK) return s;
    }
    return OX_OK;
}

/* What was collected in no step at all: as much of the shape as is known, unknown dims as 0. */
static ox_status empty_stack(ox_tensor **out, struct loop *l, size_t body_out, int64_t axis) {
    int64_t dims[OX_MAX_RANK] = {0};
    struct ox_body_out t;
    l->r->bodies->out_type(&t, l->r->bodies->self, l->body, body_out);
    int rank = t.rank >= 0 && t.rank < OX_MAX_RANK ? t.rank : 0;
    if (axis < 0) axis += rank + 1;
    for (int i = 0, n = 0; i <= rank && n < rank; i++)
        if (i != axis) {
            dims[i] = t.dims[n] > 0 ? t.dims[n] : 0;
            n++;
        }
    return ox_tensor_new(out, NULL, l->r->ctx, t.dtype != OX_UNDEFINED ? t.dtype : OX_FLOAT,
                         rank + 1, dims);
}

static ox_status stack(ox_tensor **out, struct loop *l, size_t i, size_t body_out, int64_t axis) {
    if (l->collected[i].n == 0) return empty_stack(out, l, body_out, axis);
    int rank = l->collected[i].at[0]->rank;
    if (axis < 0) axis += rank + 1;
    if (axis < 0 || axis > rank)
        return ox_fail(l->r->ctx, OX_INVALID, "wrong-attribute", NULL,
                       "output axis %lld for rank %d", (long long)axis, rank + 1);
    return ox_axis_stack(out, l->r->ctx, l->collected[i].at, l->collected[i].n, (int)axis);
}

/* ---- If -------------------------------------------------------------------------------------- */

static ox_status read_bool(bool *out, ox_ctx *ctx, const ox_tensor *t, const char *what) {
    if (!t || t->dtype != OX_BOOL || t->count != 1)
        return ox_fail(ctx, OX_INVALID, "wrong-type", NULL, "%s must be one bool", what);
    *out = *(const unsigned char *)t->data != 0;
    return OX_OK;
}

static ox_status run_if(const struct run *r, ox_tensor **out) {
    bool condition;
    OX_TRY(read_bool(&condition, r->ctx, operand(r, 0), "the condition"));
    return r->bodies->run(r->bodies->self, body_of(r, condition ? "then_branch" : "else_branch"),
                          NULL, out);
}

/* ---- Loop ------------------------------------------------------------------------------------ */

static ox_status loop_steps(struct loop *l, int64_t trips, bool go) {
    ox_ctx *ctx = l->r->ctx;
    for (int64_t i = 0; go && i < trips; i++) {
        unsigned char yes = 1;
        if (!ox_progress(ctx, "loop", (size_t)i, 0))
            return ox_fail(ctx, OX_CANCELLED, "cancelled", NULL, "cancelled in iteration %lld",
                           (long long)i);
        OX_TRY(ox_tensor_copy(&l->in[0], ctx, OX_INT64, 0, NULL, &i, sizeof i));
        OX_TRY(ox_tensor_copy(&l->in[1], ctx, OX_BOOL, 0, NULL, &yes, 1));
        OX_TRY(step(l, 2, 1));
        OX_TRY(read_bool(&go, ctx, l->out[0], "the loop's condition"));
        ox_tensor_unref(l->out[0]);
        l->out[0] = NULL;
    }
    return OX_OK;
}

static ox_status run_loop(struct loop *l, ox_tensor **out) {
    const struct run *r = l->r;
    const ox_tensor *trips = operand(r, 0), *go = operand(r, 1);
    int64_t max_trips = INT64_MAX;
    bool first = true;
    size_t n_state = r->call->n_in > 2 ? r->call->n_in - 2 : 0;
    l->body = body_of(r, "body");
    if (trips) {
        if (trips->dtype != OX_INT64 || trips->count != 1)
            return ox_fail(r->ctx, OX_INVALID, "wrong-type", NULL,
                           "the trip count must be one int64");
        max_trips = *(const int64_t *)trips->data;
    }
    if (go) OX_TRY(read_bool(&first, r->ctx, go, "the loop's condition"));
    OX_TRY(loop_init(l, n_state, r->call->n_out - n_state));
    for (size_t i = 0; i < n_state; i++)
        OX_TRY(set_state(l, i, operand(r, i + 2)));
    OX_TRY(loop_steps(l, max_trips, first));
    for (size_t i = 0; i < r->call->n_out; i++) {
        if (i < n_state)
            out[i] = ox_tensor_ref(l->state[i]);
        else
            OX_TRY(stack(&out[i], l, i - n_state, i + 1, 0));
    }
    return OX_OK;
}

/* ---- Scan ------------------------------------------------------------------------------------ */

struct scan {
    struct loop loop;
    size_t n_scanned, n_out;
    const ox_tensor *const *scanned;
    const int64_t *in_axes, *in_backward, *out_axes, *out_backward; /* NULL: all 0 */
};

static ox_status scan_list(const int64_t **out, const struct run *r, const char *name,
                           size_t count) {
    const struct ox_attr *a = ox_attr_find(r->call, name);
    *out = NULL;
    if (!a) return OX_OK;
    if (a->type != OX_ATTR_INTS || a->count != count)
        return ox_fail(r->ctx, OX_INVALID, "wrong-attribute", NULL, "%s must have %zu integers",
                       name, count);
    *out = a->v.ints;
    return OX_OK;
}

static ox_status scan_axis(int *axis, int64_t *length, struct scan *s, size_t i) {
    int64_t a = s->in_axes ? s->in_axes[i] : 0;
    const ox_tensor *t = s->scanned[i];
    if (a < 0) a += t->rank;
    if (a < 0 || a >= t->rank)
        return ox_fail(s->loop.r->ctx, OX_INVALID, "wrong-attribute", NULL,
                       "scan axis %lld of rank %d", (long long)a, t->rank);
    *axis = (int)a;
    if (*length >= 0 && *length != t->dims[a])
        return ox_fail(s->loop.r->ctx, OX_INVALID, "shape-mismatch", NULL,
                       "scanned inputs have %lld and %lld steps", (long long)*length,
                       (long long)t->dims[a]);
    *length = t->dims[a];
    return OX_OK;
}

static ox_status scan_steps(struct scan *s, int64_t limit) {
    struct loop *l = &s->loop;
    int64_t length = -1;
    int axis;
    for (size_t i = 0; i < s->n_scanned; i++)
        OX_TRY(scan_axis(&axis, &length, s, i));
    if (limit >= 0 && limit < length) length = limit;
    for (int64_t t = 0; t < length; t++) {
        for (size_t i = 0; i < s->n_scanned; i++) {
            int64_t same = -1;
            OX_TRY(scan_axis(&axis, &same, s, i));
            bool backward = s->in_backward && s->in_backward[i];
            OX_TRY(ox_axis_step(&l->in[l->n_state + i], l->r->ctx, s->scanned[i], axis,
                                backward ? length - 1 - t : t));
        }
        OX_TRY(step(l, 0, 0));
    }
    return OX_OK;
}

static void reverse(struct items *list) {
    for (size_t i = 0, j = list->n; j > i + 1; i++) {
        j--;
        ox_tensor *t = list->at[i];
        list->at[i] = list->at[j];
        list->at[j] = t;
    }
}

static ox_status scan_outputs(struct scan *s, ox_tensor **out) {
    struct loop *l = &s->loop;
    for (size_t i = 0; i < s->n_out; i++) {
        if (i < l->n_state) {
            out[i] = ox_tensor_ref(l->state[i]);
            continue;
        }
        size_t k = i - l->n_state;
        if (s->out_backward && s->out_backward[k]) reverse(&l->collected[k]);
        OX_TRY(stack(&out[i], l, k, i, s->out_axes ? s->out_axes[k] : 0));
    }
    return OX_OK;
}

/* One scan over states in[0 .. n_state) and scanned inputs behind them. */
static ox_status scan_once(const struct run *r, const ox_tensor *const *in, size_t n_state,
                           size_t n_scanned, int64_t limit, bool axes, ox_tensor **out) {
    struct scan s = {.loop = {.r = r, .body = body_of(r, "body")},
                     .n_scanned = n_scanned,
                     .n_out = r->call->n_out,
                     .scanned = in + n_state};
    size_t n_collected = r->call->n_out - n_state;
    ox_status status = loop_init(&s.loop, n_state, n_collected);
    if (status == OX_OK && axes) status = scan_list(&s.in_axes, r, "scan_input_axes", n_scanned);
    if (status == OX_OK && axes)
        status = scan_list(&s.out_axes, r, "scan_output_axes", n_collected);
    if (status == OX_OK)
        status =
            scan_list(&s.in_backward, r, axes ? "scan_input_directions" : "directions", n_scanned);
    if (status == OX_OK && axes)
        status = scan_list(&s.out_backward, r, "scan_output_directions", n_collected);
    for (size_t i = 0; i < n_state && status == OX_OK; i++)
        status = set_state(&s.loop, i, in[i]);
    if (status == OX_OK) status = scan_steps(&s, limit);
    if (status == OX_OK) status = scan_outputs(&s, out);
    loop_fini(&s.loop);
    return status;
}

/* Scan-8: every input has a batch axis in front, and the first operand may give the length of each
 * sequence. */
static ox_status scan_batches(const struct run *r, const ox_tensor *const *in, size_t n_state,
                              size_t n_scanned, const ox_tensor *lengths, ox_tensor **out) {
    size_t n_in = n_state + n_scanned, n_out = r->call->n_out;
    int64_t batches = n_in && in[0]->rank > 0 ? in[0]->dims[0] : 0;
    struct items *results;
    ox_tensor **one;
    OX_TRY(ox_alloc(r->ctx, &one, n_in + n_out, sizeof(ox_tensor *)));
    ox_status s = ox_alloc(r->ctx, &results, n_out, sizeof *results);
    for (int64_t b = 0; b < batches && s == OX_OK; b++) {
        int64_t limit = -1;
        for (size_t i = 0; i < n_in && s == OX_OK; i++) {
            if (in[i]->rank < 1 || in[i]->dims[0] != batches)
                s = ox_fail(r->ctx, OX_INVALID, "shape-mismatch", NULL,
                            "input %zu of Scan lacks the batch axis of %lld", i,
                            (long long)batches);
            else
                s = ox_axis_step(&one[i], r->ctx, in[i], 0, b);
        }
        if (s == OX_OK && lengths && lengths->dtype == OX_INT64 &&
            (int64_t)lengths->count == batches)
            limit = ((const int64_t *)lengths->data)[b];
        if (s == OX_OK)
            s = scan_once(r, (const ox_tensor *const *)one, n_state, n_scanned, limit, false,
                          one + n_in);
        for (size_t i = 0; i < n_out && s == OX_OK; i++) {
            s = push(r->ctx, &results[i], one[n_in + i]);
            one[n_in + i] = NULL;
        }
        for (size_t i = 0; i < n_in + n_out; i++) {
            ox_tensor_unref(one[i]);
            one[i] = NULL;
        }
    }
    for (size_t i = 0; i < n_out && s == OX_OK; i++) {
        if (results[i].n == 0)
            s = ox_fail(r->ctx, OX_INVALID, "shape-mismatch", NULL, "Scan over an empty batch");
        else
            s = ox_axis_stack(&out[i], r->ctx, results[i].at, results[i].n, 0);
    }
    for (size_t i = 0; results && i < n_out; i++)
        items_fini(r->ctx, &results[i]);
    ox_free(r->ctx, results);
    ox_free(r->ctx, one);
    return s;
}

static ox_status run_scan(const struct run *r, ox_tensor **out) {
    bool old = r->call->opset < 9;
    size_t skip = old ? 1 : 0, n_scanned = (size_t)ox_attr_find(r->call, "num_scan_inputs")->v.i,
           n_in = r->call->n_in - skip;
    const ox_tensor *const *in = r->in + skip;
    for (size_t i = 0; i < n_in; i++)
        if (!in[i])
            return ox_fail(r->ctx, OX_INVALID, "missing-input", NULL,
                           "input %zu of Scan has no value", i + skip);
    return old ? scan_batches(r, in, n_in - n_scanned, n_scanned, operand(r, 0), out)
               : scan_once(r, in, n_in - n_scanned, n_scanned, -1, true, out);
}

/* ---- SequenceMap ----------------------------------------------------------------------------- */

static ox_status map_steps(struct loop *l, const ox_tensor *sequence) {
    const struct run *r = l->r;
    for (size_t i = 0; i < sequence->count; i++) {
        for (size_t k = 0; k < r->call->n_in; k++) {
            const ox_tensor *t = operand(r, k);
            if (t && t->dtype == OX_SEQUENCE) {
                if (t->count != sequence->count)
                    return ox_fail(r->ctx, OX_INVALID, "shape-mismatch", NULL,
                                   "sequences of %zu and %zu items", sequence->count, t->count);
                t = ox_tensor_item(t, i);
            }
            l->in[k] = ox_tensor_ref(t);
        }
        OX_TRY(step(l, r->call->n_in, 0));
    }
    return OX_OK;
}

static ox_status run_sequence_map(struct loop *l, ox_tensor **out) {
    const struct run *r = l->r;
    const ox_tensor *sequence = operand(r, 0);
    if (!sequence || sequence->dtype != OX_SEQUENCE)
        return ox_fail(r->ctx, OX_INVALID, "wrong-type", NULL, "input 0 must be a sequence");
    l->body = body_of(r, "body");
    OX_TRY(loop_init(l, 0, r->call->n_out));
    OX_TRY(map_steps(l, sequence));
    for (size_t i = 0; i < r->call->n_out; i++)
        OX_TRY(ox_tensor_list(&out[i], r->ctx, OX_SEQUENCE, l->collected[i].n, l->collected[i].at));
    return OX_OK;
}

/* Everything below relies on the bodies having as many inputs and outputs as the operator asks for.
 */
static ox_status check_bodies(const struct run *r) {
    struct ox_control_params p = {0};
    const struct ox_bodies *b = r->bodies;
    OX_TRY(r->call->op->decode(r->call, &p));
    for (size_t i = 0; i < p.n_graphs; i++) {
        const struct ox_graph *body = body_of(r, p.graphs[i].attr);
        size_t n_in = b->n_in(b->self, body), n_out = b->n_out(b->self, body);
        if (n_in != p.graphs[i].n_in || n_out != p.graphs[i].n_out)
            return ox_fail(r->ctx, OX_INVALID, "wrong-arity", NULL,
                           "subgraph '%s' has %zu inputs and %zu outputs, expected %zu and %zu",
                           p.graphs[i].attr, n_in, n_out, p.graphs[i].n_in, p.graphs[i].n_out);
    }
    return OX_OK;
}

ox_status ox_control_run(const struct ox_call *call, const struct ox_bodies *bodies,
                         const ox_tensor *const *in, ox_tensor **out) {
    struct run r = {.ctx = call->ctx, .call = call, .bodies = bodies, .in = in};
    struct loop l = {.r = &r};
    ox_status s;
    OX_TRY(check_bodies(&r));
    switch (*(const int *)call->op->family) {
    case OX_CONTROL_IF:
        return run_if(&r, out);
    case OX_CONTROL_SCAN:
        return run_scan(&r, out);
    case OX_CONTROL_FLEX:
        return ox_flex_run(call, bodies, in, out);
    case OX_CONTROL_LOOP:
        s = run_loop(&l, out);
        break;
    default:
        s = run_sequence_map(&l, out);
        break;
    }
    if (l.body) loop_fini(&l);
    return s;
}
