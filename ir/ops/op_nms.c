/* ir/ops/op_nms.c - NonMaxSuppression: of boxes that overlap much, the one with the best score. */
#include "ir/ops/op_priv.h"

ox_status ox_decode_nms(const struct ox_call *call, void *params) {
    int64_t center;
    OX_TRY(ox_attr_int(&center, call, "center_point_box", 0));
    if (center != 0 && center != 1)
        return ox_bad_attr(call, "attribute 'center_point_box' is %lld", (long long)center);
    ((struct ox_nms_params *)params)->center = center == 1;
    return OX_OK;
}

ox_status ox_infer_nms(const struct ox_call *call, const void *params, struct ox_infer *io) {
    ox_dim dims[2] = {{0, NULL}, {3, NULL}};
    (void)params;
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 3, 3));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 3, 3));
    OX_TRY(ox_dim_unknown(&dims[0], io->dims));
    io->why = "how many boxes are kept depends on data";
    return ox_infer_tensor(io, 0, OX_INT64, 2, dims);
}

struct box {
    float y1, x1, y2, x2;
};

static struct box box_of(const float *b, bool center) {
    if (center)
        return (struct box){b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2};
    /* Any two opposite corners. */
    return (struct box){b[0] < b[2] ? b[0] : b[2], b[1] < b[3] ? b[1] : b[3],
                        b[0] < b[2] ? b[2] : b[0], b[1] < b[3] ? b[3] : b[1]};
}

static float area(struct box b) {
    return (b.y2 - b.y1) * (b.x2 - b.x1);
}

/* Intersection over union above the threshold? */
static bool overlap(struct box a, struct box b, float threshold) {
    float y = (a.y2 < b.y2 ? a.y2 : b.y2) - (a.y1 > b.y1 ? a.y1 : b.y1);
    float x = (a.x2 < b.x2 ? a.x2 : b.x2) - (a.x1 > b.x1 ? a.x1 : b.x1);
    if (!(y > 0 && x > 0)) return false;
    float both = y * x, any = area(a) + area(b) - both;
    return any > 0 && both / any > threshold;
}

struct nms {
    const float *boxes, *scores; /* of one image; of one class */
    int64_t n, most;
    float iou, score;
    bool center, has_score;
    int64_t *order, *room;
};

/* Candidates by falling score, equal ones by number: merge sort, bottom up. */
static size_t sort_candidates(struct nms *s) {
    size_t n = 0;
    for (int64_t i = 0; i < s->n; i++) /* a NaN is no score */
        if (s->scores[i] == s->scores[i] && (!s->has_score || s->scores[i] > s->score))
            s->order[n++] = i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            size_t mid = low + width < n ? low + width : n,
                   high = mid + width < n ? mid + width : n;
            size_t i = low, j = mid;
            for (size_t k = low; k < high; k++) {
                bool left =
                    j == high || (i < mid && s->scores[s->order[i]] >= s->scores[s->order[j]]);
                s->room[k] = s->order[left ? i++ : j++];
            }
        }
        memcpy(s->order, s->room, n * sizeof *s->order);
    }
    return n;
}

/* Moves what is kept to the front of the order; returns how many. */
static size_t suppress(struct nms *s) {
    size_t n = sort_candidates(s), kept = 0;
    for (size_t i = 0; i < n && (int64_t)kept < s->most; i++) {
        struct box b = box_of(s->boxes + 4 * s->order[i], s->center);
        bool keep = true;
        for (size_t k = 0; keep && k < kept; k++)
            keep = !overlap(b, box_of(s->boxes + 4 * s->order[k], s->center), s->iou);
        if (keep) s->order[kept++] = s->order[i];
    }
    return kept;
}

static ox_status read_number(float *out, const struct ox_call *call, const ox_tensor *t,
                             const char *what) {
    if (t->dtype != OX_FLOAT || t->count != 1)
        return ox_bad_shape(call, "the %s of NonMaxSuppression must be one float", what);
    *out = *(const float *)t->data;
    return OX_OK;
}

static ox_status read_inputs(struct nms *s, const struct ox_call *call,
                             const ox_tensor *const *in) {
    const ox_tensor *boxes = in[0], *scores = in[1];
    OX_TRY(ox_expect_dtype(call, 0, boxes->dtype, OX_BIT(OX_FLOAT)));
    OX_TRY(ox_expect_dtype(call, 1, scores->dtype, OX_BIT(OX_FLOAT)));
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2])
        return ox_bad_shape(call, "NonMaxSuppression of boxes %s with scores %s",
                            ox_dims_text(boxes->rank, boxes->dims).text,
                            ox_dims_text(scores->rank, scores->dims).text);
    s->n = boxes->dims[1];
    if (call->n_in > 2 && in[2])
        OX_TRY(ox_scalar_int(&s->most, call, "the number of boxes", in[2]));
    if (call->n_in > 3 && in[3]) OX_TRY(read_number(&s->iou, call, in[3], "overlap"));
    s->has_score = call->n_in > 4 && in[4];
    if (s->has_score) OX_TRY(read_number(&s->score, call, in[4], "least score"));
    return OX_OK;
}

/* Appends (image, class, box) for what is kept of every class of every image. */
static ox_status collect(int64_t **list, size_t *n, const struct ox_call *call, struct nms *s,
                         const ox_tensor *const *in) {
    size_t cap = 0;
    int64_t classes = in[1]->dims[1];
    *list = NULL;
    *n = 0;
    for (int64_t pair = 0; s->n > 0 && pair < in[1]->dims[0] * classes; pair++) {
        s->boxes = (const float *)in[0]->data + pair / classes * s->n * 4;
        s->scores = (const float *)in[1]->data + pair * s->n;
        size_t kept = suppress(s);
        for (size_t k = 0; k < kept; k++) {
            const int64_t entry[3] = {pair / classes, pair % classes, s->order[k]};
            for (int e = 0; e < 3; e++, (*n)++) {
                OX_TRY(OX_GROW(call->ctx, *list, *n, cap));
                (*list)[*n] = entry[e];
            }
        }
    }
    return OX_OK;
}

ox_status ox_eval_nms(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    struct nms s = {.center = ((const struct ox_nms_params *)params)->center};
    int64_t *list;
    size_t n;
    OX_TRY(read_inputs(&s, call, in));
    OX_TRY(ox_alloc_raw(call->ctx, &s.order, (size_t)s.n, 2 * sizeof *s.order));
    s.room = s.order + s.n;
    ox_status status = collect(&list, &n, call, &s, in);
    if (status == OX_OK) {
        int64_t dims[2] = {(int64_t)(n / 3), 3};
        status = ox_tensor_copy(&out[0], call->ctx, OX_INT64, 2, dims, list, n * sizeof *list);
    }
    ox_free(call->ctx, list);
    ox_free(call->ctx, s.order);
    return status;
}
