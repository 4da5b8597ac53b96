/* ir/ops/op_conv_transpose.c - the transposed convolution's kernel.
 *
 * For a stretch of input positions, a matrix product of weights and data gives what each tap adds
 * for each output channel; these contributions are then added into the output, tap by tap.
 * Stretches bound the scratch memory; their size depends on the shape only, so sums have one order
 * for any number of threads. */
#include "ir/ops/kernel_gemm.h"
#include "ir/ops/op_conv.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"

enum { SCRATCH_FLOATS = 1 << 20 };

struct transposed {
    const struct ox_window *window;
    size_t batch, group, c, m; /* c, m: channels of a group */
    size_t in_plane, out_plane, taps;
    int rank;
    int64_t in[OX_WINDOW_MAX], out[OX_WINDOW_MAX], begin[OX_WINDOW_MAX];
    /* the stretch being added: */
    const float *cols; /* [m * taps][n] */
    float *y;          /* of the group: m planes */
    size_t first, n;   /* input positions */
};

static ox_status set_up(struct transposed *v, const struct ox_call *call,
                        const struct ox_conv_transpose_params *p, const ox_tensor *const *in,
                        ox_tensor **out) {
    const ox_tensor *x = in[0], *w = in[1];
    *v = (struct transposed){.window = &p->window, .rank = p->window.rank};
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    for (size_t i = 1; i < call->n_in; i++)
        if (in[i]) OX_TRY(ox_expect_same_dtype(call, 0, x->dtype, i, in[i]->dtype));
    if (x->rank != v->rank + 2) /* channels, kernel and bias have been checked by decode */
        return ox_bad_shape(call, "data %s with a kernel of %d dims",
                            ox_dims_text(x->rank, x->dims).text, v->rank);
    int64_t dims[OX_WINDOW_MAX + 2] = {x->dims[0], w->dims[1] * p->group};
    for (int i = 0; i < v->rank; i++) {
        v->in[i] = x->dims[i + 2];
        OX_TRY(ox_conv_transpose_dim(p, &p->window, call, i, v->in[i], &v->out[i], &v->begin[i]));
        dims[i + 2] = v->out[i];
    }
    OX_TRY(ox_tensor_new_raw(&out[0], NULL, call->ctx, x->dtype, x->rank, dims));
    v->in_plane = v->out_plane = v->taps = 1;
    for (int i = 0; i < v->rank; i++) {
        v->in_plane *= (size_t)v->in[i];
        v->out_plane *= (size_t)v->out[i];
        v->taps *= (size_t)w->dims[i + 2];
    }
    v->batch = (size_t)x->dims[0];
    v->group = (size_t)p->group;
    v->c = (size_t)w->dims[0] / v->group;
    v->m = (size_t)w->dims[1];
    return OX_OK;
}

/* Where the tap of the position's row lands in the output plane, without the last dim; false:
 * outside. */
static bool landing_row(const struct transposed *v, const int64_t *pos, const int64_t *tap,
                        int64_t *row) {
    *row = 0;
    for (int d = 0; d < v->rank - 1; d++) {
        int64_t o = pos[d] * v->window->strides[d] + tap[d] * v->window->dilations[d] - v->begin[d];
        if (o < 0 || o >= v->out[d]) return false;
        *row = *row * v->out[d] + o;
    }
    *row *= v->out[v->rank - 1];
    return true;
}

/* Adds one tap's contributions for the stretch to one output plane. */
static void add_tap(const struct transposed *v, float *y, const float *cols, const int64_t *tap) {
    int last = v->rank - 1;
    int64_t stride = v->window->strides[last], dim = v->in[last];
    int64_t pos[OX_WINDOW_MAX];
    size_t rest = v->first;
    for (int d = last; d >= 0; d--) {
        pos[d] = (int64_t)(rest % (size_t)v->in[d]);
        rest /= (size_t)v->in[d];
    }
    for (size_t j = 0; j < v->n;) {
        int64_t n = dim - pos[last], row, lo = 0, hi = 0;
        if ((size_t)n > v->n - j) n = (int64_t)(v->n - j);
        int64_t at = pos[last] * stride + tap[last] * v->window->dilations[last] - v->begin[last];
        if (landing_row(v, pos, tap, &row)) ox_window_clip(at, stride, n, v->out[last], &lo, &hi);
        if (lo < hi) {
            float *to = y + row + at + lo * stride;
            const float *from = cols + j + lo;
            for (int64_t i = 0; i < hi - lo; i++)
                to[i * stride] += from[i];
        }
        j += (size_t)n;
        pos[last] = 0;
        for (int d = last - 1; d >= 0 && ++pos[d] == v->in[d]; d--)
            pos[d] = 0;
    }
}

