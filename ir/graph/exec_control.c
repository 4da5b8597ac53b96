/* ir/graph/exec_control.c - running If, Loop, Scan and SequenceMap: ONNX operator specification, "If", "Loop", "Scan". */
#include "ir/graph/exec_priv.h"
#include "ir/graph/exec_slice.h"
#include "ir/ops/op_control.h"

/* A growable list of counted tensors. */
struct items {
    ox_tensor **at;
    size_t n, cap;
};

static ox_status push(ox_ctx *ctx, struct items *list, ox_tensor *t)
{
    ox_status s = OX_GROW(ctx, list->at, list->n, list->cap);
    if (s != OX_OK) {
        ox_tensor_unref(t);
        return s;
    }
    list->at[list->n++] = t;
    return OX_OK;
}

static void items_fini(ox_ctx *ctx, struct items *list)
{
    for (size_t i = 0; i < list->n; i++) ox_tensor_unref(list->at[i]);
    ox_free(ctx, list->at);
}

/* Everything a loop needs at once. */
struct loop {
    struct ox_exec *e;
    const struct ox_node *node;
    const struct ox_graph *body;
    size_t n_state;          /* values carried from step to step */
    size_t n_collected;      /* values collected over all steps */
    ox_tensor **state;       /* counted */
    struct items *collected;
    ox_tensor **in, **out;   /* of one step */
};

