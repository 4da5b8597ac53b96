/* backend/native/lower_map.c - elementwise operators, which follow the form that their readers
 * want; pools, means, joins, resizing and softmax. */
#include "backend/native/lower_util.h"

static bool is_float(const struct ox_value *v) {
    return ox_lower_dtype(v) == OX_FLOAT && ox_lower_rank(v) >= 0 && ox_lower_rank(v) <= 6;
}

/* ---- unary -------------------------------------------------------------------------------------
 */

static ox_status unary_step(struct ox_lower *lo, const struct ox_node *node,
                            const struct ox_step_unary_params *p, bool *claimed) {
    const struct ox_value *x = ox_node_in(node, 0);
    unsigned form = ox_lower_followed(lo, node->out[0]);
    ox_operand in, out;
    if (!is_float(x)) return ox_lower_decline(lo, node, "not of type float, or of unknown rank");
    OX_TRY(ox_lower_in(&in, lo, x, form));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_UNARY, p, 1, &in, 1, &out);
}

/* Relu and Clip: behind a product they go into it. */
ox_status ox_lower_clamp(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_value *x = ox_node_in(node, 0);
    const struct ox_node *maker = x ? x->def : NULL;
    const struct ox_lower_tail tail = {.last = node, .act = node};
    struct ox_step_unary_params p = {.op = OX_STEP_CLAMP};
    if (maker && x->def_index == 0 && ox_lower_sole(x)) {
        if (ox_node_is(maker, "Conv")) OX_TRY(ox_lower_conv_tail(lo, maker, &tail, claimed));
        if (ox_node_is(maker, "BatchNormalization"))
            OX_TRY(ox_lower_norm_tail(lo, maker, &tail, claimed));
        if (ox_node_is(maker, "Add")) OX_TRY(ox_lower_sum_tail(lo, maker, &tail, claimed));
        if (!*claimed &&
            (ox_node_is(maker, "Gemm") || ox_node_is(maker, "MatMul") || ox_node_is(maker, "Add")))
            OX_TRY(ox_lower_dense_tail(lo, maker, &tail, claimed));
    }
    if (*claimed) return OX_OK;
    if (!ox_lower_bounds(&p.low, &p.high, lo, node))
        return ox_lower_decline(lo, node, "bounds are not constant");
    return unary_step(lo, node, &p, claimed);
}

ox_status ox_lower_unary(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    static const struct {
        const char *type;
        uint32_t op;
    } known[] = {
        {"Abs", OX_STEP_ABS},
        {"Ceil", OX_STEP_CEIL},
        {"Elu", OX_STEP_ELU},
        {"Floor", OX_STEP_FLOOR},
        {"Gelu", OX_STEP_GELU},
        {"HardSwish", OX_STEP_HARDSWISH},
        {"LeakyRelu", OX_STEP_LEAKY_RELU},
        {"Neg", OX_STEP_NEG},
        {"Sigmoid", OX_STEP_SIGMOID},
        {"Sqrt", OX_STEP_SQRT},
        {"Tanh", OX_STEP_TANH},
        {"Round", OX_STEP_ROUND},
    };
    union ox_lower_room room;
    const struct ox_unary_params *u = (const void *)room.bytes;
    struct ox_step_unary_params p = {.op = OX_STEP_UNARY_OPS};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ox_node_is(node, known[i].type)) p.op = known[i].op;
    if (p.op == OX_STEP_UNARY_OPS || !ox_lower_decode(&room, lo, node)) return OX_OK;
    if (p.op == OX_STEP_GELU && u->mode) return ox_lower_decline(lo, node, "form with tanh");
    if (p.op == OX_STEP_ELU || p.op == OX_STEP_LEAKY_RELU) p.low = u->alpha;
    if (!isfinite(p.low)) return OX_OK;
    return unary_step(lo, node, &p, claimed);
}

/* ---- binary ------------------------------------------------------------------------------------
 */

