/* tools/onnxopt/cmd_eval.c - `eval`: accuracy on labelled samples, and distance to a reference
 * model.
 *
 * The first output is read as scores of classes; a single integer is read as the class itself. */
#include "cli_inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct score {
    size_t labelled, top1, top5, agree; /* agree: same class as the reference model */
    struct difference difference;       /* of the first output */
};

struct eval {
    struct cli *cli;
    struct engine model, reference;
    struct ox_dataset data;
    ox_tensor **in, **out, **reference_out;
    struct score score, reference_score;
    size_t n_out;
};

static bool is_class(const ox_tensor *t) {
    return t->count == 1 && ox_dtype_is_integer(t->dtype);
}

static int64_t predicted(const ox_tensor *t) {
    if (!is_class(t)) return tensor_argmax(t);
    if (t->dtype == OX_INT64) return *(const int64_t *)t->data;
    if (t->dtype == OX_INT32) return *(const int32_t *)t->data;
    return -1;
}

static void add_label(struct score *s, const ox_tensor *out, int64_t label) {
    if (label < 0) return;
    s->labelled++;
    bool hit = predicted(out) == label;
    s->top1 += hit;
    s->top5 += is_class(out)
                   ? hit
                   : (uint64_t)label < out->count && tensor_rank_of(out, (size_t)label) < 5;
}

static ox_status one_sample(struct eval *e, size_t index) {
    int64_t label = -1;
    ox_status s = e->data.sample(e->data.self, index, e->in, &label);
    if (s == OX_OK) s = engine_run(&e->model, (const ox_tensor *const *)e->in, e->out);
    if (s == OX_OK) add_label(&e->score, e->out[0], label);
    if (s == OX_OK && e->cli->flag.against) {
        s = engine_run(&e->reference, (const ox_tensor *const *)e->in, e->reference_out);
        if (s == OX_OK) {
            add_label(&e->reference_score, e->reference_out[0], label);
            difference_add(&e->score.difference, e->reference_out[0], e->out[0]);
            e->score.agree += predicted(e->out[0]) == predicted(e->reference_out[0]);
        }
        inputs_free(e->reference_out, e->n_out);
    }
    inputs_free(e->in, e->data.n_inputs);
    inputs_free(e->out, e->n_out);
    return s;
}

static double percent(size_t part, size_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : (double)NAN;
}

static json_t *score_json(const struct score *s) {
    return json_pack("{s:I, s:f, s:f}", "labelled", (json_int_t)s->labelled, "top1",
                     percent(s->top1, s->labelled), "top5", percent(s->top5, s->labelled));
}

static int print_json(const struct eval *e, size_t n) {
    const struct difference *d = &e->score.difference;
    json_t *json = json_pack("{s:s, s:I}", "model", e->cli->args[0], "samples", (json_int_t)n);
    if (e->score.labelled) json_object_set_new(json, "accuracy", score_json(&e->score));
    if (e->cli->flag.against) {
        json_t *r = json_pack("{s:s, s:o, s:b, s:o, s:o}", "model", e->cli->flag.against,
                              "agreement", cli_json_number(percent(e->score.agree, n)),
                              "comparable", d->comparable, "max_abs", cli_json_number(d->max_abs),
                              "sqnr_db", cli_json_number(difference_sqnr(d)));
        if (e->reference_score.labelled)
            json_object_set_new(r, "accuracy", score_json(&e->reference_score));
        json_object_set_new(json, "against", r);
    }
    return cli_print_json(e->cli, json);
}

static void print_score(FILE *f, const char *model, const struct score *s) {
    fprintf(f, "%s: top-1 %.2f %% (%zu of %zu), top-5 %.2f %%\n", model,
            percent(s->top1, s->labelled), s->top1, s->labelled, percent(s->top5, s->labelled));
}

static int print(const struct eval *e, size_t n) {
    FILE *f = e->cli->out;
    const struct difference *d = &e->score.difference;
    if (e->cli->flag.json) return print_json(e, n);
    if (e->score.labelled) print_score(f, e->cli->args[0], &e->score);
    if (!e->cli->flag.against) return 0;
    if (e->reference_score.labelled) print_score(f, e->cli->flag.against, &e->reference_score);
    if (!d->comparable)
        fprintf(f, "outputs differ in type or shape\n");
    else
        fprintf(f,
                "against %s on %zu samples: largest difference %.4g (%.3g of the range), SQNR %.1f "
                "dB, same class %.2f %%\n",
                e->cli->flag.against, n, d->max_abs, difference_relative(d), difference_sqnr(d),
                percent(e->score.agree, n));
    return 0;
}

static ox_status prepare(struct eval *e) {
    ox_status s = engine_open(&e->model, e->cli, e->cli->args[0]);
    if (s == OX_OK && e->cli->flag.against)
        s = engine_open(&e->reference, e->cli, e->cli->flag.against);
    if (s == OX_OK) s = engine_prepare(&e->model);
    if (s == OX_OK && e->cli->flag.against) s = engine_prepare(&e->reference);
    if (s == OX_OK) s = engine_dataset(&e->data, &e->model, e->cli->args[1], 0);
    if (s != OX_OK) return s;
    e->n_out = e->model.n_out;
    if (e->n_out == 0 || (e->cli->flag.against &&
                          (e->reference.n_out != e->n_out || e->reference.n_in != e->model.n_in))) {
        fprintf(stderr, "onnxopt: error[other-interface]: the models differ in their inputs or "
                        "outputs, or have no outputs\n");
        return OX_INVALID;
    }
    e->in = calloc(e->data.n_inputs + 1, sizeof(ox_tensor *));
    e->out = calloc(e->n_out, sizeof(ox_tensor *));
    e->reference_out = calloc(e->n_out, sizeof(ox_tensor *));
    return e->in && e->out && e->reference_out ? OX_OK : OX_NOMEM;
}

static int evaluate(struct eval *e) {
    ox_status s = prepare(e);
    for (size_t i = 0; i < e->data.count && s == OX_OK; i++)
        s = one_sample(e, i);
    if (s != OX_OK) return (int)s;
    if (e->score.labelled == 0 && !e->cli->flag.against) {
        fprintf(
            stderr,
            "%s: error[no-labels]: the data has no labels; name a reference model with --against\n",
            e->cli->args[1]);
        return OX_INVALID;
    }
    return print(e, e->data.count);
}

int cmd_eval(struct cli *cli) {
    struct eval e = {.cli = cli};
    difference_init(&e.score.difference);
    int code = evaluate(&e);
    if (e.data.free) e.data.free(e.data.self);
    engine_close(&e.model);
    engine_close(&e.reference);
    free(e.in);
    free(e.out);
    free(e.reference_out);
    return code;
}
