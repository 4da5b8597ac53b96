/* ir/ops/op_move.c - Transpose, Expand, Tile, DepthToSpace, SpaceToDepth: one strided copy each. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"

/* Makes out by a strided copy of x, which is not empty. */
static ox_status copy_strided(ox_tensor **out, const struct ox_call *call, const ox_tensor *x,
                              int rank, const int64_t *dims, const struct ox_strided *s) {
    struct ox_view view;
    struct ox_sink sink;
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = ox_sink_open(&sink, call->ctx, x->dtype, rank, dims);
    if (status == OX_OK) {
        ox_strided_copy(call->ctx, sink.data, view.data, sink.size, s);
        status = ox_sink_close(&sink, call->ctx, OX_OK, out);
    }
    ox_view_close(&view, call->ctx);
    return status;
}

/* ---- Transpose ------------------------------------------------------------------------------- */

ox_status ox_decode_transpose(const struct ox_call *call, void *params) {
    struct ox_transpose_params *p = params;
    bool seen[OX_MAX_RANK] = {0};
    OX_TRY(ox_ints_attr(&p->perm, call, "perm"));
    for (int i = 0; i < p->perm.n; i++) {
        int64_t axis = p->perm.at[i];
        if (axis < 0 || axis >= p->perm.n || seen[axis])
            return ox_bad_attr(call, "attribute 'perm' %s is not a permutation",
                               ox_dims_text(p->perm.n, p->perm.at).text);
        seen[axis] = true;
    }
    return OX_OK;
}

static ox_status transpose_perm(int *perm, const struct ox_call *call,
                                const struct ox_transpose_params *p, int rank) {
    if (p->perm.given && p->perm.n != rank)
        return ox_bad_shape(call, "Transpose of rank %d by a permutation of %d dims", rank,
                            p->perm.n);
    for (int i = 0; i < rank; i++)
        perm[i] = p->perm.given ? (int)p->perm.at[i] : rank - 1 - i;
    return OX_OK;
}

ox_status ox_infer_transpose(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_transpose_params *p = params;
    int rank = ox_in_rank(io, 0), perm[OX_MAX_RANK];
    ox_dim dims[OX_MAX_RANK];
    if (rank < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), p->perm.given ? p->perm.n : -1);
    OX_TRY(transpose_perm(perm, call, p, rank));
    for (int i = 0; i < rank; i++)
        dims[i] = io->in[0]->dims[perm[i]];
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims));
    return ox_infer_pass_value(io);
}

ox_status ox_eval_transpose(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0];
    int perm[OX_MAX_RANK];
    int64_t dims[OX_MAX_RANK], from[OX_MAX_RANK], to[OX_MAX_RANK];
    OX_TRY(transpose_perm(perm, call, params, x->rank));
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[perm[i]];
    if (x->count == 0) return ox_tensor_new(&out[0], NULL, call->ctx, x->dtype, x->rank, dims);
    struct ox_strided s = {.rank = 0};
    ox_row_major(from, x->rank, x->dims);
    ox_row_major(to, x->rank, dims);
    int moved = 0, last = -1;
    for (int i = 0; i < x->rank; i++) {
        ox_strided_add(&s, dims[i], to[i], from[perm[i]]);
        if (dims[i] == 1) continue;
        moved += perm[i] < last;
        last = perm[i];
    }
    if (moved == 0) return ox_tensor_reshape(&out[0], call->ctx, x, x->rank, dims);
    return copy_strided(&out[0], call, x, x->rank, dims, &s);
}

/* ---- Expand ---------------------------------------------------------------------------------- */

ox_status ox_decode_expand(const struct ox_call *call, void *params) {
    struct ox_expand_params *p = params;
    OX_TRY(ox_ints_input(&p->shape, call, 1));
    for (int i = 0; i < p->shape.n; i++)
        if (p->shape.at[i] < 0)
            return ox_bad_shape(call, "Expand to a dim of %lld", (long long)p->shape.at[i]);
    return OX_OK;
}