/* An operand of an elementwise operator whose result has `rank` dims: of fewer dims it fits
 * channels last only as one number. */
static bool fits_last(const struct ox_value *v, int rank) {
    if (ox_lower_rank(v) == rank) return true;
    for (int i = 0; i < ox_lower_rank(v); i++)
        if (ox_lower_dim(v, i) != 1) return false;
    return ox_lower_rank(v) >= 0;
}

enum { FACTORS = 3 };

/* Factors of a product of up to three, through products that nobody else reads; 0: more. */
static int factors(const struct ox_value **out, int n, const struct ox_node *mul) {
    for (size_t i = 0; i < 2; i++) {
        const struct ox_value *v = ox_node_in(mul, i);
        const struct ox_node *inner = ox_lower_maker(v, "Mul");
        if (inner && inner->n_in == 2 && ox_lower_sole(v) && n == 0 && i == 0) {
            n = factors(out, 0, inner);
        } else if (inner && inner->n_in == 2 && ox_lower_sole(v) && n == 1) {
            for (size_t k = 0; k < 2; k++)
                out[n++] = ox_node_in(inner, k);
        } else if (n < FACTORS) {
            out[n++] = v;
        } else {
            return FACTORS + 1;
        }
        if (n > FACTORS) return FACTORS + 1;
    }
    return n;
}

static bool is_number(struct ox_lower *lo, const struct ox_value *v, double wanted) {
    float f;
    return ox_lower_scalar(&f, lo, v) && fabs((double)f - wanted) <= 1e-6 * fabs(wanted);
}

/* The x of 1 + erf(x / sqrt(2)), or NULL. */
static const struct ox_value *of_erf(struct ox_lower *lo, const struct ox_value *v) {
    const struct ox_node *add = ox_lower_maker(v, "Add"), *erf_node = NULL, *scaled;
    for (size_t i = 0; add && i < 2 && !erf_node; i++)
        if (is_number(lo, ox_node_in(add, 1 - i), 1))
            erf_node = ox_lower_maker(ox_node_in(add, i), "Erf");
    if (!erf_node) return NULL;
    scaled = ox_lower_maker(ox_node_in(erf_node, 0), "Div");
    if (scaled)
        return is_number(lo, ox_node_in(scaled, 1), 1.4142135623730951) ? ox_node_in(scaled, 0)
                                                                        : NULL;
    scaled = ox_lower_maker(ox_node_in(erf_node, 0), "Mul");
    for (size_t i = 0; scaled && i < 2; i++)
        if (is_number(lo, ox_node_in(scaled, 1 - i), 0.7071067811865476))
            return ox_node_in(scaled, i);
    return NULL;
}

/* A tensor of one float. */
static ox_status number(ox_operand *out, struct ox_lower *lo, float value) {
    ox_tensor *t;
    OX_TRY(ox_tensor_copy(&t, ox_lower_model(lo)->ctx, OX_FLOAT, 0, NULL, &value, sizeof value));
    return ox_lower_const(out, lo, t);
}

/* Gelu spelled out: half of x times 1 + erf(x / sqrt(2)), in any order. Where the half has gone
 * into weights, it is twice that. */
