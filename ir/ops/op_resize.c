/* ir/ops/op_resize.c - what Resize and Upsample mean: parameters, sizes, types. Kernels:
 * op_resize_eval.c. */
#include "ir/ops/op_resize.h"

#include "ir/ops/op_priv.h"
#include <math.h>

/* ---- decode ---------------------------------------------------------------------------------- */

static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const coords[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                        NULL};
static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};

/* A scale must be a finite positive number. */
static ox_status check_scale(const struct ox_call *call, float scale) {
    if (scale > 0 && scale < 1e15f) return OX_OK; /* NaN fails too */
    return ox_bad_attr(call, "a scale is %g", (double)scale);
}

/* Float constants: scales and roi may be 16- or 64-bit in some versions. */
static ox_status read_float(float *out, const struct ox_call *call, const ox_tensor *t, size_t i) {
    const unsigned char *data = t->data; /* may be unaligned */
    double wide;
    uint16_t narrow;
    switch (t->dtype) {
    case OX_FLOAT:
        memcpy(out, data + 4 * i, 4);
        return OX_OK;
    case OX_DOUBLE:
        memcpy(&wide, data + 8 * i, 8);
        *out = (float)wide;
        return OX_OK;
    case OX_FLOAT16:
        memcpy(&narrow, data + 2 * i, 2);
        *out = ox_half_to_float(narrow);
        return OX_OK;
    default:
        return ox_bad_type(call, "scales or roi are of type %s", ox_dtype_name(t->dtype));
    }
}

static const ox_tensor *const_input(const struct ox_call *call, int i) {
    return i >= 0 && call->consts && (size_t)i < call->n_in ? call->consts[i] : NULL;
}

/* Whether the input is there and, as far as is known, not an empty tensor, which counts as absent.
 */
static bool is_given(const struct ox_call *call, int i) {
    if (i < 0 || (size_t)i >= call->n_in || (call->present && !call->present[i])) return false;
    return !const_input(call, i) || const_input(call, i)->count > 0;
}

static ox_status check_constants(const struct ox_call *call, const struct ox_resize_params *p) {
    const ox_tensor *scales = const_input(call, p->scales_at);
    float scale;
    for (size_t i = 0; scales && i < scales->count; i++) {
        OX_TRY(read_float(&scale, call, scales, i));
        OX_TRY(check_scale(call, scale));
    }
    for (size_t i = 0; i < p->n_scales; i++)
        OX_TRY(check_scale(call, p->scales[i]));
    return OX_OK;
}

static ox_status decode_upsample(const struct ox_call *call, struct ox_resize_params *p) {
    static const char *const words[] = {"nearest", "linear", "bilinear", NULL};
    if (call->opset >= 10)
        return ox_fail(call->ctx, OX_INVALID, "wrong-opset", NULL,
                       "Upsample was removed in opset 10, the model uses opset %d", call->opset);
    OX_TRY(ox_attr_choice(&p->mode, call, "mode", words, OX_RESIZE_NEAREST));
    if (p->mode > OX_RESIZE_LINEAR) p->mode = OX_RESIZE_LINEAR;
    if (call->opset >= 9) {
        p->scales_at = 1;
        return OX_OK;
    }
    size_t count;
    OX_TRY(ox_attr_floats(&p->scales, &count, call, "scales"));
    if (count != SIZE_MAX) {
        p->n_scales = count;
        return OX_OK;
    }
    OX_TRY(ox_attr_float(&p->two_scales[2], call, "height_scale", 0));
    OX_TRY(ox_attr_float(&p->two_scales[3], call, "width_scale", 0));
    p->two_scales[0] = p->two_scales[1] = 1;
    p->scales = p->two_scales;
    p->n_scales = 4;
    return OX_OK;
}

