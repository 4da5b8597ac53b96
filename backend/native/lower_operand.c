/* backend/native/lower_operand.c - operands: slots, constants, forms of values; what lowering
 * functions call. */
#include "backend/native/lower_priv.h"
#include "ir/base/hash64.h"

struct ox_model *ox_lower_model(const struct ox_lower *lo) {
    return lo->model;
}

ox_status ox_lower_decline(struct ox_lower *lo, const struct ox_node *node, const char *why) {
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i]) lo->values[node->out[i]->id].why = why;
    return OX_OK;
}

unsigned ox_lower_wanted(const struct ox_lower *lo, const struct ox_value *value) {
    return value ? lo->values[value->id].wanted : 0;
}

/* ---- constants ------------------------------------------------------------------------------- */

static uint64_t hash_tensor(const ox_tensor *t) {
    struct ox_hash64 h;
    ox_hash64_init(&h);
    if (t->dtype != OX_STRING) {
        ox_hash64_add(&h, t->data, t->size);
        return ox_hash64_end(&h);
    }
    const struct ox_str *s = t->data;
    for (size_t i = 0; i < t->count; i++) {
        ox_hash64_add(&h, &s[i].len, sizeof s[i].len);
        ox_hash64_add(&h, s[i].ptr, s[i].len);
    }
    return ox_hash64_end(&h);
}

static bool same_bytes(const ox_tensor *a, const ox_tensor *b) {
    if (a->dtype == OX_STRING || b->dtype == OX_STRING) return ox_tensor_equal(a, b);
    return a->size == b->size &&
           (a->size == 0 || a->data == b->data || memcmp(a->data, b->data, a->size) == 0);
}

static bool same_shape(const ox_tensor *a, const ox_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0);
}

static void table_put(struct ox_lower *lo, uint32_t index) {
    size_t i = (size_t)lo->consts[index].hash & (lo->cap_table - 1);
    while (lo->const_table[i])
        i = (i + 1) & (lo->cap_table - 1);
    lo->const_table[i] = index + 1;
}

static ox_status table_grow(struct ox_lower *lo) {
    if (lo->n_consts * 2 < lo->cap_table) return OX_OK;
    size_t cap = lo->cap_table ? lo->cap_table * 2 : 64;
    ox_free(lo->ctx, lo->const_table);
    lo->const_table = NULL;
    lo->cap_table = 0;
    OX_TRY(ox_alloc(lo->ctx, &lo->const_table, cap, sizeof *lo->const_table));
    lo->cap_table = cap;
    for (size_t k = 0; k < lo->n_consts; k++)
        table_put(lo, (uint32_t)k);
    return OX_OK;
}

/* Takes over the count. */
static ox_status add_const(uint32_t *out, struct ox_lower *lo, ox_tensor *t) {
    uint64_t hash = hash_tensor(t);
    uint32_t same = (uint32_t)lo->n_consts;
    for (size_t i = (size_t)hash & (lo->cap_table - 1); lo->cap_table && lo->const_table[i];
         i = (i + 1) & (lo->cap_table - 1)) {
        uint32_t k = lo->const_table[i] - 1;
        if (lo->consts[k].hash != hash || !same_bytes(lo->consts[k].tensor, t)) continue;
        if (same_shape(lo->consts[k].tensor, t)) {
            ox_tensor_unref(t);
            *out = k;
            return OX_OK;
        }
        if (lo->consts[k].same < same) same = lo->consts[k].same;
    }
    ox_status s = OX_GROW(lo->ctx, lo->consts, lo->n_consts, lo->cap_consts);
    if (s == OX_OK) s = table_grow(lo);
    if (s == OX_OK && lo->n_consts >= OX_BLOB_CONST_BIT - 1)
        s = ox_fail(lo->ctx, OX_UNSUPPORTED, "too-large", NULL, "too many constants");
    if (s != OX_OK) {
        ox_tensor_unref(t);
        return s;
    }
    lo->consts[lo->n_consts] = (struct ox_low_const){t, hash, same};
    *out = (uint32_t)lo->n_consts++;
    table_put(lo, *out);
    return OX_OK;
}

ox_status ox_lower_const(ox_operand *out, struct ox_lower *lo, ox_tensor *tensor) {
    uint32_t index;
    OX_TRY(add_const(&index, lo, tensor));
    out->id = index | OX_BLOB_CONST_BIT;
    return OX_OK;
}

/* Constants that need work: sparse ones, those not aligned for their type, Constant nodes with
 * other attributes than a tensor. */
static ox_status make_const(ox_tensor **out, struct ox_lower *lo, const struct ox_value *v) {
    ox_tensor *t = ox_value_const(v);
    *out = NULL;
    if (v->sparse) return ox_sparse_expand(out, lo->ctx, v->sparse);
    if (t) return ox_tensor_aligned(out, lo->ctx, t);
    if (v->def && ox_node_is(v->def, "Constant") && v->def->op && v->def->n_out == 1)
        return ox_exec_node(v->def, NULL, out);
    return OX_OK;
}

static ox_status const_of(const ox_tensor **out, struct ox_lower *lo, const struct ox_value *v) {
    if (!lo->evaluated[v->id]) OX_TRY(make_const(&lo->evaluated[v->id], lo, v));
    *out = lo->evaluated[v->id];
    return OX_OK;
}