static ox_status loop_init(struct loop *l, size_t n_state, size_t n_collected)
{
    ox_ctx *ctx = l->e->ctx;
    l->n_state = n_state;
    l->n_collected = n_collected;
    OX_TRY(ox_alloc(ctx, &l->state, n_state, sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(ctx, &l->collected, n_collected, sizeof *l->collected));
    OX_TRY(ox_alloc(ctx, &l->in, l->body->n_inputs, sizeof(ox_tensor *)));
    return ox_alloc(ctx, &l->out, l->body->ret->n_in, sizeof(ox_tensor *));
}

static void loop_fini(struct loop *l)
{
    ox_ctx *ctx = l->e->ctx;
    for (size_t i = 0; l->state && i < l->n_state; i++) ox_tensor_unref(l->state[i]);
    for (size_t i = 0; l->collected && i < l->n_collected; i++) items_fini(ctx, &l->collected[i]);
    for (size_t i = 0; l->in && i < l->body->n_inputs; i++) ox_tensor_unref(l->in[i]);
    for (size_t i = 0; l->out && i < l->body->ret->n_in; i++) ox_tensor_unref(l->out[i]);
    ox_free(ctx, l->state);
    ox_free(ctx, l->collected);
    ox_free(ctx, l->in);
    ox_free(ctx, l->out);
}

static ox_status set_state(struct loop *l, size_t i, const ox_tensor *t)
{
    if (!t) return ox_fail(l->e->ctx, OX_INVALID, "missing-input", NULL, "carried value %zu has no initial value", i);
    l->state[i] = ox_tensor_ref(t);
    return OX_OK;
}

/* Runs the body once; the step's own inputs beyond the state are in l->in already. `first` is the first body input that is state and
 * `skip` the number of body outputs in front of the state. */
static ox_status step(struct loop *l, size_t first, size_t skip)
{
    ox_status s;
    for (size_t i = 0; i < l->n_state; i++) l->in[first + i] = ox_tensor_ref(l->state[i]);
    OX_TRY(ox_exec_graph(l->e, l->body, l->in, l->out));
    for (size_t i = 0; i < l->n_state; i++) {
        ox_tensor_unref(l->state[i]);
        l->state[i] = l->out[skip + i];
        l->out[skip + i] = NULL;
    }
    for (size_t i = 0; i < l->n_collected; i++) {
        ox_tensor *t = l->out[skip + l->n_state + i];
        l->out[skip + l->n_state + i] = NULL;
        s = push(l->e->ctx, &l->collected[i], t);
        if (s != OX_OK) return s;
    }
    return OX_OK;
}

/* What was collected in no step at all: as much of the shape as is known, unknown dims as 0. */
static ox_status empty_stack(ox_tensor **out, struct loop *l, const struct ox_value *body_out, int axis)
{
    int64_t dims[OX_MAX_RANK] = {0};
    const struct ox_type *t = body_out->type;
    int rank = t->kind == OX_TYPE_TENSOR && t->rank >= 0 && t->rank < OX_MAX_RANK ? t->rank : 0;
    ox_dtype dtype = t->kind == OX_TYPE_TENSOR && t->dtype != OX_UNDEFINED ? t->dtype : OX_FLOAT;
    if (axis < 0) axis += rank + 1;
    for (int i = 0, n = 0; i <= rank && n < rank; i++) {
        if (i == axis) continue;
        dims[i] = ox_dim_is_const(t->dims[n]) ? t->dims[n].k : 0;
        n++;
    }
    return ox_tensor_new(out, NULL, l->e->ctx, dtype, rank + 1, dims);
}

static ox_status stack(ox_tensor **out, struct loop *l, size_t i, size_t body_out, int axis)
{
    if (l->collected[i].n == 0) return empty_stack(out, l, l->body->ret->in[body_out].value, axis);
    int rank = l->collected[i].at[0]->rank;
    if (axis < 0) axis += rank + 1;
    if (axis < 0 || axis > rank) return ox_fail(l->e->ctx, OX_INVALID, "wrong-attribute", NULL, "output axis %d for rank %d", axis, rank + 1);
    return ox_exec_stack(out, l->e->ctx, l->collected[i].at, l->collected[i].n, axis);
}

/* ---- If -------------------------------------------------------------------------------------- */

static ox_status read_bool(bool *out, struct ox_exec *e, const ox_tensor *t, const char *what)
{
    if (!t || t->dtype != OX_BOOL || t->count != 1) return ox_fail(e->ctx, OX_INVALID, "wrong-type", NULL, "%s must be one bool", what);
    *out = *(const unsigned char *)t->data != 0;
    return OX_OK;
}

static ox_status run_if(struct ox_exec *e, const struct ox_node *n, ox_tensor **out)
{
    bool condition;
    OX_TRY(read_bool(&condition, e, ox_exec_lookup(e, ox_node_in(n, 0)), "the condition"));
    return ox_exec_graph(e, ox_node_attr(n, condition ? "then_branch" : "else_branch")->v.g, NULL, out);
}

/* ---- Loop ------------------------------------------------------------------------------------ */

static ox_status loop_steps(struct loop *l, int64_t trips, bool go)
{
    struct ox_exec *e = l->e;
    for (int64_t i = 0; go && i < trips; i++) {
        unsigned char yes = 1;
        if (!ox_progress(e->ctx, "loop", (size_t)i, 0)) return ox_fail(e->ctx, OX_CANCELLED, "cancelled", NULL, "cancelled in iteration %lld", (long long)i);
        OX_TRY(ox_tensor_copy(&l->in[0], e->ctx, OX_INT64, 0, NULL, &i, sizeof i));
        OX_TRY(ox_tensor_copy(&l->in[1], e->ctx, OX_BOOL, 0, NULL, &yes, 1));
        OX_TRY(step(l, 2, 1));
        OX_TRY(read_bool(&go, e, l->out[0], "the loop's condition"));
        ox_tensor_unref(l->out[0]);
        l->out[0] = NULL;
    }
    return OX_OK;
}

static ox_status run_loop(struct loop *l, ox_tensor **out)
{
    struct ox_exec *e = l->e;
    const struct ox_node *n = l->node;
    const ox_tensor *trips = ox_exec_lookup(e, ox_node_in(n, 0)), *go = ox_exec_lookup(e, ox_node_in(n, 1));
    int64_t max_trips = INT64_MAX;
    bool first = true;
    size_t n_state = n->n_in > 2 ? n->n_in - 2 : 0;
    l->body = ox_node_attr(n, "body")->v.g;
    if (trips) {
        if (trips->dtype != OX_INT64 || trips->count != 1) return ox_fail(e->ctx, OX_INVALID, "wrong-type", NULL, "the trip count must be one int64");
        max_trips = *(const int64_t *)trips->data;
    }
    if (go) OX_TRY(read_bool(&first, e, go, "the loop's condition"));
    OX_TRY(loop_init(l, n_state, l->body->ret->n_in - 1 - n_state));
    for (size_t i = 0; i < n_state; i++) OX_TRY(set_state(l, i, ox_exec_lookup(e, ox_node_in(n, i + 2))));
    OX_TRY(loop_steps(l, max_trips, first));
    for (size_t i = 0; i < n->n_out; i++) {
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

static ox_status scan_list(const int64_t **out, const struct ox_exec *e, const struct ox_node *n, const char *name, size_t count)
{
    const struct ox_attr *a = ox_node_attr(n, name);
    *out = NULL;
    if (!a) return OX_OK;
    if (a->type != OX_ATTR_INTS || a->count != count)
        return ox_fail(e->ctx, OX_INVALID, "wrong-attribute", NULL, "%s must have %zu integers", name, count);
    *out = a->v.ints;
    return OX_OK;
}

static ox_status scan_axis(int *axis, int64_t *length, struct scan *s, size_t i)
{
    int64_t a = s->in_axes ? s->in_axes[i] : 0;
    const ox_tensor *t = s->scanned[i];
    if (a < 0) a += t->rank;
    if (a < 0 || a >= t->rank) return ox_fail(s->loop.e->ctx, OX_INVALID, "wrong-attribute", NULL, "scan axis %lld of rank %d", (long long)a, t->rank);
    *axis = (int)a;
    if (*length >= 0 && *length != t->dims[a])
        return ox_fail(s->loop.e->ctx, OX_INVALID, "shape-mismatch", NULL, "scanned inputs have %lld and %lld steps", (long long)*length, (long long)t->dims[a]);
    *length = t->dims[a];
    return OX_OK;
}

static ox_status scan_steps(struct scan *s, int64_t limit)
{
    struct loop *l = &s->loop;
    int64_t length = -1;
    int axis;
    for (size_t i = 0; i < s->n_scanned; i++) OX_TRY(scan_axis(&axis, &length, s, i));
    if (limit >= 0 && limit < length) length = limit;
    for (int64_t t = 0; t < length; t++) {
        for (size_t i = 0; i < s->n_scanned; i++) {
            int64_t same = -1;
            OX_TRY(scan_axis(&axis, &same, s, i));
            bool backward = s->in_backward && s->in_backward[i];
            OX_TRY(ox_exec_step(&l->in[l->n_state + i], l->e->ctx, s->scanned[i], axis, backward ? length - 1 - t : t));
        }
        OX_TRY(step(l, 0, 0));
    }
    return OX_OK;
}

static void reverse(struct items *list)
{
    for (size_t i = 0, j = list->n; j > i + 1; i++) {
        j--;
        ox_tensor *t = list->at[i];
        list->at[i] = list->at[j];
        list->at[j] = t;
    }
}

static ox_status scan_outputs(struct scan *s, ox_tensor **out)
{
    struct loop *l = &s->loop;
    for (size_t i = 0; i < s->n_out; i++) {
        if (i < l->n_state) {
            out[i] = ox_tensor_ref(l->state[i]);
            continue;
        }
        size_t k = i - l->n_state;
        if (s->out_backward && s->out_backward[k]) reverse(&l->collected[k]);
        OX_TRY(stack(&out[i], l, k, i, s->out_axes ? (int)s->out_axes[k] : 0));
    }
    return OX_OK;
}

/* One scan over states in[0 .. n_state) and scanned inputs behind them. */
static ox_status scan_once(struct ox_exec *e, const struct ox_node *n, const ox_tensor *const *in, size_t n_state, size_t n_scanned, int64_t limit,
                           bool axes, ox_tensor **out)
{
    struct scan s = {.loop = {.e = e, .node = n, .body = ox_node_attr(n, "body")->v.g}, .n_scanned = n_scanned, .n_out = n->n_out, .scanned = in + n_state};
    size_t n_collected = n->n_out - n_state;
    ox_status status = loop_init(&s.loop, n_state, n_collected);
    if (status == OX_OK && axes) status = scan_list(&s.in_axes, e, n, "scan_input_axes", n_scanned);
    if (status == OX_OK && axes) status = scan_list(&s.out_axes, e, n, "scan_output_axes", n_collected);
    if (status == OX_OK) status = scan_list(&s.in_backward, e, n, axes ? "scan_input_directions" : "directions", n_scanned);
    if (status == OX_OK && axes) status = scan_list(&s.out_backward, e, n, "scan_output_directions", n_collected);
    for (size_t i = 0; i < n_state && status == OX_OK; i++) status = set_state(&s.loop, i, in[i]);
    if (status == OX_OK) status = scan_steps(&s, limit);
    if (status == OX_OK) status = scan_outputs(&s, out);
    loop_fini(&s.loop);
    return status;
}

/* Scan-8: every input has a batch axis in front, and the first operand may give the length of each sequence. */
static ox_status scan_batches(struct ox_exec *e, const struct ox_node *n, const ox_tensor *const *in, size_t n_state, size_t n_scanned,
                              const ox_tensor *lengths, ox_tensor **out)
{
    size_t n_in = n_state + n_scanned;
    int64_t batches = n_in && in[0]->rank > 0 ? in[0]->dims[0] : 0;
    struct items *results;
    ox_tensor **one;
    OX_TRY(ox_alloc(e->ctx, &one, n_in + n->n_out, sizeof(ox_tensor *)));
    ox_status s = ox_alloc(e->ctx, &results, n->n_out, sizeof *results);
    for (int64_t b = 0; b < batches && s == OX_OK; b++) {
        int64_t limit = -1;
        for (size_t i = 0; i < n_in && s == OX_OK; i++) {
            if (in[i]->rank < 1 || in[i]->dims[0] != batches)
                s = ox_fail(e->ctx, OX_INVALID, "shape-mismatch", NULL, "input %zu of Scan lacks the batch axis of %lld", i, (long long)batches);
            else
                s = ox_exec_step(&one[i], e->ctx, in[i], 0, b);
        }
        if (s == OX_OK && lengths && lengths->dtype == OX_INT64 && (int64_t)lengths->count == batches) limit = ((const int64_t *)lengths->data)[b];
        if (s == OX_OK) s = scan_once(e, n, (const ox_tensor *const *)one, n_state, n_scanned, limit, false, one + n_in);
        for (size_t i = 0; i < n->n_out && s == OX_OK; i++) {
            s = push(e->ctx, &results[i], one[n_in + i]);
            one[n_in + i] = NULL;
        }
        for (size_t i = 0; i < n_in + n->n_out; i++) {
            ox_tensor_unref(one[i]);
            one[i] = NULL;
        }
    }
    for (size_t i = 0; i < n->n_out && s == OX_OK; i++) {
        if (results[i].n == 0)
            s = ox_fail(e->ctx, OX_INVALID, "shape-mismatch", NULL, "Scan over an empty batch");
        else
            s = ox_exec_stack(&out[i], e->ctx, results[i].at, results[i].n, 0);
    }
    for (size_t i = 0; results && i < n->n_out; i++) items_fini(e->ctx, &results[i]);
    ox_free(e->ctx, results);
    ox_free(e->ctx, one);
    return s;
}

static ox_status run_scan(struct ox_exec *e, const struct ox_node *n, ox_tensor **out)
{
    bool old = ox_node_opset(n) < 9;
    size_t skip = old ? 1 : 0, n_scanned = (size_t)ox_node_attr(n, "num_scan_inputs")->v.i, n_in = n->n_in - skip;
    const ox_tensor **in;
    OX_TRY(ox_alloc(e->ctx, &in, n_in, sizeof *in));
    ox_status s = OX_OK;
    for (size_t i = 0; i < n_in && s == OX_OK; i++) {
        in[i] = ox_exec_lookup(e, ox_node_in(n, i + skip));
        if (!in[i]) s = ox_fail(e->ctx, OX_INVALID, "missing-input", NULL, "input %zu of Scan has no value", i + skip);
    }
    if (s == OX_OK)
        s = old ? scan_batches(e, n, in, n_in - n_scanned, n_scanned, ox_exec_lookup(e, ox_node_in(n, 0)), out)
                : scan_once(e, n, in, n_in - n_scanned, n_scanned, -1, true, out);
    ox_free(e->ctx, in);
    return s;
}

/* ---- SequenceMap ----------------------------------------------------------------------------- */

static ox_status map_steps(struct loop *l, const ox_tensor *sequence)
{
    struct ox_exec *e = l->e;
    for (size_t i = 0; i < sequence->count; i++) {
        for (size_t k = 0; k < l->node->n_in; k++) {
            const ox_tensor *t = ox_exec_lookup(e, ox_node_in(l->node, k));
            if (t && t->dtype == OX_SEQUENCE) {
                if (t->count != sequence->count)
                    return ox_fail(e->ctx, OX_INVALID, "shape-mismatch", NULL, "sequences of %zu and %zu items", sequence->count, t->count);
                t = ox_tensor_item(t, i);
            }
            l->in[k] = ox_tensor_ref(t);
        }
        OX_TRY(step(l, l->node->n_in, 0));
    }
    return OX_OK;
}

static ox_status run_sequence_map(struct loop *l, ox_tensor **out)
{
    const ox_tensor *sequence = ox_exec_lookup(l->e, ox_node_in(l->node, 0));
    if (!sequence || sequence->dtype != OX_SEQUENCE) return ox_fail(l->e->ctx, OX_INVALID, "wrong-type", NULL, "input 0 must be a sequence");
    l->body = ox_node_attr(l->node, "body")->v.g;
    OX_TRY(loop_init(l, 0, l->node->n_out));
    OX_TRY(map_steps(l, sequence));
    for (size_t i = 0; i < l->node->n_out; i++) OX_TRY(ox_tensor_list(&out[i], l->e->ctx, OX_SEQUENCE, l->collected[i].n, l->collected[i].at));
    return OX_OK;
}

ox_status ox_exec_control(struct ox_exec *e, const struct ox_node *node, ox_tensor **out)
{
    struct loop l = {.e = e, .node = node};
    ox_status s;
    switch (*(const int *)node->op->family) {
    case OX_CONTROL_IF: return run_if(e, node, out);
    case OX_CONTROL_SCAN: return run_scan(e, node, out);
    case OX_CONTROL_LOOP: s = run_loop(&l, out); break;
    default: s = run_sequence_map(&l, out); break;
    }
    if (l.body) loop_fini(&l);
    return s;
}
