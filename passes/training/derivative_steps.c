/* passes/training/derivative_steps.c - derivatives that take several nodes: convolutions, pools,
 * what moves elements, a loss.
 *
 * Shapes that must be known for it are asked for by the fits functions; batches may be symbolic. */
#include "passes/rules/consts.h"
#include "passes/rules/rule.h"
#include "passes/training/derivative_priv.h"

static int64_t int_attr(const struct ox_node *n, const char *name, int64_t dflt) {
    const struct ox_attr *a = ox_node_attr(n, name);
    return a && a->type == OX_ATTR_INT ? a->v.i : dflt;
}

static bool has_text(const struct ox_node *n, const char *name, const char *text) {
    const struct ox_attr *a = ox_node_attr(n, name);
    return a && a->type == OX_ATTR_STRING && a->v.s.len == strlen(text) &&
           memcmp(a->v.s.ptr, text, strlen(text)) == 0;
}

static ox_status ints(struct ox_value **out, const struct ox_derivative_builder *b, size_t n,
                      const int64_t *values) {
    ox_tensor *t;
    OX_TRY(ox_const_ints(&t, b->graph->model->ctx, values, n));
    return ox_derivative_constant(out, b->graph, t);
}

static ox_status node1(struct ox_value **out, const struct ox_derivative_builder *b, const char *op,
                       struct ox_value *x) {
    return ox_derivative_node(out, b->graph, op, 1, &x);
}

static ox_status node2(struct ox_value **out, const struct ox_derivative_builder *b, const char *op,
                       struct ox_value *x, struct ox_value *y) {
    return ox_derivative_node(out, b->graph, op, 2, (struct ox_value *[]){x, y});
}

static ox_status reshape(struct ox_value **out, const struct ox_derivative_builder *b,
                         struct ox_value *x, size_t n, const int64_t *dims) {
    struct ox_value *shape;
    OX_TRY(ints(&shape, b, n, dims));
    return node2(out, b, "Reshape", x, shape);
}

static ox_status transpose(struct ox_value **out, const struct ox_derivative_builder *b,
                           struct ox_value *x, size_t n, const int64_t *perm) {
    struct ox_node *node;
    OX_TRY(ox_derivative_begin(&node, b->graph, "Transpose", 1, &x));
    OX_TRY(ox_node_set_ints(node, "perm", perm, n));
    return ox_derivative_end(out, node);
}

/* Sum over axes that stay as 1 or (keep false) go. */
static ox_status sum(struct ox_value **out, const struct ox_derivative_builder *b,
                     struct ox_value *x, size_t n, const int64_t *axes, bool keep) {
    struct ox_value *in[2] = {x, NULL};
    struct ox_node *node;
    bool attribute = ox_model_opset(b->graph->model, NULL) < 13;
    if (!attribute) OX_TRY(ints(&in[1], b, n, axes));
    OX_TRY(ox_derivative_begin(&node, b->graph, "ReduceSum", attribute ? 1 : 2, in));
    if (attribute) OX_TRY(ox_node_set_ints(node, "axes", axes, n));
    OX_TRY(ox_node_set_int(node, "keepdims", keep));
    return ox_derivative_end(out, node);
}

/* Elements [begin, end) along an axis. */
static ox_status slice(struct ox_value **out, const struct ox_derivative_builder *b,
                       struct ox_value *x, int64_t axis, int64_t begin, int64_t end) {
    struct ox_node *node;
    if (ox_model_opset(b->graph->model, NULL) >= 10) {
        struct ox_value *in[4] = {x};
        OX_TRY(ints(&in[1], b, 1, &begin));
        OX_TRY(ints(&in[2], b, 1, &end));
        OX_TRY(ints(&in[3], b, 1, &axis));
        return ox_derivative_node(out, b->graph, "Slice", 4, in);
    }
    OX_TRY(ox_derivative_begin(&node, b->graph, "Slice", 1, &x));
    OX_TRY(ox_node_set_ints(node, "starts", &begin, 1));
    OX_TRY(ox_node_set_ints(node, "ends", &end, 1));
    OX_TRY(ox_node_set_ints(node, "axes", &axis, 1));
    return ox_derivative_end(out, node);
}

ox_status ox_derivative_sum_axis(struct ox_value **out, const struct ox_derivative_builder *b,
                                 struct ox_value *x) {
    int64_t axis = int_attr(b->node, "axis", -1);
    return sum(out, b, x, 1, &axis, true);
}

