/* ir/base/type.c - types of values: making, comparing, merging, printing. See type.h. */
#include "ir/base/type.h"

#include "ir/base/text_buf.h"
#include <stdio.h>

static bool has_dims(const struct ox_type *t) {
    return t->kind == OX_TYPE_TENSOR || t->kind == OX_TYPE_SPARSE;
}

bool ox_type_is_static(const struct ox_type *t) {
    if (!t || !has_dims(t) || t->rank < 0) return false;
    for (int i = 0; i < t->rank; i++)
        if (!ox_dim_is_const(t->dims[i])) return false;
    return true;
}

int64_t ox_type_count(const struct ox_type *t) {
    if (!ox_type_is_static(t)) return -1;
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i].k < 0) return -1;
        if (t->dims[i].k == 0) return 0;
    }
    for (int i = 0; i < t->rank; i++)
        if (ox_mul_i64(&count, count, t->dims[i].k)) return -1;
    return count;
}

bool ox_type_same(const struct ox_type *a, const struct ox_type *b) {
    while (a && b && a != b) {
        if (a->kind != b->kind || a->dtype != b->dtype) return false;
        if (has_dims(a)) {
            if (a->rank != b->rank) return false;
            for (int i = 0; i < a->rank; i++)
                if (!ox_dim_same(a->dims[i], b->dims[i])) return false;
        }
        a = a->elem;
        b = b->elem;
    }
    return a == b;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_tensor(struct ox_text_buf *t, const struct ox_type *type) {
    ox_text_buf_put(t, ox_dtype_name(type->dtype));
    if (type->rank < 0) ox_text_buf_put(t, "[]");
    if (type->rank <= 0) return;
    for (int i = 0; i < type->rank; i++) {
        bool room = t->len < t->size;
        ox_text_buf_put(t, i ? "," : "[");
        size_t at = t->len < t->size ? t->len : t->size;
        t->len += ox_dim_print(room ? t->buf + at : NULL, room ? t->size - at : 0, type->dims[i]);
    }
    ox_text_buf_put(t, "]");
}

size_t ox_type_print(char *buf, size_t size, const struct ox_type *type) {
    struct ox_text_buf t = {buf, size, 0};
    size_t open = 0;
    for (; type && type->kind >= OX_TYPE_SEQUENCE; type = type->elem) {
        ox_text_buf_put(&t, type->kind == OX_TYPE_SEQUENCE ? "seq("
                            : type->kind == OX_TYPE_MAP    ? "map("
                                                           : "optional(");
        if (type->kind == OX_TYPE_MAP) {
            ox_text_buf_put(&t, ox_dtype_name(type->dtype));
            ox_text_buf_put(&t, ", ");
        }
        open++;
    }
    if (!type || type->kind == OX_TYPE_UNKNOWN) {
        ox_text_buf_put(&t, "?");
    } else {
        ox_text_buf_put(&t, type->kind == OX_TYPE_SPARSE ? "sparse_tensor(" : "");
        put_tensor(&t, type);
        ox_text_buf_put(&t, type->kind == OX_TYPE_SPARSE ? ")" : "");
    }
    while (open--)
        ox_text_buf_put(&t, ")");
    return ox_text_buf_end(&t);
}

/* ---- making ---------------------------------------------------------------------------------- */

static ox_status new_type(struct ox_type **out, struct ox_arena *arena, struct ox_type like) {
    struct ox_type *t;
    OX_TRY(ox_arena_alloc(arena, &t, 1, sizeof *t));
    *t = like;
    *out = t;
    return OX_OK;
}

ox_status ox_type_tensor(const struct ox_type **out, struct ox_arena *arena, ox_dtype dtype,
                         int rank, const ox_dim *dims) {
    struct ox_type *t;
    ox_dim *copy = NULL;
    if (rank > 0) {
        OX_TRY(ox_arena_alloc(arena, &copy, (size_t)rank, sizeof *copy));
        memcpy(copy, dims, (size_t)rank * sizeof *copy);
    }
    struct ox_type like = {
        .kind = OX_TYPE_TENSOR, .dtype = dtype, .rank = rank < 0 ? -1 : rank, .dims = copy};
    OX_TRY(new_type(&t, arena, like));
    *out = t;
    return OX_OK;
}

ox_status ox_type_of(const struct ox_type **out, struct ox_arena *arena, const ox_tensor *tensor) {
    ox_dim dims[OX_MAX_RANK];
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = ox_dim_const(tensor->dims[i]);
    return ox_type_tensor(out, arena, tensor->dtype, tensor->rank, dims);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* 2: a number; 1: an expression of named symbols; 0: unknown. */
static int precision(ox_dim d) {
    return ox_dim_is_const(d) ? 2 : ox_dim_is_known(d) ? 1 : 0;
}

/* A number that no value of the other dim's symbols can reach is a contradiction, too. */
static bool contradicts(ox_dim a, ox_dim b) {
    if (ox_dim_is_const(a) && ox_dim_is_const(b)) return a.k != b.k;
    if (ox_dim_is_const(b)) return contradicts(b, a);
    return ox_dim_is_const(a) && a.k < INT64_MAX && ox_dim_ge(b, a.k + 1);
}

/* One level, elements aside. */
static ox_status merge_level(struct ox_type **out, bool *conflict, struct ox_arena *arena,
                             const struct ox_type *a, const struct ox_type *b) {
    struct ox_type merged = *a;
    if (a->kind != b->kind || (a->dtype && b->dtype && a->dtype != b->dtype) ||
        (has_dims(a) && a->rank >= 0 && b->rank >= 0 && a->rank != b->rank)) {
        *conflict = true;
        return new_type(out, arena, merged);
    }
    if (!merged.dtype) merged.dtype = b->dtype;
    if (has_dims(a) && b->rank >= 0) {
        ox_dim *dims = NULL;
        if (b->rank > 0) OX_TRY(ox_arena_alloc(arena, &dims, (size_t)b->rank, sizeof *dims));
        for (int i = 0; i < b->rank; i++) {
            dims[i] = b->dims[i];
            if (a->rank < 0) continue;
            *conflict = *conflict || contradicts(a->dims[i], b->dims[i]);
            if (precision(a->dims[i]) >= precision(b->dims[i])) dims[i] = a->dims[i];
        }
        merged.rank = b->rank;
        merged.dims = dims;
    }
    return new_type(out, arena, merged);
}

ox_status ox_type_merge(const struct ox_type **out, bool *conflict, struct ox_arena *arena,
                        const struct ox_type *a, const struct ox_type *b) {
    const struct ox_type *first = a, *head = NULL;
    struct ox_type *last = NULL;
    bool clash = false;
    while (a && b && a->kind != OX_TYPE_UNKNOWN && b->kind != OX_TYPE_UNKNOWN && !clash) {
        struct ox_type *level;
        OX_TRY(merge_level(&level, &clash, arena, a, b));
        if (last) last->elem = level;
        if (!head) head = level;
        last = level;
        a = a->elem;
        b = b->elem;
    }
    if (conflict) *conflict = clash;
    if (clash) {
        *out = first;
        return OX_OK;
    }
    const struct ox_type *rest = a && a->kind != OX_TYPE_UNKNOWN ? a : b ? b : a;
    if (last) last->elem = rest;
    *out = head ? head : rest;
    return OX_OK;
}

static ox_status common_tensor(const struct ox_type **out, struct ox_arena *arena,
                               struct ox_dims *dims, const struct ox_type *a,
                               const struct ox_type *b) {
    ox_dim common[OX_MAX_RANK];
    if (a->rank < 0 || a->rank != b->rank) return ox_type_tensor(out, arena, a->dtype, -1, NULL);
    for (int i = 0; i < a->rank; i++) {
        common[i] = a->dims[i];
        if (!ox_dim_same(a->dims[i], b->dims[i])) OX_TRY(ox_dim_unknown(&common[i], dims));
    }
    return ox_type_tensor(out, arena, a->dtype, a->rank, common);
}

ox_status ox_type_common(const struct ox_type **out, struct ox_arena *arena, struct ox_dims *dims,
                         const struct ox_type *a, const struct ox_type *b) {
    struct ox_type like = {.kind = OX_TYPE_UNKNOWN, .rank = -1}, *last = NULL;
    const struct ox_type *head = NULL, *end = NULL;
    *out = NULL;
    while (a && b && a->kind == b->kind && a->dtype == b->dtype && a->kind >= OX_TYPE_SEQUENCE) {
        struct ox_type *level;
        like = *a;
        like.elem = NULL;
        OX_TRY(new_type(&level, arena, like));
        if (last) last->elem = level;
        if (!head) head = level;
        last = level;
        a = a->elem;
        b = b->elem;
    }
    if (!a || !b || a->kind != b->kind || a->dtype != b->dtype) return OX_OK;
    if (a->kind == OX_TYPE_TENSOR)
        OX_TRY(common_tensor(&end, arena, dims, a, b));
    else if (ox_type_same(a, b))
        end = a;
    else
        return OX_OK;
    if (last) last->elem = end;
    *out = head ? head : end;
    return OX_OK;
}
