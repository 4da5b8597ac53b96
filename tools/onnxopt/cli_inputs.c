/* tools/onnxopt/cli_inputs.c - see cli_inputs.h. */
#include "cli_inputs.h"

#include <math.h>
#include <string.h>

void inputs_free(ox_tensor **in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ox_tensor_unref(in[i]);
        in[i] = NULL;
    }
}

/* ---- from files ------------------------------------------------------------------------------ */

static ox_status find_input(size_t *index, const struct engine *e, const char *name,
                            const char *file) {
    size_t n = e->n_in;
    struct ox_port port;
    for (size_t i = 0; i < n; i++) {
        ox_status s = engine_input(&port, e, i);
        if (s != OX_OK) return s;
        if (strcmp(port.name, name) == 0 || (n == 1 && name[0] == 0)) {
            *index = i;
            return OX_OK;
        }
    }
    fprintf(stderr, "%s: error[no-such-input]: the model has no input named '%s'\n", file, name);
    return OX_INVALID;
}

/* What the type of an input says it is a list of; OX_UNDEFINED: it is a tensor. */
static ox_dtype list_kind(const struct ox_port *port) {
    static const struct {
        const char *begin;
        ox_dtype kind;
    } kinds[] = {{"seq(", OX_SEQUENCE}, {"optional(", OX_OPTIONAL}, {"map(", OX_MAP}};
    for (size_t i = 0; port->type_text && i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(port->type_text, kinds[i].begin, strlen(kinds[i].begin)) == 0)
            return kinds[i].kind;
    return OX_UNDEFINED;
}

/* The file of an input that is a list: it has no name of its own, so the input must be named or the
 * only one. *taken: it is such a file. */
static ox_status read_list(bool *taken, ox_tensor **in, const struct engine *e, const char *name,
                           const char *path) {
    struct ox_port port;
    size_t index = 0;
    *taken = false;
    if (!name && e->n_in != 1) return OX_OK;
    ox_status s = name ? find_input(&index, e, name, path) : OX_OK;
    if (s == OX_OK) s = engine_input(&port, e, index);
    if (s != OX_OK) return s;
    *taken = list_kind(&port) != OX_UNDEFINED;
    if (!*taken) return OX_OK;
    ox_tensor *t;
    s = ox_value_file_read(&t, e->cli->ctx, path, list_kind(&port));
    if (s != OX_OK) return s;
    ox_tensor_unref(in[index]);
    in[index] = t;
    return OX_OK;
}

/* A file of tensors; `name` (or NULL) is what its unnamed tensor is called. */
static ox_status read_file(ox_tensor **in, const struct engine *e, const char *name,
                           const char *path) {
    ox_tensor_file *file;
    bool taken;
    ox_status s = read_list(&taken, in, e, name, path);
    if (s != OX_OK || taken) return s;
    s = ox_tensor_file_open(&file, e->cli->ctx, path);
    if (s != OX_OK) return s;
    for (size_t i = 0; i < ox_tensor_file_count(file) && s == OX_OK; i++) {
        size_t index = 0;
        s = find_input(&index, e, name ? name : ox_tensor_file_name(file, i), path);
        if (s != OX_OK) break;
        ox_tensor *t;
        s = ox_tensor_file_read(&t, file, i);
        if (s != OX_OK) break;
        ox_tensor_unref(in[index]);
        in[index] = t;
    }
    ox_tensor_file_close(file);
    return s;
}

ox_status inputs_read(ox_tensor **in, const struct engine *e) {
    const struct cli *cli = e->cli;
    for (int i = 0; i < cli->n_inputs; i++) {
        const char *given = cli->inputs[i], *equals = strchr(given, '=');
        char name[256];
        size_t len = equals ? (size_t)(equals - given) : 0;
        bool named = equals && len > 0 && len < sizeof name && !memchr(given, '/', len);
        if (named) {
            memcpy(name, given, len);
            name[len] = 0;
        }
        ox_status s = read_file(in, e, named ? name : NULL, named ? equals + 1 : given);
        if (s != OX_OK) return s;
    }
    return OX_OK;
}

/* ---- from a seed ----------------------------------------------------------------------------- */

static uint64_t next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Sum of four uniform numbers, scaled to variance 1. */
static double gaussian(uint64_t *state) {
    double sum = -2;
    for (int i = 0; i < 4; i++)
        sum += (double)(next(state) >> 11) * 0x1p-53;
    return sum * 1.7320508075688772;
}

