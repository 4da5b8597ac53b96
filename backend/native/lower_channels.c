/* backend/native/lower_channels.c - channels that are split, and shuffled by Reshape and Transpose:
 * where the readers want channels last, each is a choice of channels, and nothing has to leave that
 * form. */
#include "backend/native/lower_util.h"

static bool wants_last(const struct ox_lower *lo, const struct ox_value *v) {
    return ox_lower_wanted(lo, v) >> OX_FORM_LAST & 1;
}

/* Rank 4, float, all dims but the first known. */
static bool is_image(const struct ox_value *v) {
    if (ox_lower_dtype(v) != OX_FLOAT || ox_lower_rank(v) != 4) return false;
    for (int i = 1; i < 4; i++)
        if (ox_lower_dim(v, i) < 1) return false;
    return ox_lower_dim(v, 1) < INT32_MAX;
}

/* Channel i of v is channel first + i / inner * 1 + i % inner * step of x: inner = n, step = 1 is a
 * piece; a shuffle has both. */
struct order {
    int64_t first, n, inner, step;
};

static ox_status emit(struct ox_lower *lo, const struct ox_node *node, const struct ox_value *x,
                      const struct ox_value *v, struct order o) {
    const struct ox_step_channels_params p = {0};
    ox_operand in[2], out;
    ox_tensor *t;
    int32_t *channel;
    OX_TRY(ox_tensor_new(&t, (void **)&channel, ox_lower_model(lo)->ctx, OX_INT32, 1, &o.n));
    for (int64_t i = 0; i < o.n; i++)
        channel[i] = (int32_t)(o.first + i / o.inner + i % o.inner * o.step);
    OX_TRY(ox_lower_const(&in[1], lo, t));
    OX_TRY(ox_lower_in(&in[0], lo, x, OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, v, OX_FORM_LAST));
    return ox_lower_step(lo, node, OX_STEP_CHANNELS, &p, 2, in, 1, &out);
}

ox_status ox_lower_split(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    union ox_lower_room room;
    const struct ox_split_params *p = (const void *)room.bytes;
    const struct ox_value *x = ox_node_in(node, 0);
    int64_t sum = 0;
    bool last = false;
    if (!is_image(x) || !ox_lower_decode(&room, lo, node) || (p->axis != 1 && p->axis != -3))
        return OX_OK;
    for (size_t i = 0; i < node->n_out; i++) {
        if (!is_image(node->out[i])) return OX_OK;
        sum += ox_lower_dim(node->out[i], 1);
        last = last || wants_last(lo, node->out[i]);
    }
    if (!last || sum != ox_lower_dim(x, 1)) return OX_OK;
    *claimed = true;
    sum = 0;
    for (size_t i = 0; i < node->n_out; i++) {
        const int64_t n = ox_lower_dim(node->out[i], 1);
        if (ox_lower_wanted(lo, node->out[i]))
            OX_TRY(emit(lo, node, x, node->out[i], (struct order){sum, n, n, 1}));
        sum += n;
    }
    return OX_OK;
}

/* Operand 0 of the Transpose by `perm` that makes v, or NULL. */
static const struct ox_value *turned(struct ox_lower *lo, const struct ox_value *v, const int *perm,
                                     int n) {
    const struct ox_node *t = ox_lower_maker(v, "Transpose");
    union ox_lower_room room;
    const struct ox_transpose_params *p = (const void *)room.bytes;
    if (!t || ox_lower_rank(v) != n || !ox_lower_decode(&room, lo, t) || !p->perm.given ||
        p->perm.n != n)
        return NULL;
    for (int i = 0; i < n; i++)
        if (p->perm.at[i] != perm[i]) return NULL;
    return ox_node_in(t, 0);
}

static const struct ox_value *reshaped(const struct ox_value *v) {
    const struct ox_node *r = ox_lower_maker(v, "Reshape");
    return r ? ox_node_in(r, 0) : NULL;
}

static bool same_image(const struct ox_value *a, const struct ox_value *b) {
    return is_image(a) && is_image(b) && ox_dim_same(a->type->dims[0], b->type->dims[0]) &&
           ox_lower_dim(a, 2) == ox_lower_dim(b, 2) && ox_lower_dim(a, 3) == ox_lower_dim(b, 3);
}

/* N,C,H,W as N,G,C/G,H,W, its axes 1 and 2 exchanged, and back. */
static const struct ox_value *whole_shuffle(struct order *o, struct ox_lower *lo,
                                            const struct ox_value *y) {
    static const int swap[] = {0, 2, 1, 3, 4};
    const struct ox_value *mixed = reshaped(y), *groups = mixed ? turned(lo, mixed, swap, 5) : NULL,
                          *x = groups ? reshaped(groups) : NULL;
    if (!x || !same_image(x, y) || ox_lower_dim(x, 1) != ox_lower_dim(y, 1) ||
        !ox_dim_same(groups->type->dims[0], x->type->dims[0]))
        return NULL;
    const int64_t g = ox_lower_dim(groups, 1), each = ox_lower_dim(groups, 2);
    if (g < 1 || each < 1 || g * each != ox_lower_dim(x, 1) ||
        ox_lower_dim(groups, 3) != ox_lower_dim(x, 2) ||
        ox_lower_dim(groups, 4) != ox_lower_dim(x, 3))
        return NULL;
    *o = (struct order){0, g * each, g, each};
    return x;
}

/* 1,C,H,W as C/2,2,HW; transposed; as 2,1,C/2,H,W, of which one half is taken: every other channel.
 */
static const struct ox_value *half_shuffle(struct order *o, struct ox_lower *lo,
                                           const struct ox_node *node) {
    static const int swap[] = {1, 0, 2};
    union ox_lower_room room;
    const struct ox_gather_params *p = (const void *)room.bytes;
    const struct ox_value *y = node->out[0], *halves = ox_node_in(node, 0),
                          *mixed = reshaped(halves),
                          *pairs = mixed ? turned(lo, mixed, swap, 3) : NULL;
    const struct ox_value *x = pairs ? reshaped(pairs) : NULL;
    const ox_tensor *index = ox_lower_value_const(lo, ox_node_in(node, 1));
    if (!x || !index || index->count != 1 || index->rank != 0 ||
        !ox_lower_decode(&room, lo, node) || p->axis != 0)
        return NULL;
    if (!same_image(x, y) || ox_lower_dim(x, 0) != 1 || ox_lower_rank(halves) != 5 ||
        ox_lower_dim(halves, 0) != 2 || ox_lower_dim(halves, 1) != 1)
        return NULL;
    if (ox_lower_dim(pairs, 1) != 2 || ox_lower_dim(pairs, 0) * 2 != ox_lower_dim(x, 1) ||
        ox_lower_dim(halves, 2) * 2 != ox_lower_dim(x, 1))
        return NULL;
    if (ox_lower_dim(y, 1) * 2 != ox_lower_dim(x, 1) ||
        ox_lower_dim(halves, 3) != ox_lower_dim(x, 2))
        return NULL;
    const int64_t which = ox_tensor_int(index, 0), n = ox_lower_dim(y, 1);
    if (which < -2 || which > 1) return NULL;
    *o = (struct order){which < 0 ? which + 2 : which, n, n, 2};
    return x;
}

ox_status ox_lower_shuffle(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    struct order o;
    if (!wants_last(lo, node->out[0])) return OX_OK;
    const struct ox_value *x = ox_node_is(node, "Gather") ? half_shuffle(&o, lo, node)
                                                          : whole_shuffle(&o, lo, node->out[0]);
    if (!x) return OX_OK;
    *claimed = true;
    return emit(lo, node, x, node->out[0], o);
}
