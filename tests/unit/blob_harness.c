/* tests/unit/blob_harness.c - see blob_harness.h. */
#include "tests/unit/blob_harness.h"

#include "backend/blob/blob.h"
#include "ir/base/hash64.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD                                                                                       \
    "<ir_version: 8, opset_import: [\"\" : 17], metadata_props: [\"key\" : \"value\"], "           \
    "producer_name: \"test\"> "

const char *const blob_texts[] = {
    /* a network in small */
    HEAD "net (float[N,2,6,6] x) => (float[N,3] y)\n"
         "<float[3,2,3,3] w = "
         "{1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,-1,2,-3,4,-5,6,-7,8,-9,1,2,3,4,5,6,7,8,9,1,0,0,0,1,"
         "0,0,0,1,0,0,1,0,1,0,1,0,0}, float[3] b = {1,-1,0}>\n"
         "{ c = Conv <kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2]> (x, w, b)\n"
         "  r = Relu(c)  p = MaxPool <kernel_shape = [2,2]> (r)  g = GlobalAveragePool(p)  y = "
         "Flatten(g) }",
    /* control flow, captures, lists */
    HEAD "flow (float[2] x, bool go, int64 n) => (float[2] y, float[K,2] all, float[M] cat)\n"
         "{ z = Add(x, x)\n"
         "  y = If (go) <then_branch = t () => (float[2] a) { a = Mul(z, x) },\n"
         "               else_branch = e () => (float[2] b) { q = Neg(z)  b = If (go) <then_branch "
         "= tt () => (float[2] d) { d = Identity(q) },\n"
         "                                                                   else_branch = ee () "
         "=> (float[2] f) { f = Sub(q, x) }> }>\n"
         "  last, all = Loop (n, go, x) <body = step (int64 i, bool c, float[2] v) => (bool d, "
         "float[2] w, float[2] s)\n"
         "               { d = Identity(c)  w = Add(v, z)  s = Mul(w, x) }>\n"
         "  seq = SequenceConstruct(x, z, last)  cat = ConcatFromSequence <axis = 0> (seq) }",
    /* strings, packed elements, defaults, absent operands, attributes */
    HEAD "misc (float[3] x, float[3] limit = {1,2,3}) => (float[3] y, string[2] s, float[3] q, "
         "int64[2] k, float[1,2] e)\n"
         "<int4[3] w = {1,-2,7}, float scale = {0.5}, string[2] names = {\"alpha\", \"\"}>\n"
         "{ m = Min(x, limit)  y = Clip(m, , scale)\n"
         "  s = Identity(names)\n"
         "  d = Cast <to = 1> (w)  q = Mul(d, scale)\n"
         "  k = Constant <value_ints = [3, 4]> ()\n"
         "  dims = Constant <value = int64[2] {1, 2}> ()  e = ConstantOfShape <value = float[1] "
         "{2}> (dims) }",
    /* a scan, and a result that is an input and a constant */
    HEAD "scan (float[4,2] x, float[2] s) => (float[2] last, float[4,2] all, float[2] same, "
         "float[2] one)\n"
         "<float[2] one = {1, 1}>\n"
         "{ last, all = Scan <num_scan_inputs = 1, body = b (float[2] c, float[2] v) => (float[2] "
         "d, float[2] o) { d = Add(c, v)  o = Identity(d) }> (s, x)\n"
         "  same = Identity(s) }",
    /* steps that prepare something once: tables, trees, a pattern, n-grams; one of them in a body
     */
    "<ir_version: 8, opset_import: [\"\" : 20, \"ai.onnx.ml\" : 3]> kept (float[N,2] x) => "
    "(float[N,1] y, bool[N,2] match, float[N,3] grams, string[N,2] words)\n"
    "{ y = ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0,0,0,1], nodes_nodeids = [0,1,2,0], "
    "nodes_featureids = [1,0,0,0], nodes_truenodeids = [1,0,0,0],\n"
    "        nodes_falsenodeids = [2,0,0,0], nodes_values = [0.5,0.0,0.0,0.0], nodes_modes = "
    "[\"BRANCH_LT\",\"LEAF\",\"LEAF\",\"LEAF\"], target_nodeids = [1,2,0],\n"
    "        target_treeids = [0,0,1], target_ids = [0,0,0], target_weights = [1.0,10.0,100.0]> "
    "(x)\n"
    "  r = Round(x)  k = Cast <to = 7> (r)\n"
    "  words = ai.onnx.ml.LabelEncoder <keys_int64s = [-2,-1,0,1], values_strings = "
    "[\"minus\",\"one\",\"nil\",\"one\"], default_string = \"two\"> (k)\n"
    "  any = ReduceSum <keepdims = 0> (x)  zero = Constant <value = float {0}> ()  go = Less(any, "
    "zero)\n"
    "  match = If (go) <then_branch = t () => (bool[N,2] a) { a = RegexFullMatch <pattern = "
    "\"[mn].*\"> (words) },\n"
    "                   else_branch = e () => (bool[N,2] b) { b = RegexFullMatch <pattern = "
    "\"one|two\"> (words) }>\n"
    "  grams = TfIdfVectorizer <mode = \"TF\", min_gram_length = 1, max_gram_length = 2, "
    "max_skip_count = 1, ngram_counts = [0,1], ngram_indexes = [0,2],\n"
    "        pool_int64s = [1, -1, 0]> (k) }",
    NULL,
};

