/* backend/native/lower_chain.c - trees of elementwise float operators whose inner results nobody
 * else reads become one step each, which passes over memory once. What goes better into a product
 * in front of it (a bias, an activation) is left to that. */
#include "backend/native/lower_util.h"

struct chain {
    struct ox_lower *lo;
    const struct ox_value *root;
    struct ox_step_chain_params p;
    const struct ox_value *in[OX_STEP_CHAIN_INPUTS];
    size_t n_in;
    uint32_t begun; /* operators that are in it or will be */
};

/* What a node is in a chain. */
struct link {
    unsigned n_ops; /* 1; 2 of Clip by two bounds */
    struct ox_step_chain_op ops[2];
    float bounds[2]; /* of Clip: operand b of each */
    bool clip;
};

static const struct {
    const char *type;
    uint8_t op, arity;
} known[] = {
#define X(number, name) {#name, number, 1},
    OX_STEP_CHAIN_UNARY(X)
#undef X
#define X(number, name) {#name, number, 2},
        OX_STEP_CHAIN_BINARY(X) OX_STEP_CHAIN_VARIADIC(X)
#undef X
};

static uint8_t code_of(const char *type) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].type, type) == 0) return known[i].op;
    return 0;
}

static bool is_float(const struct ox_value *v) {
    return ox_lower_dtype(v) == OX_FLOAT && ox_lower_rank(v) >= 0 &&
           ox_lower_rank(v) <= OX_STEP_RANK_MAX;
}

static bool same_dims(const struct ox_value *a, const struct ox_value *b) {
    if (ox_lower_rank(a) != ox_lower_rank(b)) return false;
    for (int i = 0; i < ox_lower_rank(a); i++)
        if (!ox_dim_same(a->type->dims[i], b->type->dims[i])) return false;
    return true;
}

static bool look_clip(struct link *l, struct ox_lower *lo, const struct ox_node *node) {
    float low, high;
    if (!ox_lower_bounds(&low, &high, lo, node)) return false;
    l->clip = true;
    if (low > -INFINITY) {
        l->bounds[l->n_ops] = low;
        l->ops[l->n_ops++].op = code_of("Max");
    }
    if (high < INFINITY) {
        l->bounds[l->n_ops] = high;
        l->ops[l->n_ops++].op = code_of("Min");
    }
    return l->n_ops > 0;
}

/* False: the node has no place in a chain. */
static bool look(struct link *l, struct ox_lower *lo, const struct ox_node *node) {
    union ox_lower_room room;
    const struct ox_unary_params *u = (const void *)room.bytes;
    *l = (struct link){0};
    if (!node->op || node->op->domain[0] != 0 || ox_node_opset(node) < 8 || node->n_out != 1 ||
        !is_float(node->out[0]) || !is_float(ox_node_in(node, 0)))
        return false;
    if (ox_node_is(node, "Clip")) return look_clip(l, lo, node);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!ox_node_is(node, known[i].type)) continue;
        if (node->n_in != known[i].arity || (node->n_in == 2 && !is_float(ox_node_in(node, 1))))
            return false;
        l->n_ops = 1;
        l->ops[0].op = known[i].op;
        if (known[i].arity == 2) return true;
        if (!ox_lower_decode(&room, lo, node) || !isfinite(u->alpha) || !isfinite(u->beta))
            return false;
        l->ops[0].alpha = u->alpha;
        l->ops[0].beta = u->beta;
        l->ops[0].mode = ox_node_is(node, "Gelu") && u->mode ? 1 : 0;
        return true;
    }
    return false;
}

/* A product or normalization in front takes this operator along. */
static bool goes_along(struct ox_lower *lo, const struct ox_node *node) {
    enum { PRODUCTS = 3 /* take any activation */ };
    static const char *const makers[] = {"Conv", "Gemm", "MatMul", "BatchNormalization",
                                         "ConvTranspose"};
    uint32_t act;
    const struct ox_value *x = ox_lower_act_of(&act, lo, node);
    if (!x && !ox_node_is(node, "Relu") && !ox_node_is(node, "Clip") && !ox_node_is(node, "Add"))
        return false;
    for (size_t i = 0; i < node->n_in && i < 2; i++) {
        const struct ox_value *v = x ? x : ox_node_in(node, i);
        for (size_t k = 0; k < (x ? PRODUCTS : sizeof makers / sizeof *makers); k++)
            if ((x || ox_lower_sole(v)) && ox_lower_maker(v, makers[k])) return true;
        /* An activation behind a product with a bias. */
        const struct ox_node *add =
            (x || ox_lower_sole(v)) && !ox_node_is(node, "Add") ? ox_lower_maker(v, "Add") : NULL;
        if (add && goes_along(lo, add)) return true;
    }
    return false;
}

static bool number(uint8_t *out, struct chain *c, float value) {
    for (uint32_t i = 0; i < c->p.n_numbers; i++)
        if (memcmp(&c->p.numbers[i], &value, sizeof value) == 0) {
            *out = (uint8_t)(OX_STEP_CHAIN_NUMBER + i);
            return true;
        }
    if (c->p.n_numbers == OX_STEP_CHAIN_NUMBERS) return false;
    *out = (uint8_t)(OX_STEP_CHAIN_NUMBER + c->p.n_numbers);
    c->p.numbers[c->p.n_numbers++] = value;
    return true;
}