static void fill(void *data, ox_dtype dtype, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        switch (dtype) {
        case OX_FLOAT:
            ((float *)data)[i] = (float)gaussian(state);
            break;
        case OX_DOUBLE:
            ((double *)data)[i] = gaussian(state);
            break;
        case OX_FLOAT16:
            ((uint16_t *)data)[i] = (uint16_t)(0x3000 + next(state) % 0x0c00);
            break; /* 0.125 .. 1 */
        case OX_BFLOAT16:
            ((uint16_t *)data)[i] = (uint16_t)(0x3e00 + next(state) % 0x0180);
            break;
        case OX_INT64:
        case OX_UINT64:
            ((uint64_t *)data)[i] = next(state) % 10;
            break;
        case OX_INT32:
        case OX_UINT32:
            ((uint32_t *)data)[i] = (uint32_t)(next(state) % 10);
            break;
        case OX_INT16:
        case OX_UINT16:
            ((uint16_t *)data)[i] = (uint16_t)(next(state) % 10);
            break;
        case OX_INT8:
        case OX_UINT8:
            ((uint8_t *)data)[i] = (uint8_t)(next(state) % 10);
            break;
        case OX_BOOL:
            ((uint8_t *)data)[i] = (uint8_t)(next(state) & 1);
            break;
        default:
            break;
        }
    }
}

/* A symbolic dim: what --dim says of it (of a model that is applied already), else 1. */
static int64_t dim_of(const struct cli *cli, const char *symbol) {
    size_t len = symbol ? strlen(symbol) : 0;
    int64_t value;
    for (int i = 0; symbol && i < cli->n_dims; i++)
        if (strncmp(cli->dims[i], symbol, len) == 0 && cli->dims[i][len] == '=' &&
            cli_number(&value, cli, "dim", cli->dims[i] + len + 1, 0, 0, INT64_MAX))
            return value;
    return 1;
}

ox_status inputs_random(ox_tensor **in, const struct engine *e, uint64_t seed) {
    struct ox_port port;
    for (size_t i = 0; i < e->n_in; i++) {
        int64_t dims[OX_MAX_RANK];
        void *data;
        ox_status s = engine_input(&port, e, i);
        if (s != OX_OK) return s;
        if (in[i]) continue;
        if (port.dtype == OX_UNDEFINED || port.dtype == OX_STRING || port.rank < 0) {
            fprintf(stderr, "onnxopt: error[no-input]: input '%s' is %s; give it with --input\n",
                    port.name, port.type_text);
            return OX_INVALID;
        }
        for (int d = 0; d < port.rank; d++)
            dims[d] = port.dims[d] < 0 ? dim_of(e->cli, port.symbols[d]) : port.dims[d];
        s = ox_tensor_new(&in[i], &data, e->cli->ctx, port.dtype, port.rank, dims);
        if (s != OX_OK) return s;
        uint64_t state = seed * 0x2545f4914f6cdd1du + i;
        fill(data, port.dtype, in[i]->count, &state);
    }
    return OX_OK;
}

/* ---- comparing ------------------------------------------------------------------------------- */

void difference_init(struct difference *d) {
    *d = (struct difference){.low = INFINITY, .high = -INFINITY, .comparable = true};
}

static bool is_float(ox_dtype t) {
    return t == OX_FLOAT || t == OX_DOUBLE || t == OX_FLOAT16 || t == OX_BFLOAT16;
}

void difference_add(struct difference *d, const ox_tensor *a, const ox_tensor *b) {
    if (a->dtype != b->dtype || a->rank != b->rank ||
        (a->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) != 0)) {
        d->comparable = false;
        return;
    }
    d->elements += a->count;
    if (a->dtype == OX_STRING || ox_dtype_bits(a->dtype) < 8) {
        if (!ox_tensor_equal(a, b)) d->unequal++;
        return;
    }
    for (size_t i = 0; i < a->count; i++) {
        double x = ox_tensor_at(a, i), y = ox_tensor_at(b, i), e = fabs(x - y);
        if (x == y || (isnan(x) && isnan(y)))
            e = 0;
        else if (!is_float(a->dtype) || isnan(e) || isinf(e))
            d->unequal++;
        if (isfinite(x)) {
            if (x < d->low) d->low = x;
            if (x > d->high) d->high = x;
            if (fabs(x) > d->max_ref) d->max_ref = fabs(x);
            d->signal += x * x;
        }
        if (!isfinite(e)) e = (double)INFINITY; /* NaN for a number is as far away as can be */
        if (e > d->max_abs) d->max_abs = e;
        d->noise += e * e;
    }
}

double difference_sqnr(const struct difference *d) {
    if (d->noise == 0) return (double)INFINITY;
    return 10 * log10(d->signal / d->noise);
}

double difference_relative(const struct difference *d) {
    double range = d->high - d->low;
    if (d->max_abs == 0) return 0;
    return d->max_abs / (range > 0 ? range : d->max_ref > 0 ? d->max_ref : 1);
}

int64_t tensor_argmax(const ox_tensor *t) {
    int64_t best = -1;
    if (t->dtype == OX_STRING || ox_dtype_bits(t->dtype) < 8) return -1;
    for (size_t i = 0; i < t->count; i++)
        if (best < 0 || ox_tensor_at(t, i) > ox_tensor_at(t, (size_t)best)) best = (int64_t)i;
    return best;
}

size_t tensor_rank_of(const ox_tensor *t, size_t of) {
    size_t larger = 0;
    double v = ox_tensor_at(t, of);
    for (size_t i = 0; i < t->count; i++)
        if (ox_tensor_at(t, i) > v || (ox_tensor_at(t, i) == v && i < of)) larger++;
    return larger;
}