static ox_status decode_resize(const struct ox_call *call, struct ox_resize_params *p) {
    int64_t antialias, exclude;
    size_t count;
    OX_TRY(ox_attr_choice(&p->mode, call, "mode", modes, OX_RESIZE_NEAREST));
    if (call->opset < 11) {
        p->scales_at = 1;
        return OX_OK;
    }
    p->roi_at = 1;
    p->scales_at = 2;
    p->sizes_at = 3;
    OX_TRY(ox_attr_choice(&p->coords, call, "coordinate_transformation_mode", coords,
                          OX_COORDS_HALF_PIXEL));
    OX_TRY(ox_attr_choice(&p->nearest, call, "nearest_mode", roundings,
                          OX_NEAREST_ROUND_PREFER_FLOOR));
    OX_TRY(
        ox_attr_choice(&p->policy, call, "keep_aspect_ratio_policy", policies, OX_RESIZE_STRETCH));
    OX_TRY(ox_attr_int(&antialias, call, "antialias", 0));
    OX_TRY(ox_attr_int(&exclude, call, "exclude_outside", 0));
    OX_TRY(ox_attr_float(&p->cubic_a, call, "cubic_coeff_a", -0.75f));
    OX_TRY(ox_attr_float(&p->extrapolation, call, "extrapolation_value", 0));
    OX_TRY(ox_attr_ints(&p->axes, &count, call, "axes"));
    if (count != SIZE_MAX) p->n_axes = count;
    if (p->n_axes > OX_MAX_RANK) return ox_bad_attr(call, "axes has %zu values", p->n_axes);
    p->antialias = antialias != 0;
    p->exclude_outside = exclude != 0;
    return OX_OK;
}

ox_status ox_decode_resize(const struct ox_call *call, void *params) {
    struct ox_resize_params *p = params;
    *p = (struct ox_resize_params){.roi_at = -1,
                                   .scales_at = -1,
                                   .sizes_at = -1,
                                   .coords = OX_COORDS_ASYMMETRIC,
                                   .nearest = OX_NEAREST_SIMPLE,
                                   .cubic_a = -0.75f};
    bool upsample = strcmp(call->op->name, "Upsample") == 0;
    OX_TRY(upsample ? decode_upsample(call, p) : decode_resize(call, p));
    bool scales = p->scales || is_given(call, p->scales_at), sizes = is_given(call, p->sizes_at);
    if (!scales && !sizes)
        return ox_fail(call->ctx, OX_INVALID, "missing-input", NULL,
                       "%s has neither scales nor sizes", call->op->name);
    if (p->coords == OX_COORDS_TF_CROP_AND_RESIZE && !is_given(call, p->roi_at))
        return ox_fail(call->ctx, OX_INVALID, "missing-input", NULL,
                       "tf_crop_and_resize needs the input roi");
    bool sure = (p->scales || const_input(call, p->scales_at)) && const_input(call, p->sizes_at);
    if (scales && sizes && sure) return ox_bad_shape(call, "both scales and sizes are given");
    return check_constants(call, p);
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* Which dims are resized: list[i] is the dim that value i of scales and sizes is for. */
static ox_status list_axes(int *list, size_t *n, const struct ox_call *call,
                           const struct ox_resize_params *p, int rank) {
    bool seen[OX_MAX_RANK] = {false};
    *n = p->axes ? p->n_axes : (size_t)rank;
    for (size_t i = 0; i < *n; i++) {
        list[i] = (int)i;
        if (p->axes) OX_TRY(ox_axis(&list[i], call, "axes", p->axes[i], rank));
        if (seen[list[i]]) return ox_bad_attr(call, "axes names dim %d twice", list[i]);
        seen[list[i]] = true;
    }
    return OX_OK;
}

static ox_status set_scales(struct ox_resize_plan *plan, const struct ox_call *call,
                            const struct ox_resize_params *p, const int *list, size_t n,
                            const ox_tensor *scales) {
    size_t count = scales ? scales->count : p->n_scales;
    if (count != n || (scales && scales->rank != 1))
        return ox_bad_shape(call, "there are %zu scales, expected %zu", count, n);
    for (size_t i = 0; i < n; i++) {
        int d = list[i];
        float scale = scales ? 0 : p->scales[i];
        if (scales) OX_TRY(read_float(&scale, call, scales, i));
        OX_TRY(check_scale(call, scale));
        plan->scale[d] = scale;
        float extent = (float)plan->in[d];
        if (p->coords == OX_COORDS_TF_CROP_AND_RESIZE)
            extent *= plan->roi_end[d] - plan->roi_start[d];
        float out = floorf(extent * scale);
        if (!(out >= 0 && out < 0x1p62f))
            return ox_bad_shape(call, "dim %d of %lld becomes %g", d, (long long)plan->in[d],
                                (double)out);
        plan->out[d] = (int64_t)out;
    }
    return OX_OK;
}

static ox_status set_sizes(struct ox_resize_plan *plan, const struct ox_call *call,
                           const struct ox_resize_params *p, const int *list, size_t n,
                           const ox_tensor *sizes) {
    int64_t *values;
    size_t count;
    OX_TRY(ox_tensor_ints(&values, &count, call->ctx, sizes));
    ox_status status = OX_OK;
    if (count != n) status = ox_bad_shape(call, "there are %zu sizes, expected %zu", count, n);
    float common = 0;
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        int d = list[i];
        if (values[i] < 0 || values[i] > (int64_t)1 << 60) {
            status = ox_bad_shape(call, "size %zu is %lld", i, (long long)values[i]);
        } else if (plan->in[d] == 0 && values[i] > 0) {
            status = ox_bad_shape(call, "dim %d is empty and cannot become %lld", d,
                                  (long long)values[i]);
        } else {
            plan->out[d] = values[i];
            plan->scale[d] = plan->in[d] ? (float)values[i] / (float)plan->in[d] : 1;
            bool less = p->policy == OX_RESIZE_NOT_LARGER;
            if (i == 0 || (less ? plan->scale[d] < common : plan->scale[d] > common))
                common = plan->scale[d];
        }
    }
    for (size_t i = 0; status == OX_OK && p->policy != OX_RESIZE_STRETCH && i < n; i++) {
        int d = list[i];
        double extent = (double)common * (double)plan->in[d];
        if (extent > 0x1p60) {
            status = ox_bad_shape(call, "dim %d becomes %g", d, extent);
        } else {
            plan->scale[d] = common;
            plan->out[d] = (int64_t)floorf(common * (float)plan->in[d] + 0.5f);
        }
    }
    ox_free(call->ctx, values);
    return status;
}