ox_status ox_derivative_sum_channels(struct ox_value **out, const struct ox_derivative_builder *b,
                                     struct ox_value *x) {
    int64_t axes[OX_MAX_RANK];
    size_t n = 0;
    for (int d = 0; d < x->type->rank; d++)
        if (d != 1) axes[n++] = d;
    return sum(out, b, x, n, axes, false);
}

/* ---- windows --------------------------------------------------------------------------------- */

enum { SPATIAL_MAX = OX_MAX_RANK - 2 };

struct window {
    int n; /* spatial dims */
    int64_t kernel[SPATIAL_MAX], strides[SPATIAL_MAX], dilations[SPATIAL_MAX],
        pads[2 * SPATIAL_MAX];
    int64_t in[SPATIAL_MAX], out[SPATIAL_MAX],
        rest[SPATIAL_MAX]; /* rest: of the padded data, behind the last window */
};

static bool fixed_dims(const struct ox_value *v, int from) {
    if (!v || !ox_type_is_tensor(v->type) || v->type->rank < 0) return false;
    for (int d = from; d < v->type->rank; d++)
        if (!ox_dim_is_const(v->type->dims[d])) return false;
    return true;
}

static void list(int64_t *out, const struct ox_node *n, const char *name, int count, int64_t dflt) {
    const struct ox_attr *a = ox_node_attr(n, name);
    bool given = a && a->type == OX_ATTR_INTS && a->count == (size_t)count;
    for (int i = 0; i < count; i++)
        out[i] = given ? a->v.ints[i] : dflt;
}

/* kernel: dims of the weights behind the first two, or NULL: the attribute. False: the window is
 * not known. */
static bool read_window(struct window *w, const struct ox_node *n, const struct ox_value *kernel) {
    const struct ox_value *x = ox_node_in(n, 0), *y = n->out[0];
    if (!fixed_dims(x, 2) || !fixed_dims(y, 2) || x->type->rank < 3 ||
        y->type->rank != x->type->rank)
        return false;
    if (ox_node_attr(n, "auto_pad") && !has_text(n, "auto_pad", "NOTSET") &&
        !has_text(n, "auto_pad", "VALID"))
        return false;
    w->n = x->type->rank - 2;
    if (kernel && (!fixed_dims(kernel, 0) || kernel->type->rank != x->type->rank)) return false;
    list(w->kernel, n, "kernel_shape", w->n, 1);
    list(w->strides, n, "strides", w->n, 1);
    list(w->dilations, n, "dilations", w->n, 1);
    list(w->pads, n, "pads", 2 * w->n, 0);
    for (int i = 0; i < w->n; i++) {
        if (kernel) w->kernel[i] = kernel->type->dims[i + 2].k;
        w->in[i] = x->type->dims[i + 2].k;
        w->out[i] = y->type->dims[i + 2].k;
        int64_t reach = (w->out[i] - 1) * w->strides[i] + (w->kernel[i] - 1) * w->dilations[i] + 1;
        w->rest[i] = w->in[i] + w->pads[i] + w->pads[i + w->n] - reach;
        if (w->out[i] < 1 || w->rest[i] < 0) return false;
    }
    return true;
}

/* The transposed convolution of a gradient with weights: where each element came from. */
static ox_status spread(struct ox_value **out, const struct ox_derivative_builder *b,
                        struct ox_value *dy, struct ox_value *weights, const struct window *w,
                        int64_t group) {
    struct ox_node *node;
    size_t n = (size_t)w->n;
    OX_TRY(ox_derivative_begin(&node, b->graph, "ConvTranspose", 2,
                               (struct ox_value *[]){dy, weights}));
    OX_TRY(ox_node_set_ints(node, "strides", w->strides, n));
    OX_TRY(ox_node_set_ints(node, "dilations", w->dilations, n));
    OX_TRY(ox_node_set_ints(node, "pads", w->pads, 2 * n));
    OX_TRY(ox_node_set_ints(node, "output_padding", w->rest, n));
    OX_TRY(ox_node_set_int(node, "group", group));
    return ox_derivative_end(out, node);
}

bool ox_derivative_fits_conv(const struct ox_node *n) {
    struct window w;
    return fixed_dims(ox_node_in(n, 0), 1) && read_window(&w, n, ox_node_in(n, 1)) &&
           int_attr(n, "group", 1) >= 1;
}