ox_status ox_lower_gelu(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_value *f[FACTORS + 2], *x = NULL;
    const struct ox_step_unary_params p = {.op = OX_STEP_GELU};
    const struct ox_step_binary_params twice = {.op = OX_STEP_MUL};
    bool half = false, once = false;
    ox_operand in, out, pair[2];
    const int n = node->n_in == 2 ? factors(f, 0, node) : 0;
    if (n != 2 && n != FACTORS) return OX_OK;
    for (int i = 0; i < n && !x; i++)
        x = of_erf(lo, f[i]);
    for (int i = 0; x && i < n; i++) {
        half = half || is_number(lo, f[i], 0.5);
        once = once || f[i] == x;
    }
    if (!x || half != (n == FACTORS) || !once || !is_float(x) ||
        ox_lower_rank(x) != ox_lower_rank(node->out[0]))
        return OX_OK;
    unsigned form = ox_lower_followed(lo, node->out[0]);
    OX_TRY(ox_lower_in(&in, lo, x, form));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], form));
    *claimed = true;
    if (half) return ox_lower_step(lo, node, OX_STEP_UNARY, &p, 1, &in, 1, &out);
    OX_TRY(number(&pair[1], lo, 2));
    OX_TRY(ox_lower_temp(&pair[0], lo));
    OX_TRY(ox_lower_step(lo, node, OX_STEP_UNARY, &p, 1, &in, 1, &pair[0]));
    return ox_lower_step(lo, node, OX_STEP_BINARY, &twice, 2, pair, 1, &out);
}

ox_status ox_lower_binary(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    static const struct {
        const char *type;
        uint32_t op;
    } known[] = {{"Add", OX_STEP_ADD}, {"Sub", OX_STEP_SUB}, {"Mul", OX_STEP_MUL},
                 {"Div", OX_STEP_DIV}, {"Max", OX_STEP_MAX}, {"Min", OX_STEP_MIN}};
    const struct ox_value *y = node->out[0];
    struct ox_step_binary_params p = {.op = OX_STEP_BINARY_OPS};
    const struct ox_lower_tail tail = {.last = node};
    ox_operand in[2], out;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ox_node_is(node, known[i].type)) p.op = known[i].op;
    if (p.op == OX_STEP_ADD) OX_TRY(ox_lower_sum_tail(lo, node, &tail, claimed));
    if (p.op == OX_STEP_ADD && !*claimed) OX_TRY(ox_lower_dense_tail(lo, node, &tail, claimed));
    if (*claimed || p.op == OX_STEP_BINARY_OPS || node->n_in != 2 || ox_node_opset(node) < 8)
        return OX_OK;
    if (!is_float(ox_node_in(node, 0)) || !is_float(ox_node_in(node, 1)) || !is_float(y))
        return ox_lower_decline(lo, node, "not of type float, or of unknown rank");
    unsigned form = ox_lower_followed(lo, y);
    unsigned forms[2] = {form, form};
    for (size_t i = 0; form == OX_FORM_LAST && i < 2; i++) {
        if (!fits_last(ox_node_in(node, i), ox_lower_rank(y)))
            forms[0] = forms[1] = form = OX_FORM_PLAIN;
        else if (ox_lower_rank(ox_node_in(node, i)) != ox_lower_rank(y))
            forms[i] = OX_FORM_PLAIN;
    }
    for (size_t i = 0; i < 2; i++)
        OX_TRY(ox_lower_in(&in[i], lo, ox_node_in(node, i), forms[i]));
    OX_TRY(ox_lower_out(&out, lo, y, form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_BINARY, &p, 2, in, 1, &out);
}

ox_status ox_lower_softmax(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    union ox_lower_room room;
    const struct ox_softmax_params *s = (const void *)room.bytes;
    const struct ox_step_softmax_params p = {0};
    const struct ox_value *x = ox_node_in(node, 0);
    ox_operand in, out;
    if (!is_float(x) || !ox_lower_decode(&room, lo, node))
        return ox_lower_decline(lo, node, "not of type float, or of unknown rank");
    if (s->axis != -1 && s->axis != ox_lower_rank(x) - 1)
        return ox_lower_decline(lo, node, "not over the last dim");
    OX_TRY(ox_lower_in(&in, lo, x, OX_FORM_PLAIN));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], OX_FORM_PLAIN));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_SOFTMAX, &p, 1, &in, 1, &out);
}

/* ---- pools and means ---------------------------------------------------------------------------
 */