static void add_planes(void *arg, size_t begin, size_t end) {
    const struct transposed *v = arg;
    for (size_t m = begin; m < end; m++) {
        int64_t tap[OX_WINDOW_MAX] = {0};
        for (size_t t = 0; t < v->taps; t++) {
            add_tap(v, v->y + m * v->out_plane, v->cols + (m * v->taps + t) * v->n, tap);
            for (int d = v->rank - 1; d >= 0 && ++tap[d] == v->window->kernel[d]; d--)
                tap[d] = 0;
        }
    }
}

static void start_planes(float *y, const float *bias, size_t m, size_t plane) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < plane; j++)
            y[i * plane + j] = bias ? bias[i] : 0;
}

static ox_status run_float(struct transposed *v, ox_ctx *ctx, const float *x, const float *w,
                           const float *bias, float *y) {
    size_t rows = v->m * v->taps, step = SCRATCH_FLOATS / (rows ? rows : 1);
    if (step > v->in_plane) step = v->in_plane;
    if (step < 64) step = v->in_plane < 64 ? v->in_plane : 64;
    float *cols;
    if (rows == 0) return OX_OK;
    OX_TRY(ox_alloc_raw(ctx, &cols, rows * step, sizeof *cols));
    ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < v->batch * v->group; i++) {
        size_t g = i % v->group;
        v->cols = cols;
        v->y = y + i * v->m * v->out_plane;
        start_planes(v->y, bias ? bias + g * v->m : NULL, v->m, v->out_plane);
        for (v->first = 0; status == OX_OK && v->first < v->in_plane; v->first += v->n) {
            v->n = v->in_plane - v->first < step ? v->in_plane - v->first : step;
            struct ox_gemm product = {
                .m = rows,
                .n = v->n,
                .k = v->c,
                .a = w + g * v->c * rows,
                .a_rs = 1,
                .a_cs = rows,
                .b = x + i * v->c * v->in_plane + v->first,
                .b_rs = v->in_plane,
                .b_cs = 1,
                .c = cols,
                .c_rs = v->n,
            };
            status = ox_gemm(ctx, &product);
            if (status == OX_OK)
                ox_parallel(ctx, v->m, 1 + 20000 / (v->taps * v->n), add_planes, v);
        }
    }
    ox_free(ctx, cols);
    return status;
}

/* ---- 64-bit floats: scattered one by one ----------------------------------------------------- */

static void scatter(const struct transposed *v, double value, const double *w, double *y,
                    const int64_t *pos) {
    int64_t tap[OX_WINDOW_MAX] = {0};
    for (size_t t = 0; t < v->taps; t++) {
        int64_t at = 0;
        bool inside = true;
        for (int d = 0; inside && d < v->rank; d++) {
            int64_t o =
                pos[d] * v->window->strides[d] + tap[d] * v->window->dilations[d] - v->begin[d];
            inside = o >= 0 && o < v->out[d];
            at = at * v->out[d] + o;
        }
        if (inside) y[at] += value * w[t];
        for (int d = v->rank - 1; d >= 0 && ++tap[d] == v->window->kernel[d]; d--)
            tap[d] = 0;
    }
}

static void run_double(const struct transposed *v, const double *x, const double *w,
                       const double *bias, double *y) {
    size_t all_m = v->group * v->m;
    for (size_t p = 0; p < v->batch * all_m; p++, y += v->out_plane) {
        size_t b = p / all_m, m = p % all_m, g = m / v->m;
        for (size_t j = 0; j < v->out_plane; j++)
            y[j] = bias ? bias[m] : 0;
        for (size_t c = 0; c < v->c; c++) {
            const double *plane = x + ((b * v->group + g) * v->c + c) * v->in_plane;
            const double *kernel = w + ((g * v->c + c) * v->m + m % v->m) * v->taps;
            int64_t pos[OX_WINDOW_MAX] = {0};
            for (size_t j = 0; j < v->in_plane; j++) {
                scatter(v, plane[j], kernel, y, pos);
                for (int d = v->rank - 1; d >= 0 && ++pos[d] == v->in[d]; d--)
                    pos[d] = 0;
            }
        }
    }
}

ox_status ox_eval_conv_transpose(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    if (ox_is_narrow(in[0]->dtype))
        return ox_eval_wide(ox_eval_conv_transpose, call, params, in, out, 1);
    struct transposed v;
    OX_TRY(set_up(&v, call, params, in, out));
    if (out[0]->count == 0) return OX_OK;
    const ox_tensor *bias = call->n_in > 2 ? in[2] : NULL;
    void *y = (void *)(uintptr_t)out[0]->data; /* not shared yet */
    if (out[0]->dtype == OX_DOUBLE) {
        run_double(&v, ox_elements(in[0]), ox_elements(in[1]), bias ? bias->data : NULL, y);
        return OX_OK;
    }
    return run_float(&v, call->ctx, ox_elements(in[0]), ox_elements(in[1]),
                     bias ? bias->data : NULL, y);
}