ox_status ox_infer_expand(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_partial *shape;
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_MAX_RANK];
    (void)params;
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_in_elems(&shape, io, 1));
    if (!shape || rank < 0 || shape->count > OX_MAX_RANK)
        return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    ox_dim wanted[OX_MAX_RANK];
    for (size_t i = 0; i < shape->count; i++) {
        wanted[i] = shape->elems[i];
        if (ox_dim_is_const(wanted[i]) && wanted[i].k < 0)
            return ox_bad_shape(call, "Expand to a dim of %lld", (long long)wanted[i].k);
    }
    if (rank > 0) memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    OX_TRY(ox_infer_broadcast(call, io, &rank, dims, (int)shape->count, wanted));
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims));
    const struct ox_partial *v = ox_in_value(io, 0);
    int64_t count = ox_type_count(io->out[0]);
    ox_dim elems[OX_PARTIAL_MAX];
    if (!v || rank > 1 || count < 0 || count > OX_PARTIAL_MAX || v->count == 0) return OX_OK;
    for (int64_t i = 0; i < count; i++)
        elems[i] = v->elems[v->count == 1 ? 0 : i];
    return ox_infer_value(io, 0, rank, (size_t)count, elems);
}

ox_status ox_eval_expand(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_expand_params *p = params;
    const ox_tensor *x = in[0];
    int rank = x->rank;
    int64_t dims[OX_MAX_RANK], to[OX_MAX_RANK], from[OX_MAX_RANK];
    size_t count;
    if (rank > 0) memcpy(dims, x->dims, (size_t)rank * sizeof *dims);
    OX_TRY(ox_broadcast(call, &rank, dims, p->shape.n, p->shape.at));
    if (ox_shape_size(&count, NULL, x->dtype, rank, dims))
        return ox_bad_shape(call, "Expand to %s is too large", ox_dims_text(rank, dims).text);
    if (count == x->count) return ox_tensor_reshape(&out[0], call->ctx, x, rank, dims);
    if (count == 0) return ox_tensor_new(&out[0], NULL, call->ctx, x->dtype, rank, dims);
    struct ox_strided s = {.rank = 0};
    int added = rank - x->rank;
    ox_row_major(to, rank, dims);
    ox_row_major(from, x->rank, x->dims);
    for (int i = 0; i < rank; i++)
        ox_strided_add(&s, dims[i], to[i],
                       i < added || x->dims[i - added] == 1 ? 0 : from[i - added]);
    return copy_strided(&out[0], call, x, rank, dims, &s);
}

/* ---- Tile ------------------------------------------------------------------------------------ */

ox_status ox_decode_tile(const struct ox_call *call, void *params) {
    struct ox_tile_params *p = params;
    if (call->opset < 6) {
        if (!ox_has_input(call, 2))
            return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                           "Tile before opset 6 has three inputs");
        return OX_OK;
    }
    if (call->n_in != 2)
        return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL, "Tile has two inputs");
    OX_TRY(ox_ints_input(&p->repeats, call, 1));
    for (int i = 0; i < p->repeats.n; i++)
        if (p->repeats.at[i] < 0)
            return ox_bad_attr(call, "Tile repeats %lld times", (long long)p->repeats.at[i]);
    return OX_OK;
}

/* Before opset 6: `tiles` copies along one `axis`, both of the type of the data or int64. */
static ox_status old_repeats(struct ox_ints *repeats, const struct ox_call *call,
                             const ox_tensor *tiles_of, const ox_tensor *axis_of, int rank) {
    int64_t tiles, axis;
    int at;
    OX_TRY(ox_scalar_int(&tiles, call, "tiles", tiles_of));
    OX_TRY(ox_scalar_int(&axis, call, "axis", axis_of));
    OX_TRY(ox_axis(&at, call, "axis", axis, rank));
    if (tiles < 0) return ox_bad_attr(call, "Tile repeats %lld times", (long long)tiles);
    repeats->n = rank;
    for (int i = 0; i < repeats->n; i++)
        repeats->at[i] = i == at ? tiles : 1;
    return OX_OK;
}

static ox_status infer_old_tile(const struct ox_call *call, struct ox_infer *io) {
    const ox_tensor *tiles = ox_const_input(call, 1), *axis = ox_const_input(call, 2);
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_MAX_RANK];
    struct ox_ints repeats;
    if (!tiles || !axis || rank < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank);
    OX_TRY(old_repeats(&repeats, call, tiles, axis, rank));
    for (int i = 0; i < rank; i++)
        OX_TRY(ox_dim_mul(&dims[i], io->dims, io->in[0]->dims[i], ox_dim_const(repeats.at[i])));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