ox_status ox_resize_plan(struct ox_resize_plan *plan, const struct ox_call *call,
                         const struct ox_resize_params *p, int rank, const int64_t *dims,
                         const ox_tensor *roi, const ox_tensor *scales, const ox_tensor *sizes) {
    int list[OX_MAX_RANK];
    size_t n;
    OX_TRY(list_axes(list, &n, call, p, rank));
    plan->rank = rank;
    for (int d = 0; d < rank; d++) {
        plan->in[d] = plan->out[d] = dims[d];
        plan->scale[d] = plan->roi_end[d] = 1;
        plan->roi_start[d] = 0;
    }
    if (p->coords == OX_COORDS_TF_CROP_AND_RESIZE) {
        if (!roi || roi->count != 2 * n)
            return ox_bad_shape(call, "roi has %zu values, expected %zu", roi ? roi->count : 0,
                                2 * n);
        for (size_t i = 0; i < n; i++) {
            float *start = &plan->roi_start[list[i]], *end = &plan->roi_end[list[i]];
            OX_TRY(read_float(start, call, roi, i));
            OX_TRY(read_float(end, call, roi, n + i));
            if (!isfinite(*start) || !isfinite(*end))
                return ox_bad_attr(call, "roi is [%g, %g]", (double)*start, (double)*end);
        }
    }
    if (scales && scales->count == 0) scales = NULL;
    if (sizes && sizes->count == 0 && n > 0) sizes = NULL;
    if ((scales || p->scales) && sizes)
        return ox_bad_shape(call, "both scales and sizes are given");
    if (!scales && !p->scales && !sizes)
        return ox_fail(call->ctx, OX_INVALID, "missing-input", NULL,
                       "%s has neither scales nor sizes", call->op->name);
    if (sizes)
        OX_TRY(set_sizes(plan, call, p, list, n, sizes));
    else
        OX_TRY(set_scales(plan, call, p, list, n, scales));
    size_t count, bytes;
    if (ox_shape_size(&count, &bytes, OX_UINT8, rank, plan->out))
        return ox_bad_shape(call, "the output %s is too large", ox_dims_text(rank, plan->out).text);
    return OX_OK;
}