ox_status ox_lower_pool(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_value *x = ox_node_in(node, 0);
    struct ox_lower_pool pool;
    ox_operand in, out;
    const char *why = ox_lower_pool_look(&pool, lo, node);
    if (why) return ox_lower_decline(lo, node, why);
    OX_TRY(ox_lower_in(&in, lo, x, OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], OX_FORM_LAST));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_POOL, &pool.p, 1, &in, 1, &out);
}

const char *ox_lower_pool_look(struct ox_lower_pool *out, struct ox_lower *lo,
                               const struct ox_node *node) {
    const struct ox_value *x = ox_node_in(node, 0);
    union ox_lower_room room;
    const struct ox_pool_params *p = (const void *)room.bytes;
    struct ox_step_window *w = &out->p.window;
    memset(out, 0, sizeof *out);
    out->p.mode = ox_node_is(node, "MaxPool") ? OX_STEP_POOL_MAX : OX_STEP_POOL_AVERAGE;
    if (ox_lower_dtype(x) != OX_FLOAT) return "not of type float";
    if (ox_node_out(node, 1)) return "indices are wanted";
    if (!ox_lower_decode(&room, lo, node)) return "attributes depend on something";
    if (!ox_lower_window(w, lo, node, &p->window, x, p->window.kernel))
        return "padding depends on unknown dims, or neither one nor two spatial dims";
    bool padded = w->top || w->right || w->bottom || w->left;
    if (out->p.mode == OX_STEP_POOL_AVERAGE && (w->dilation[0] != 1 || w->dilation[1] != 1))
        return "average with dilation";
    if (out->p.mode == OX_STEP_POOL_AVERAGE && p->count_include_pad && padded)
        return "padding counts";
    if (w->kernel[0] * w->kernel[1] < 2 || w->stride[0] > w->kernel[0] ||
        w->stride[1] > w->kernel[1])
        return "windows do not touch each other";
    if (p->window.ceil_mode && !ox_lower_pool_ceil(w, node, x))
        return "rounds up, and dims are unknown";
    if (ox_step_pool_strays(&out->p)) return "dilation and padding";
    return NULL;
}

/* Rounding up is padding behind, where the output's dims tell how much. */
bool ox_lower_pool_ceil(struct ox_step_window *w, const struct ox_node *node,
                        const struct ox_value *x) {
    const int n = ox_lower_rank(x) - 2;
    for (int i = 0; i < n; i++) {
        int at = i + 2 - n; /* in the window */
        int64_t in = ox_lower_dim(x, i + 2), out = ox_lower_dim(node->out[0], i + 2);
        int64_t before = at ? w->left : w->top, after = at ? w->right : w->bottom;
        if (in < 1 || out < 1) return false;
        int64_t need = (out - 1) * w->stride[at] + (int64_t)(w->kernel[at] - 1) * w->dilation[at] +
                       1 - before - in;
        if (need > 1 << 20) return false;
        if (need < after) continue;
        if (at)
            w->right = (uint32_t)need;
        else
            w->bottom = (uint32_t)need;
    }
    return true;
}

bool ox_lower_is_mean(struct ox_lower *lo, const struct ox_node *node) {
    const struct ox_value *x = ox_node_in(node, 0);
    union ox_lower_room room;
    const struct ox_reduce_params *p = (const void *)room.bytes;
    int rank = ox_lower_rank(x);
    bool seen[OX_STEP_RANK_MAX] = {false};
    if (ox_lower_dtype(x) != OX_FLOAT || rank < 3 || rank > OX_STEP_RANK_MAX) return false;
    if (ox_node_is(node, "GlobalAveragePool")) return true;
    if (!ox_node_is(node, "ReduceMean") || !ox_lower_decode(&room, lo, node)) return false;
    if (!p->keepdims || !p->axes.given || !p->axes.known || p->axes.n != rank - 2) return false;
    for (int i = 0; i < p->axes.n; i++) {
        int64_t axis = p->axes.at[i] < 0 ? p->axes.at[i] + rank : p->axes.at[i];
        if (axis < 2 || axis >= rank || seen[axis]) return false;
        seen[axis] = true;
    }
    return true;
}