struct ox_model *blob_model(ox_ctx *ctx, const char *text) {
    struct ox_model *m;
    if (ox_text_parse(&m, ctx, text, strlen(text), "test") != OX_OK ||
        ox_model_verify(m) != OX_OK || ox_model_infer(m, NULL) != OX_OK) {
        fprintf(stderr, "no model: %s\n", text);
        abort();
    }
    return m;
}

void blob_build(unsigned char **data, size_t *size, struct ox_model *model) {
    void *p;
    if (ox_native_build(&p, size, model) != OX_OK) abort();
    *data = p;
}

static uint64_t hash(struct ox_hash64 *h, const void *data, size_t size) {
    ox_hash64_init(h);
    ox_hash64_add(h, data, size);
    return ox_hash64_end(h);
}

void blob_seal(unsigned char *data, size_t size) {
    struct ox_blob_header *head = (void *)data;
    struct ox_blob_section *table = (void *)(head + 1);
    struct ox_hash64 h;
    const size_t n = head->n_sections == OX_BLOB_N_SECTIONS &&
                             sizeof *head + OX_BLOB_N_SECTIONS * sizeof *table <= size
                         ? OX_BLOB_N_SECTIONS
                         : OX_BLOB_N_PLAIN;
    for (size_t i = 0; i < n; i++)
        if (table[i].offset <= size && table[i].size <= size - table[i].offset)
            table[i].hash = hash(&h, data + table[i].offset, (size_t)table[i].size);
    head->hash = 0;
    head->hash = hash(&h, data, sizeof *head + n * sizeof *table);
}

ox_tensor *blob_input(ox_ctx *ctx, const struct ox_port *port, uint64_t seed) {
    int64_t dims[OX_MAX_RANK];
    ox_tensor *t;
    void *data;
    if (port->dtype == OX_UNDEFINED || port->dtype == OX_STRING || port->rank < 0 ||
        ox_dtype_bits(port->dtype) < 8)
        return NULL;
    for (int i = 0; i < port->rank; i++)
        dims[i] = port->dims[i] < 0 ? 2 : port->dims[i];
    if (ox_tensor_new(&t, &data, ctx, port->dtype, port->rank, dims) != OX_OK) return NULL;
    for (size_t i = 0; i < t->count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double v = (double)(seed >> 40) * 0x1p-22 - 2;
        if (port->dtype == OX_FLOAT)
            ((float *)data)[i] = (float)v;
        else if (port->dtype == OX_INT64)
            ((int64_t *)data)[i] = 3;
        else
            memset((char *)data + i * (t->size / t->count), 0, t->size / t->count);
        if (port->dtype == OX_BOOL) ((unsigned char *)data)[i] = 1;
    }
    return t;
}

static void run_once(ox_ctx *ctx, const oxr_program *program) {
    oxr_session *session;
    struct ox_port port;
    if (oxr_session_new(&session, ctx, program, NULL) != OX_OK) return;
    ox_status s = OX_OK;
    for (size_t i = 0; oxr_input(&port, program, i) && s == OX_OK; i++) {
        ox_tensor *t = blob_input(ctx, &port, i + 1);
        if (t) s = oxr_bind(session, i, t);
        ox_tensor_unref(t);
    }
    if (s == OX_OK) s = oxr_run(session);
    for (size_t i = 0; s == OX_OK && oxr_result(session, i); i++) {
        const ox_tensor *t = oxr_result(session, i);
        volatile unsigned char sum = 0;
        if (t->dtype < OX_DTYPE_COUNT)
            for (size_t k = 0; k < t->size; k++)
                sum = (unsigned char)(sum + ((const unsigned char *)t->data)[k]);
    }
    oxr_session_free(session);
}

ox_status blob_try(ox_ctx *ctx, const unsigned char *data, size_t size) {
    oxr_program *program;
    struct oxr_step_info info;
    ox_status s = oxr_program_open_memory(&program, ctx, data, size, NULL);
    if (s != OX_OK) return s;
    for (size_t i = 0; oxr_step_info(&info, program, i); i++)
        if (strlen(info.op) + strlen(info.name) + strlen(info.why) > size) abort();
    run_once(ctx, program);
    oxr_program_free(program);
    return OX_OK;
}