static bool input(uint8_t *out, struct chain *c, const struct ox_value *v) {
    for (size_t i = 0; i < c->n_in; i++)
        if (c->in[i] == v) {
            *out = (uint8_t)i;
            return true;
        }
    if (c->n_in == OX_STEP_CHAIN_INPUTS) return false;
    *out = (uint8_t)c->n_in;
    c->in[c->n_in++] = v;
    return true;
}

static bool put(uint8_t *out, struct chain *c, const struct ox_node *node, const struct link *l);

/* What operand v is; with room left, its maker comes along. Depth is bounded by the number of
 * operators. */
static bool operand(uint8_t *out, struct chain *c, const struct ox_value *v) {
    struct link l;
    float value;
    if (!is_float(v)) return false;
    if (ox_lower_scalar(&value, c->lo, v) && ox_lower_rank(v) <= ox_lower_rank(c->root))
        return number(out, c, value);
    if (v->def && v->graph == c->root->graph && ox_lower_sole(v) && same_dims(v, c->root) &&
        !goes_along(c->lo, v->def) && look(&l, c->lo, v->def) &&
        c->begun + l.n_ops <= OX_STEP_CHAIN_OPS)
        return put(out, c, v->def, &l);
    return input(out, c, v);
}

static bool put(uint8_t *out, struct chain *c, const struct ox_node *node, const struct link *l) {
    uint8_t at[2] = {0, 0};
    c->begun += l->n_ops;
    for (size_t i = 0; i < (l->clip ? 1 : node->n_in); i++)
        if (!operand(&at[i], c, ox_node_in(node, i))) return false;
    for (unsigned i = 0; i < l->n_ops; i++) {
        struct ox_step_chain_op *o = &c->p.ops[c->p.n_ops];
        *o = l->ops[i];
        o->a = at[0];
        o->b = at[1];
        if (l->clip && !number(&o->b, c, l->bounds[i])) return false;
        at[0] = (uint8_t)(OX_STEP_CHAIN_RESULT + c->p.n_ops++);
    }
    *out = at[0];
    return true;
}

/* The operand that has all elements of the result comes first: the result may take its place. */
static bool lead(struct chain *c) {
    size_t first = 0;
    while (first < c->n_in && !same_dims(c->in[first], c->root))
        first++;
    if (first >= c->n_in) return false;
    const struct ox_value *v = c->in[first];
    c->in[first] = c->in[0];
    c->in[0] = v;
    for (uint32_t i = 0; i < c->p.n_ops; i++) {
        uint8_t *const operands[2] = {&c->p.ops[i].a, &c->p.ops[i].b};
        for (int k = 0; k < (c->p.ops[i].op >= 64 ? 2 : 1); k++)
            if (*operands[k] == 0 || *operands[k] == first)
                *operands[k] = *operands[k] == 0 ? (uint8_t)first : 0;
    }
    return true;
}

/* x * Sigmoid(x) is one operator. */
static void join_swish(struct chain *c) {
    for (uint32_t i = 1; i < c->p.n_ops; i++) {
        struct ox_step_chain_op *mul = &c->p.ops[i];
        const struct ox_step_chain_op *before = &c->p.ops[i - 1];
        const uint8_t result = (uint8_t)(OX_STEP_CHAIN_RESULT + i - 1);
        if (mul->op != code_of("Mul") || before->op != code_of("Sigmoid") ||
            (mul->a != result && mul->b != result))
            continue;
        if ((mul->a == result ? mul->b : mul->a) != before->a) continue;
        *mul = (struct ox_step_chain_op){.op = code_of("Swish"), .a = before->a, .alpha = 1};
        /* The sigmoid goes; later results move down. */
        for (uint32_t k = i - 1; k + 1 < c->p.n_ops; k++) {
            struct ox_step_chain_op *o = &c->p.ops[k];
            *o = c->p.ops[k + 1];
            if (o->a >= result) o->a--;
            if (o->b >= result) o->b--;
        }
        c->p.ops[--c->p.n_ops] = (struct ox_step_chain_op){0};
        i--;
    }
}

/* Channels last where somebody behind reads it so, and all operands can be had so. */
static unsigned form_of(const struct chain *c) {
    const int rank = ox_lower_rank(c->root);
    if (rank < 3 ||
        !(ox_lower_wanted(c->lo, c->root) & (1u << OX_FORM_LAST | 1u << OX_FORM_LAST_SHIFTED)))
        return OX_FORM_PLAIN;
    for (size_t i = 0; i < c->n_in; i++)
        if (ox_lower_rank(c->in[i]) != rank) return OX_FORM_PLAIN;
    return OX_FORM_LAST;
}

static ox_status lower(struct ox_lower *lo, const struct ox_node *node, uint32_t least,
                       bool *claimed) {
    struct chain c = {.lo = lo, .root = node->out[0]};
    ox_operand in[OX_STEP_CHAIN_INPUTS], out;
    struct link l;
    uint8_t last;
    if (goes_along(lo, node) || !look(&l, lo, node) || !put(&last, &c, node, &l) ||
        c.p.n_ops < least || !lead(&c))
        return OX_OK;
    const unsigned form = form_of(&c);
    join_swish(&c);
    for (size_t i = 0; i < c.n_in; i++)
        OX_TRY(ox_lower_in(&in[i], lo, c.in[i], form));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_CHAIN, &c.p, c.n_in, in, 1, &out);
}

ox_status ox_lower_chain(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    return lower(lo, node, 2, claimed);
}

ox_status ox_lower_link(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    return lower(lo, node, 1, claimed);
}