const ox_tensor *ox_lower_value_const(struct ox_lower *lo, const struct ox_value *value) {
    const ox_tensor *t = NULL;
    if (!value) return NULL;
    ox_mute(lo->ctx, true);
    ox_status s = const_of(&t, lo, value);
    ox_mute(lo->ctx, false);
    return s == OX_OK ? t : NULL;
}

/* ---- forms of constants ---------------------------------------------------------------------- */

static ox_status shift_const(ox_tensor **out, struct ox_lower *lo, const ox_tensor *t) {
    void *data;
    OX_TRY(ox_tensor_new_raw(out, &data, lo->ctx, OX_INT8, t->rank, t->dims));
    for (size_t i = 0; i < t->count; i++)
        ((unsigned char *)data)[i] = ((const unsigned char *)t->data)[i] ^ 0x80;
    return OX_OK;
}

/* Axis 1 to the end: [n, c, s] to [n, s, c] where s is everything behind. */
static ox_status last_const(ox_tensor **out, struct ox_lower *lo, const ox_tensor *t) {
    int64_t dims[OX_MAX_RANK];
    void *data;
    size_t size = (size_t)ox_dtype_bits(t->dtype) / 8, n = (size_t)t->dims[0],
           c = (size_t)t->dims[1], s = 1;
    for (int i = 0; i < t->rank; i++)
        dims[i] = i == 0 ? t->dims[0] : i == t->rank - 1 ? t->dims[1] : t->dims[i + 1];
    OX_TRY(ox_tensor_new_raw(out, &data, lo->ctx, t->dtype, t->rank, dims));
    if (t->count == 0) return OX_OK;
    for (int i = 2; i < t->rank; i++)
        s *= (size_t)t->dims[i];
    unsigned char *to = data;
    const unsigned char *from = t->data;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < s; k++)
            for (size_t j = 0; j < c; j++, to += size)
                memcpy(to, from + ((i * c + j) * s + k) * size, size);
    return OX_OK;
}

static bool form_fits(const ox_tensor *t, unsigned form) {
    if ((form & OX_FORM_SHIFTED) && t->dtype != OX_UINT8) return false;
    return !(form & OX_FORM_LAST) || (t->rank >= 3 && t->rank <= OX_STEP_RANK_MAX &&
                                      ox_dtype_bits(t->dtype) % 8 == 0 && t->dtype != OX_STRING);
}

static ox_status const_operand(ox_operand *out, struct ox_lower *lo, const ox_tensor *t,
                               unsigned form) {
    ox_tensor *now = ox_tensor_ref(t), *next;
    ox_status s = form_fits(t, form) ? OX_OK
                                     : ox_fail(lo->ctx, OX_INTERNAL, "bad-form", NULL,
                                               "a constant cannot have form %u", form);
    if (s == OX_OK && (form & OX_FORM_SHIFTED)) {
        s = shift_const(&next, lo, now);
        if (s == OX_OK) {
            ox_tensor_unref(now);
            now = next;
        }
    }
    if (s == OX_OK && (form & OX_FORM_LAST)) {
        s = last_const(&next, lo, now);
        if (s == OX_OK) {
            ox_tensor_unref(now);
            now = next;
        }
    }
    if (s == OX_OK) return ox_lower_const(out, lo, now);
    ox_tensor_unref(now);
    return s;
}

/* ---- slots ----------------------------------------------------------------------------------- */

ox_status ox_lower_new_slot(uint32_t *out, struct ox_lower *lo, uint32_t frame) {
    OX_TRY(OX_GROW(lo->ctx, lo->slots, lo->n_slots, lo->cap_slots));
    if (lo->n_slots >= OX_BLOB_CONST_BIT - 1)
        return ox_fail(lo->ctx, OX_UNSUPPORTED, "too-large", NULL, "too many values");
    lo->slots[lo->n_slots] = (struct ox_low_slot){.frame = frame};
    *out = (uint32_t)lo->n_slots++;
    return OX_OK;
}

static uint32_t frame_of(const struct ox_lower *lo, const struct ox_graph *graph) {
    uint32_t f = lo->frame;
    while (lo->frames[f].graph != graph && lo->frames[f].holder)
        f = lo->frames[f].parent;
    return f;
}

static ox_status value_slot(ox_operand *out, struct ox_lower *lo, const struct ox_value *v,
                            unsigned form) {
    uint32_t *slot = &lo->values[v->id].slot[form];
    if (!*slot) {
        uint32_t fresh;
        OX_TRY(ox_lower_new_slot(&fresh, lo, frame_of(lo, v->graph)));
        *slot = fresh + 1;
    }
    out->id = *slot - 1;
    return OX_OK;
}

ox_status ox_lower_in(ox_operand *out, struct ox_lower *lo, const struct ox_value *value,
                      unsigned form) {
    const ox_tensor *t;
    *out = OX_OPERAND_NONE;
    if (!value) return OX_OK;
    OX_TRY(const_of(&t, lo, value));
    if (t) return const_operand(out, lo, t, form);
    lo->values[value->id].wanted |= (unsigned char)(1u << form);
    return value_slot(out, lo, value, form);
}

ox_status ox_lower_out(ox_operand *out, struct ox_lower *lo, const struct ox_value *value,
                       unsigned form) {
    *out = OX_OPERAND_NONE;
    if (!value) return OX_OK;
    lo->values[value->id].made |= (unsigned char)(1u << form);
    return value_slot(out, lo, value, form);
}

ox_status ox_lower_temp(ox_operand *out, struct ox_lower *lo) {
    return ox_lower_new_slot(&out->id, lo, lo->frame);
}