ox_status ox_derivative_conv_data(struct ox_value **out, const struct ox_derivative_builder *b,
                                  struct ox_value *x) {
    struct window w;
    if (!read_window(&w, b->node, ox_node_in(b->node, 1))) return OX_UNSUPPORTED;
    return spread(out, b, x, b->operands[1], &w, int_attr(b->node, "group", 1));
}

/* [batch, group * channels, ...] as [channels, group * batch, ...]. */
static ox_status channels_first(struct ox_value **out, const struct ox_derivative_builder *b,
                                struct ox_value *x, int64_t group) {
    int64_t dims[OX_MAX_RANK + 1], perm[OX_MAX_RANK + 1];
    const struct ox_type *t = x->type;
    int rank = t->rank;
    struct ox_value *apart, *turned;
    dims[0] = 0;
    dims[1] = group;
    dims[2] = t->dims[1].k / group;
    for (int d = 2; d < rank; d++)
        dims[d + 1] = t->dims[d].k;
    for (int d = 0; d <= rank; d++)
        perm[d] = d < 3 ? 2 - d : d;
    OX_TRY(reshape(&apart, b, x, (size_t)rank + 1, dims));
    OX_TRY(transpose(&turned, b, apart, (size_t)rank + 1, perm));
    dims[0] = dims[2];
    dims[1] = -1;
    for (int d = 2; d < rank; d++)
        dims[d] = t->dims[d].k;
    return reshape(out, b, turned, (size_t)rank, dims);
}

/* The data convolved with the gradient: batches are the channels there, strides and dilations
 * change places. */
ox_status ox_derivative_conv_weights(struct ox_value **out, const struct ox_derivative_builder *b,
                                     struct ox_value *x) {
    struct window w;
    struct ox_value *data, *dy, *y;
    struct ox_node *node;
    int64_t group = int_attr(b->node, "group", 1), perm[OX_MAX_RANK] = {1, 0};
    if (!read_window(&w, b->node, ox_node_in(b->node, 1)) || w.n + 3 > OX_MAX_RANK)
        return OX_UNSUPPORTED;
    for (int d = 2; d < w.n + 2; d++)
        perm[d] = d;
    OX_TRY(channels_first(&data, b, b->operands[0], group));
    OX_TRY(transpose(&dy, b, x, (size_t)w.n + 2, perm)); /* [group * outputs, batch, ...] */
    OX_TRY(ox_derivative_begin(&node, b->graph, "Conv", 2, (struct ox_value *[]){data, dy}));
    OX_TRY(ox_node_set_ints(node, "strides", w.dilations, (size_t)w.n));
    OX_TRY(ox_node_set_ints(node, "dilations", w.strides, (size_t)w.n));
    OX_TRY(ox_node_set_ints(node, "pads", w.pads, 2 * (size_t)w.n));
    OX_TRY(ox_node_set_int(node, "group", group));
    OX_TRY(ox_derivative_end(&y, node));
    for (int i = 0; i < w.n; i++) /* windows that begin in the rest are not of the kernel */
        if (w.rest[i] >= w.dilations[i]) OX_TRY(slice(&y, b, y, i + 2, 0, w.kernel[i]));
    OX_TRY(transpose(out, b, y, (size_t)w.n + 2, perm));
    (*out)->type = b->operands[1]->type;
    return OX_OK;
}

/* ---- pools ----------------------------------------------------------------------------------- */

bool ox_derivative_fits_pool(const struct ox_node *n) {
    struct window w;
    bool padded = false;
    if (!fixed_dims(ox_node_in(n, 0), 1) || !read_window(&w, n, NULL) ||
        int_attr(n, "ceil_mode", 0))
        return false;
    for (int i = 0; i < 2 * w.n; i++)
        padded = padded || w.pads[i] != 0;
    return !padded || int_attr(n, "count_include_pad", 0) != 0;
}