/* ---- infer ----------------------------------------------------------------------------------- */

/* A symbolic dim times a scale, where that is exact; else unknown. */
static ox_status scaled_dim(ox_dim *out, struct ox_infer *io, ox_dim in, float scale) {
    if (scale == 1) {
        *out = in;
        return OX_OK;
    }
    if (scale >= 1 && scale < 0x1p23f && scale == floorf(scale))
        return ox_dim_mul(out, io->dims, in, ox_dim_const((int64_t)scale));
    float inverse = 1 / scale; /* exact for powers of two only */
    if (scale < 1 && inverse < 0x1p23f && inverse == floorf(inverse) &&
        ((int64_t)inverse & ((int64_t)inverse - 1)) == 0)
        return ox_dim_floordiv(out, io->dims, in, ox_dim_const((int64_t)inverse));
    return ox_dim_unknown(out, io->dims);
}

/* Dims one by one, where not all is known. */
static ox_status infer_partly(const struct ox_call *call, const struct ox_resize_params *p,
                              struct ox_infer *io, int rank, ox_dim *out) {
    int list[OX_MAX_RANK];
    size_t n;
    OX_TRY(list_axes(list, &n, call, p, rank));
    const ox_tensor *scales = const_input(call, p->scales_at);
    const struct ox_partial *sizes = NULL;
    if (p->sizes_at >= 0 && (size_t)p->sizes_at < call->n_in && io->in_values)
        sizes = io->in_values[p->sizes_at];
    if (scales && scales->count == 0) scales = NULL;
    if (sizes && sizes->count == 0) sizes = NULL;
    size_t n_scales = scales ? scales->count : p->n_scales;
    if ((n_scales && n_scales != n) || (sizes && sizes->count != n))
        return ox_bad_shape(call, "there are %zu scales or sizes, expected %zu",
                            n_scales ? n_scales : sizes->count, n);
    bool crop = p->coords == OX_COORDS_TF_CROP_AND_RESIZE;
    for (size_t i = 0; i < n; i++) {
        int d = list[i];
        ox_dim in = out[d];
        OX_TRY(ox_dim_unknown(&out[d], io->dims));
        if (n_scales && !crop) {
            float scale = scales ? 0 : p->scales[i];
            if (scales) OX_TRY(read_float(&scale, call, scales, i));
            OX_TRY(scaled_dim(&out[d], io, in, scale));
        } else if (!n_scales && sizes && p->policy == OX_RESIZE_STRETCH) {
            if (ox_dim_ge(sizes->elems[i], 0)) out[d] = sizes->elems[i];
        }
    }
    return OX_OK;
}

ox_status ox_infer_resize(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_resize_params *p = params;
    ox_dtype dtype = ox_in_dtype(io, 0);
    int rank = ox_in_rank(io, 0);
    if (rank < 0) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    ox_dim dims[OX_MAX_RANK];
    int64_t numbers[OX_MAX_RANK];
    bool known = true;
    for (int d = 0; d < rank; d++) {
        dims[d] = io->in[0]->dims[d];
        numbers[d] = dims[d].k;
        known = known && ox_dim_is_const(dims[d]);
    }
    const ox_tensor *roi = const_input(call, p->roi_at), *scales = const_input(call, p->scales_at);
    const ox_tensor *sizes = const_input(call, p->sizes_at);
    bool all_roi = p->coords != OX_COORDS_TF_CROP_AND_RESIZE || roi;
    /* an input that is there but not constant may turn out to be empty or not */
    bool all = p->scales || ((!is_given(call, p->scales_at) || scales) &&
                             (!is_given(call, p->sizes_at) || sizes));
    if (!known || !all_roi || !all) {
        OX_TRY(infer_partly(call, p, io, rank, dims));
        return ox_infer_tensor(io, 0, dtype, rank, dims);
    }
    struct ox_resize_plan plan;
    OX_TRY(ox_resize_plan(&plan, call, p, rank, numbers, roi, scales, sizes));
    for (int d = 0; d < rank; d++)
        dims[d] = ox_dim_const(plan.out[d]);
    return ox_infer_tensor(io, 0, dtype, rank, dims);
}