ox_status ox_infer_tile(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_partial *repeats;
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_MAX_RANK];
    (void)params;
    if (call->opset < 6) return infer_old_tile(call, io);
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_in_elems(&repeats, io, 1));
    if (!repeats || rank < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank);
    if (repeats->count != (size_t)rank)
        return ox_bad_shape(call, "Tile of rank %d by %zu repeats", rank, repeats->count);
    for (int i = 0; i < rank; i++) {
        ox_dim r = repeats->elems[i];
        if (ox_dim_is_const(r) && r.k < 0)
            return ox_bad_attr(call, "Tile repeats %lld times", (long long)r.k);
        OX_TRY(ox_dim_mul(&dims[i], io->dims, io->in[0]->dims[i], r));
    }
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims));
    const struct ox_partial *v = ox_in_value(io, 0);
    int64_t count = ox_type_count(io->out[0]);
    ox_dim elems[OX_PARTIAL_MAX];
    if (!v || rank > 1 || count < 0 || count > OX_PARTIAL_MAX || v->count == 0) return OX_OK;
    for (int64_t i = 0; i < count; i++)
        elems[i] = v->elems[(size_t)i % v->count];
    return ox_infer_value(io, 0, rank, (size_t)count, elems);
}

ox_status ox_eval_tile(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    struct ox_ints repeats = ((const struct ox_tile_params *)params)->repeats;
    const ox_tensor *x = in[0];
    int64_t dims[OX_MAX_RANK], to[OX_MAX_RANK], from[OX_MAX_RANK];
    if (call->opset < 6) OX_TRY(old_repeats(&repeats, call, in[1], in[2], x->rank));
    if (repeats.n != x->rank)
        return ox_bad_shape(call, "Tile of rank %d by %d repeats", x->rank, repeats.n);
    for (int i = 0; i < x->rank; i++)
        if (ox_mul_i64(&dims[i], x->dims[i], repeats.at[i]))
            return ox_bad_shape(call, "Tile makes too many elements");
    size_t count;
    if (ox_shape_size(&count, NULL, x->dtype, x->rank, dims))
        return ox_bad_shape(call, "Tile makes too many elements");
    if (count == 0) return ox_tensor_new(&out[0], NULL, call->ctx, x->dtype, x->rank, dims);
    struct ox_strided s = {.rank = 0};
    ox_row_major(to, x->rank, dims);
    ox_row_major(from, x->rank, x->dims);
    for (int i = 0; i < x->rank; i++) {
        ox_strided_add(&s, repeats.at[i], to[i] * x->dims[i], 0);
        ox_strided_add(&s, x->dims[i], to[i], from[i]);
    }
    return copy_strided(&out[0], call, x, x->rank, dims, &s);
}

/* ---- DepthToSpace and SpaceToDepth ------------------------------------------------------------
 */

/* blocksize > 0, and its square fits. */
static ox_status decode_block(int64_t *block, const struct ox_call *call) {
    OX_TRY(ox_attr_int(block, call, "blocksize", 0));
    if (*block < 1 || *block > INT32_MAX)
        return ox_bad_attr(call, "attribute 'blocksize' of %s is %lld", call->op->name,
                           (long long)*block);
    return OX_OK;
}

ox_status ox_decode_depth_to_space(const struct ox_call *call, void *params) {
    static const char *const modes[] = {"DCR", "CRD", NULL};
    struct ox_depth_to_space_params *p = params;
    int mode = 0;
    OX_TRY(decode_block(&p->block, call));
    if (call->opset >= 11) OX_TRY(ox_attr_choice(&mode, call, "mode", modes, 0));
    p->crd = mode == 1;
    return OX_OK;
}

ox_status ox_decode_space_to_depth(const struct ox_call *call, void *params) {
    return decode_block(&((struct ox_space_to_depth_params *)params)->block, call);
}

/* d / by, which must come out even. */
static ox_status divided(ox_dim *out, const struct ox_call *call, struct ox_infer *io, ox_dim d,
                         int64_t by) {
    if (ox_dim_is_const(d) && d.k % by != 0)
        return ox_bad_shape(call, "%s cannot cut a dim of %lld in %lld", call->op->name,
                            (long long)d.k, (long long)by);
    return ox_dim_floordiv(out, io->dims, d, ox_dim_const(by));
}