/* All of a window have the same share. */
ox_status ox_derivative_pool(struct ox_value **out, const struct ox_derivative_builder *b,
                             struct ox_value *x) {
    struct window w;
    struct ox_value *weights;
    ox_tensor *t;
    int64_t dims[OX_MAX_RANK], channels = b->operands[0]->type->dims[1].k, n = 1;
    if (!read_window(&w, b->node, NULL)) return OX_UNSUPPORTED;
    dims[0] = channels;
    dims[1] = 1;
    for (int i = 0; i < w.n; i++) {
        dims[i + 2] = w.kernel[i];
        if (ox_mul_i64(&n, n, w.kernel[i])) return OX_UNSUPPORTED;
    }
    size_t count, bytes;
    if (n < 1 || ox_shape_size(&count, &bytes, OX_DOUBLE, w.n + 2, dims)) return OX_UNSUPPORTED;
    double *shares;
    ox_ctx *ctx = b->graph->model->ctx;
    OX_TRY(ox_alloc(ctx, &shares, count, sizeof *shares));
    for (size_t i = 0; i < count; i++)
        shares[i] = 1.0 / (double)n;
    ox_status s = ox_const_from_doubles(&t, ctx, b->dy->type->dtype, w.n + 2, dims, shares);
    ox_free(ctx, shares);
    OX_TRY(s);
    OX_TRY(ox_derivative_constant(&weights, b->graph, t));
    return spread(out, b, x, weights, &w, channels);
}

bool ox_derivative_fits_max_pool(const struct ox_node *n) {
    return ox_node_opset(n) >= 16 && int_attr(n, "storage_order", 0) == 0;
}

/* The pool once more, now with the indices of what it took; the gradient is added up there. */
ox_status ox_derivative_max_pool(struct ox_value **out, const struct ox_derivative_builder *b,
                                 struct ox_value *x) {
    struct ox_node *pool, *scatter;
    struct ox_value *a = b->operands[0], *flat[3], *shape, *y;
    const int64_t all = -1;
    ox_name type;
    OX_TRY(ox_model_name(&type, b->graph->model, "MaxPool", 7));
    OX_TRY(ox_node_new(&pool, b->graph, NULL, NULL, type, 1, 2));
    ox_use_set(&pool->in[0], a);
    OX_TRY(ox_match_copy_attrs(pool, b->node));
    OX_TRY(ox_node_infer(pool));
    OX_TRY(ox_derivative_fill(&flat[0], a, 0));
    flat[1] = pool->out[1];
    flat[2] = x;
    for (int i = 0; i < 3; i++)
        OX_TRY(reshape(&flat[i], b, flat[i], 1, &all));
    OX_TRY(ox_derivative_begin(&scatter, b->graph, "ScatterElements", 3, flat));
    OX_TRY(ox_node_set_string(scatter, "reduction", "add"));
    OX_TRY(ox_derivative_end(&y, scatter));
    OX_TRY(node1(&shape, b, "Shape", a));
    return node2(out, b, "Reshape", y, shape);
}

/* ---- moving elements ------------------------------------------------------------------------- */

static int64_t axis_in(const struct ox_node *n, const struct ox_type *t, int64_t dflt) {
    int64_t axis = int_attr(n, "axis", dflt);
    return axis < 0 ? axis + t->rank : axis;
}

/* Its operands' dims along the axis are known. */
bool ox_derivative_fits_concat(const struct ox_node *n) {
    const struct ox_value *y = n->out[0];
    if (!y || !ox_type_is_tensor(y->type) || y->type->rank < 1) return false;
    int64_t axis = axis_in(n, y->type, 1);
    if (axis < 0 || axis >= y->type->rank) return false;
    for (size_t i = 0; i < n->n_in; i++) {
        const struct ox_value *v = n->in[i].value;
        if (!v || !ox_type_is_tensor(v->type) || v->type->rank != y->type->rank ||
            !ox_dim_is_const(v->type->dims[axis]))
            return false;
    }
    return true;
}

ox_status ox_derivative_part(struct ox_value **out, const struct ox_derivative_builder *b,
                             struct ox_value *x) {
    int64_t axis = axis_in(b->node, x->type, 1), begin = 0;
    for (size_t i = 0; i < b->index; i++)
        begin += b->operands[i]->type->dims[axis].k;
    OX_TRY(slice(out, b, x, axis, begin, begin + b->operands[b->index]->type->dims[axis].k));
    (*out)->type = b->operands[b->index]->type;
    return OX_OK;
}

bool ox_derivative_fits_gather(const struct ox_node *n) {
    return ox_node_opset(n) >= 16 && int_attr(n, "axis", 0) == 0;
}