ox_status ox_lower_mean(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_step_mean_params p = {{1, 0}, {1, 0}};
    ox_operand in, out;
    if (!ox_lower_is_mean(lo, node))
        return ox_lower_decline(lo, node, "not the mean over all spatial dims");
    OX_TRY(ox_lower_in(&in, lo, ox_node_in(node, 0), OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], OX_FORM_LAST));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_MEAN, &p, 1, &in, 1, &out);
}

/* ---- joins and moves ---------------------------------------------------------------------------
 */

/* The axis of a join in a form of rank `rank`. */
uint32_t ox_lower_axis_in(int64_t axis, int rank, unsigned form) {
    int64_t at = axis < 0 ? axis + rank : axis;
    if (!(form & OX_FORM_LAST) || at == 0) return (uint32_t)at;
    return at == 1 ? (uint32_t)rank - 1 : (uint32_t)at - 1;
}

ox_status ox_lower_concat(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    union ox_lower_room room;
    const struct ox_concat_params *c = (const void *)room.bytes;
    struct ox_step_concat_params p = {0};
    const struct ox_value *y = node->out[0];
    int rank = ox_lower_rank(y);
    ox_operand out, *in;
    unsigned form = ox_lower_followed(lo, y);
    if (form == OX_FORM_PLAIN) return OX_OK; /* the operator's own kernel does as well */
    if (!is_float(y) || !ox_lower_decode(&room, lo, node)) return OX_OK;
    for (size_t i = 0; i < node->n_in; i++)
        if (!is_float(ox_node_in(node, i)) || ox_lower_rank(ox_node_in(node, i)) != rank)
            return ox_lower_decline(lo, node, "operands of unknown rank");
    p.axis = ox_lower_axis_in(c->axis, rank, form);
    OX_TRY(ox_alloc(ox_lower_model(lo)->ctx, &in, node->n_in, sizeof *in));
    ox_status status = OX_OK;
    for (size_t i = 0; i < node->n_in && status == OX_OK; i++)
        status = ox_lower_in(&in[i], lo, ox_node_in(node, i), form);
    if (status == OX_OK) status = ox_lower_out(&out, lo, y, form);
    *claimed = true;
    if (status == OX_OK)
        status = ox_lower_step(lo, node, OX_STEP_CONCAT, &p, node->n_in, in, 1, &out);
    ox_free(ox_lower_model(lo)->ctx, in);
    return status;
}

/* Is the factor of an axis to / from? Dims are rounded down, and factors that are given place the
 * samples as they are. */
static bool scaled_by_dims(struct ox_lower *lo, const struct ox_node *node,
                           const struct ox_resize_params *r, int axis, int64_t from, int64_t to) {
    const struct ox_value *sizes = r->sizes_at >= 0 ? ox_node_in(node, (size_t)r->sizes_at) : NULL;
    const struct ox_value *scales =
        r->scales_at >= 0 ? ox_node_in(node, (size_t)r->scales_at) : NULL;
    const ox_tensor *t = scales ? ox_lower_value_const(lo, scales) : NULL;
    size_t at = (size_t)axis;
    if (sizes) return r->policy == OX_RESIZE_STRETCH;
    for (size_t i = 0; r->axes && i < r->n_axes; i++)
        if (r->axes[i] == axis || r->axes[i] == axis - 4) at = i;
    const float *factors = r->scales ? r->scales : t && t->dtype == OX_FLOAT ? t->data : NULL;
    size_t n = r->scales ? r->n_scales : t ? t->count : 0;
    /* A quotient that is rounded to float moves samples by as little as rounding does; between them
     * the result is continuous. */
    return factors && at < n &&
           fabs((double)factors[at] * (double)from - (double)to) <= (double)to * 0x1p-22;
}