ox_status ox_infer_depth_to_space(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    int64_t block = ((const struct ox_depth_to_space_params *)params)->block;
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 4, 4));
    if (ox_in_rank(io, 0) < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), 4);
    ox_dim d[4];
    memcpy(d, io->in[0]->dims, sizeof d);
    OX_TRY(divided(&d[1], call, io, d[1], block * block));
    OX_TRY(ox_dim_mul(&d[2], io->dims, d[2], ox_dim_const(block)));
    OX_TRY(ox_dim_mul(&d[3], io->dims, d[3], ox_dim_const(block)));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 4, d);
}

ox_status ox_infer_space_to_depth(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    int64_t block = ((const struct ox_space_to_depth_params *)params)->block;
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 4, 4));
    if (ox_in_rank(io, 0) < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), 4);
    ox_dim d[4];
    memcpy(d, io->in[0]->dims, sizeof d);
    OX_TRY(ox_dim_mul(&d[1], io->dims, d[1], ox_dim_const(block * block)));
    OX_TRY(divided(&d[2], call, io, d[2], block));
    OX_TRY(divided(&d[3], call, io, d[3], block));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 4, d);
}

ox_status ox_eval_depth_to_space(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_depth_to_space_params *p = params;
    const ox_tensor *x = in[0];
    int64_t b = p->block;
    OX_TRY(ox_expect_rank(call, 0, x->rank, 4, 4));
    int64_t n = x->dims[0], depth = x->dims[1] / (b * b), h = x->dims[2], w = x->dims[3];
    if (x->dims[1] % (b * b) != 0)
        return ox_bad_shape(call, "DepthToSpace cannot cut %lld channels in blocks of %lld",
                            (long long)x->dims[1], (long long)(b * b));
    int64_t dims[4] = {n, depth, 0, 0};
    if (ox_mul_i64(&dims[2], h, b) || ox_mul_i64(&dims[3], w, b))
        return ox_bad_shape(call, "DepthToSpace makes too many elements");
    if (x->count == 0) return ox_tensor_new(&out[0], NULL, call->ctx, x->dtype, 4, dims);
    /* Output [n, depth, h, row, w, column]; in the input row and column stand in front of or behind
     * depth. */
    int64_t area = h * w, row = p->crd ? area * b : area * depth * b;
    int64_t column = p->crd ? area : area * depth, deep = p->crd ? area * b * b : area;
    struct ox_strided s = {.rank = 0};
    int64_t wide = w * b;
    ox_strided_add(&s, n, depth * h * b * wide, x->dims[1] * area);
    ox_strided_add(&s, depth, h * b * wide, deep);
    ox_strided_add(&s, h, b * wide, w);
    ox_strided_add(&s, b, wide, row);
    ox_strided_add(&s, w, b, 1);
    ox_strided_add(&s, b, 1, column);
    return copy_strided(&out[0], call, x, 4, dims, &s);
}

ox_status ox_eval_space_to_depth(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    int64_t b = ((const struct ox_space_to_depth_params *)params)->block;
    const ox_tensor *x = in[0];
    OX_TRY(ox_expect_rank(call, 0, x->rank, 4, 4));
    int64_t n = x->dims[0], c = x->dims[1], h = x->dims[2] / b, w = x->dims[3] / b;
    if (x->dims[2] % b != 0 || x->dims[3] % b != 0)
        return ox_bad_shape(call, "SpaceToDepth cannot cut %s in blocks of %lld",
                            ox_dims_text(x->rank, x->dims).text, (long long)b);
    int64_t dims[4] = {n, 0, h, w};
    if (ox_mul_i64(&dims[1], c, b * b))
        return ox_bad_shape(call, "SpaceToDepth makes too many elements");
    if (x->count == 0) return ox_tensor_new(&out[0], NULL, call->ctx, x->dtype, 4, dims);
    /* Output [n, row, column, c, h, w]. */
    int64_t area = h * w, wide = x->dims[3];
    struct ox_strided s = {.rank = 0};
    ox_strided_add(&s, n, dims[1] * area, c * x->dims[2] * wide);
    ox_strided_add(&s, b, b * c * area, wide);
    ox_strided_add(&s, b, c * area, 1);
    ox_strided_add(&s, c, area, x->dims[2] * wide);
    ox_strided_add(&s, h, w, b * wide);
    ox_strided_add(&s, w, 1, b);
    return copy_strided(&out[0], call, x, 4, dims, &s);
}