/* An index may come more than once. */
ox_status ox_derivative_scattered(struct ox_value **out, const struct ox_derivative_builder *b,
                                  struct ox_value *x) {
    struct ox_value *in[3], *last;
    struct ox_node *node;
    const int64_t axis = -1;
    OX_TRY(ox_derivative_fill(&in[0], b->operands[0], 0));
    OX_TRY(ints(&last, b, 1, &axis));
    OX_TRY(node2(&in[1], b, "Unsqueeze", b->operands[1], last));
    in[2] = x;
    if (b->operands[1]->type->kind == OX_TYPE_TENSOR && b->operands[1]->type->dtype == OX_INT32) {
        struct ox_node *cast;
        OX_TRY(ox_derivative_begin(&cast, b->graph, "Cast", 1, &in[1]));
        OX_TRY(ox_node_set_int(cast, "to", OX_INT64));
        OX_TRY(ox_derivative_end(&in[1], cast));
    }
    OX_TRY(ox_derivative_begin(&node, b->graph, "ScatterND", 3, in));
    OX_TRY(ox_node_set_string(node, "reduction", "add"));
    OX_TRY(ox_derivative_end(out, node));
    (*out)->type = b->operands[0]->type;
    return OX_OK;
}

/* ---- a loss ---------------------------------------------------------------------------------- */

/* Scores [N,C], labels [N], nothing weighted and nothing ignored. */
bool ox_derivative_fits_loss(const struct ox_node *n) {
    const struct ox_value *scores = ox_node_in(n, 0), *labels = ox_node_in(n, 1);
    return !ox_node_in(n, 2) && !ox_node_attr(n, "ignore_index") && ox_node_opset(n) >= 13 &&
           fixed_dims(scores, 1) && scores->type->rank == 2 && labels &&
           ox_type_is_tensor(labels->type) &&
           (labels->type->dtype == OX_INT64 || labels->type->dtype == OX_INT32);
}

/* (softmax of the scores less 1 at the label) times the gradient: of each row, of their sum, or of
 * their mean. */
ox_status ox_derivative_loss(struct ox_value **out, const struct ox_derivative_builder *b,
                             struct ox_value *x) {
    struct ox_value *scores = b->operands[0], *axes, *classes, *labels, *hit, *one, *soft, *rows;
    struct ox_node *node, *cast;
    int64_t n = scores->type->dims[1].k, *numbers, axis = 1;
    ox_tensor *t;
    void *data;
    OX_TRY(ox_tensor_new(&t, &data, b->graph->model->ctx, OX_INT64, 1, &n));
    numbers = data;
    for (int64_t i = 0; i < n; i++)
        numbers[i] = i;
    OX_TRY(ox_derivative_constant(&classes, b->graph, t));
    OX_TRY(ints(&axes, b, 1, &axis));
    OX_TRY(ox_derivative_begin(&cast, b->graph, "Cast", 1, &b->operands[1]));
    OX_TRY(ox_node_set_int(cast, "to", OX_INT64));
    OX_TRY(ox_derivative_end(&labels, cast));
    OX_TRY(node2(&labels, b, "Unsqueeze", labels, axes));
    OX_TRY(node2(&hit, b, "Equal", labels, classes));
    OX_TRY(ox_derivative_begin(&cast, b->graph, "Cast", 1, &hit));
    OX_TRY(ox_node_set_int(cast, "to", b->dy->type->dtype));
    OX_TRY(ox_derivative_end(&one, cast));
    OX_TRY(ox_derivative_begin(&node, b->graph, "Softmax", 1, &scores));
    OX_TRY(ox_node_set_int(node, "axis", 1));
    OX_TRY(ox_derivative_end(&soft, node));
    OX_TRY(node2(&rows, b, "Sub", soft, one));
    if (has_text(b->node, "reduction", "none")) OX_TRY(node2(&x, b, "Unsqueeze", x, axes));
    OX_TRY(node2(&rows, b, "Mul", rows, x));
    if (has_text(b->node, "reduction", "none") || has_text(b->node, "reduction", "sum")) {
        *out = rows;
        return OX_OK;
    }
    struct ox_value *count, *number;
    OX_TRY(node1(&count, b, "Size", b->operands[1]));
    OX_TRY(ox_derivative_begin(&cast, b->graph, "Cast", 1, &count));
    OX_TRY(ox_node_set_int(cast, "to", b->dy->type->dtype));
    OX_TRY(ox_derivative_end(&number, cast));
    return node2(out, b, "Div", rows, number);
}
