/* conf_data.c - the tensors beside a model: recorded ones, the official runner's ramp, or made-up
 * ones. */
#include "conf.h"

#include "frontend/reader_priv.h"
#include <onnxopt/load.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool is_there(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

size_t conf_data_sets(const struct conf_case *c) {
    size_t n = 0;
    while (c->data) {
        char *folder = conf_format("%s/test_data_set_%zu", c->data, n);
        bool there = is_there(folder);
        free(folder);
        if (!there) break;
        n++;
    }
    return n ? n : 1;
}

void conf_tensors_free(struct conf_tensors *t) {
    for (size_t i = 0; i < t->n; i++)
        ox_tensor_unref(t->at[i]);
    free(t->at);
    *t = (struct conf_tensors){0};
}

static void add(struct conf_tensors *t, ox_tensor *tensor) {
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->at = conf_realloc(t->at, t->cap * sizeof(ox_tensor *));
    }
    t->at[t->n++] = tensor;
}

/* Old releases of the data store bfloat16, for which NumPy has no type, as the same bits of uint16:
 * the model knows better. (Recorded outputs stay as they are: conf_compare knows.) */
static ox_status retype(ox_tensor **tensor, ox_ctx *ctx, ox_dtype declared) {
    const ox_tensor *t = *tensor;
    ox_tensor *again;
    if (t->dtype != OX_UINT16 || declared != OX_BFLOAT16) return OX_OK;
    OX_TRY(ox_tensor_copy(&again, ctx, declared, t->rank, t->dims, t->data, t->size));
    ox_tensor_unref(*tensor);
    *tensor = again;
    return OX_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static ox_status read_file(ox_tensor **out, ox_ctx *ctx, const char *path, ox_dtype declared) {
    ox_tensor_file *file;
    OX_TRY(ox_tensor_file_open(&file, ctx, path));
    ox_status s = ox_tensor_file_read(out, file, 0);
    ox_tensor_file_close(file);
    return s == OX_OK ? retype(out, ctx, declared) : s;
}

static ox_dtype list_kind(const struct ox_type *type) {
    return type->kind == OX_TYPE_SEQUENCE   ? OX_SEQUENCE
           : type->kind == OX_TYPE_OPTIONAL ? OX_OPTIONAL
           : type->kind == OX_TYPE_MAP      ? OX_MAP
                                            : OX_UNDEFINED;
}

/* The input behind a port. */
static const struct ox_value *nth_input(const struct ox_model *model, size_t port) {
    const struct ox_graph *g = model->graph;
    size_t i = 0;
    while (ox_value_const(g->inputs[i]) || port-- > 0)
        i++;
    return g->inputs[i];
}

/* PATH_0.pb, PATH_1.pb, ... one for each input or output; those that are missing are absent. */
static ox_status read_files(struct conf_tensors *t, struct ox_model *model, const char *path,
                            bool outputs) {
    size_t count = outputs ? ox_model_outputs(model) : ox_model_inputs(model);
    for (size_t i = 0; i < count; i++) {
        struct ox_port port;
        ox_tensor *tensor = NULL;
        OX_TRY(outputs ? ox_model_output(&port, model, i) : ox_model_input(&port, model, i));
        char *file = conf_format("%s_%zu.pb", path, i);
        ox_dtype list =
            list_kind(outputs ? model->graph->outputs[i].type : nth_input(model, i)->type);
        ox_status s = OX_OK;
        if (is_there(file) && list)
            s = ox_value_file_read(&tensor, ox_model_ctx(model), file, list);
        else if (is_there(file))
            s = read_file(&tensor, ox_model_ctx(model), file, outputs ? OX_UNDEFINED : port.dtype);
        free(file);
        if (tensor) add(t, tensor);
        OX_TRY(s);
        if (!tensor) add(t, NULL);
    }
    return OX_OK;
}

static uint64_t next_random(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Element i of n of a made-up input: the ramp i / n, or a number in [0, 1). Integers are 0 or 1,
 * which serve as indices too. */
static void fill(void *data, ox_dtype dtype, size_t n, bool ramp, uint64_t *seed) {
    for (size_t i = 0; i < n; i++) {
        double v = ramp ? (double)i / (double)n : (double)(next_random(seed) >> 11) * 0x1p-53;
        float f = (float)v;
        uint16_t h = dtype == OX_BFLOAT16 ? ox_float_to_bfloat16(f) : ox_float_to_half(f);
        size_t size = (size_t)ox_dtype_bits(dtype) / 8;
        if (dtype == OX_FLOAT)
            memcpy((char *)data + 4 * i, &f, 4);
        else if (dtype == OX_DOUBLE)
            memcpy((char *)data + 8 * i, &v, 8);
        else if (dtype == OX_FLOAT16 || dtype == OX_BFLOAT16)
            memcpy((char *)data + 2 * i, &h, 2);
        else if (ox_dtype_is_integer(dtype) || dtype == OX_BOOL)
            ((char *)data)[i * size] = v >= 0.5; /* little endian */
    }
}

static ox_status make_up(struct conf_tensors *t, struct ox_model *model, bool ramp) {
    uint64_t seed = 1;
    for (size_t i = 0; i < ox_model_inputs(model); i++) {
        struct ox_port port;
        int64_t dims[OX_MAX_RANK];
        ox_tensor *tensor;
        void *data;
        OX_TRY(ox_model_input(&port, model, i));
        if (port.dtype == OX_UNDEFINED || port.rank < 0 ||
            (port.dtype != OX_BOOL && ox_dtype_bits(port.dtype) < 8))
            return ox_fail(ox_model_ctx(model), OX_UNSUPPORTED, "no-data", NULL,
                           "no data, and none can be made up for input %s", port.name);
        for (int d = 0; d < port.rank; d++)
            dims[d] = port.dims[d] < 0 ? (ramp ? 1 : 2) : port.dims[d];
        OX_TRY(ox_tensor_new(&tensor, &data, ox_model_ctx(model), port.dtype, port.rank, dims));
        fill(data, port.dtype, tensor->count, ramp, &seed);
        add(t, tensor);
    }
    return OX_OK;
}

ox_status conf_data_load(struct conf_tensors *in, struct conf_tensors *out,
                         const struct conf_case *c, size_t set, struct ox_model *model) {
    if (!c->data) {
        OX_TRY(make_up(in, model, c->light != NULL));
        if (!c->light) return OX_OK;
        char *path = conf_format("%s_output", c->light);
        ox_status s = read_files(out, model, path, true);
        free(path);
        return s;
    }
    char *path = conf_format("%s/test_data_set_%zu/input", c->data, set);
    ox_status s = read_files(in, model, path, false);
    free(path);
    OX_TRY(s);
    path = conf_format("%s/test_data_set_%zu/output", c->data, set);
    s = read_files(out, model, path, true);
    free(path);
    return s;
}

/* ---- running --------------------------------------------------------------------------------- */

ox_status conf_execute(struct conf_tensors *out, struct ox_model *model,
                       const struct conf_tensors *in, struct conf_watch *watch) {
    struct ox_graph *g = model->graph;
    struct ox_runner runner;
    OX_TRY(ox_exec_new(&runner, model));
    const ox_tensor **given = conf_realloc(NULL, g->n_inputs * sizeof *given);
    size_t port = 0;
    for (size_t i = 0; i < g->n_inputs; i++)
        given[i] = ox_value_const(g->inputs[i]) ? NULL : port < in->n ? in->at[port++] : NULL;
    out->n = out->cap = ox_model_outputs(model);
    out->at = conf_realloc(NULL, out->n * sizeof(ox_tensor *));
    memset(out->at, 0, out->n * sizeof(ox_tensor *));
    ox_status s = runner.run(runner.self, given, out->at, conf_watch_value, watch);
    runner.free(runner.self);
    free(given);
    return s;
}