ox_status ox_lower_resize(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_value *x = ox_node_in(node, 0), *y = node->out[0];
    union ox_lower_room room;
    const struct ox_resize_params *r = (const void *)room.bytes;
    struct ox_step_resize_params p = {0};
    ox_operand in, out;
    if (!is_float(x) || ox_lower_rank(x) != 4 || !ox_lower_decode(&room, lo, node))
        return ox_lower_decline(lo, node, "not a float image");
    if (r->mode != OX_RESIZE_LINEAR || r->antialias || r->exclude_outside)
        return ox_lower_decline(lo, node, "not plainly bilinear");
    if (ox_lower_dim(x, 1) < 0 || ox_lower_dim(x, 1) != ox_lower_dim(y, 1))
        return ox_lower_decline(lo, node, "channels change");
    for (int i = 2; i < 4; i++) {
        int64_t from = ox_lower_dim(x, i), to = ox_lower_dim(y, i);
        if (from < 1 || to < 1 || to > 1 << 16)
            return ox_lower_decline(lo, node, "dims are unknown");
        if (!scaled_by_dims(lo, node, r, i, from, to))
            return ox_lower_decline(lo, node, "factors are not those of the dims, or unknown");
        if (to == 1) return ox_lower_decline(lo, node, "resized to one");
    }
    switch (r->coords) {
    case OX_COORDS_HALF_PIXEL:
    case OX_COORDS_PYTORCH_HALF_PIXEL:
        p.coords = OX_STEP_HALF_PIXEL;
        break;
    case OX_COORDS_ALIGN_CORNERS:
        p.coords = OX_STEP_ALIGN_CORNERS;
        break;
    case OX_COORDS_ASYMMETRIC:
        p.coords = OX_STEP_ASYMMETRIC;
        break;
    default:
        return ox_lower_decline(lo, node, "other coordinates");
    }
    p.height = (uint32_t)ox_lower_dim(y, 2);
    p.width = (uint32_t)ox_lower_dim(y, 3);
    OX_TRY(ox_lower_in(&in, lo, x, OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, y, OX_FORM_LAST));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_RESIZE, &p, 1, &in, 1, &out);
}

/* A Transpose to channels last is what that form is already; back again likewise. */
ox_status ox_lower_transpose(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_value *x = ox_node_in(node, 0);
    union ox_lower_room room;
    const struct ox_transpose_params *t = (const void *)room.bytes;
    const struct ox_step_concat_params p = {0};
    int rank = ox_lower_rank(x);
    bool to_last = true, to_first = true;
    ox_operand in, out;
    if (rank < 3 || rank > OX_STEP_RANK_MAX || !ox_lower_decode(&room, lo, node) || !t->perm.given)
        return OX_OK;
    int bits = ox_dtype_bits(ox_lower_dtype(x));
    if (bits == 0 || bits % 8 != 0 || ox_lower_dtype(x) == OX_STRING) return OX_OK;
    for (int i = 0; i < rank; i++) {
        to_last = to_last && t->perm.at[i] == (i == 0 ? 0 : i == rank - 1 ? 1 : i + 1);
        to_first = to_first && t->perm.at[i] == (i == 0 ? 0 : i == 1 ? rank - 1 : i - 1);
    }
    bool wanted_last = ox_lower_wanted(lo, node->out[0]) >> OX_FORM_LAST & 1;
    if (to_last && x->def && !wanted_last) {
        /* What it reads may be made plain only; then a transpose stands in front, and nothing is
         * lost. */
        OX_TRY(ox_lower_in(&in, lo, x, OX_FORM_LAST));
        OX_TRY(ox_lower_out(&out, lo, node->out[0], OX_FORM_PLAIN));
    } else if (to_first && wanted_last) {
        OX_TRY(ox_lower_in(&in, lo, x, OX_FORM_PLAIN));
        OX_TRY(ox_lower_out(&out, lo, node->out[0], OX_FORM_LAST));
    } else {
        return OX_OK;
    }
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_CONCAT, &p, 1, &in, 1, &out);
}
