/* conf_main.c - runs the official ONNX backend tests, and what must hold of every model besides.
 *
 *     conformance [ROOT...] [--only PREFIX,...] [--list FILE] [--bless] [--scoreboard PAGE]
 * [--threads N] [--verbose]
 *
 * Without a list it prints every case and fails for those that fail. ONNXOPT_CONFORMANCE names a
 * further root, whose cases are run and printed when no list is given. */
#include "conf.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct args {
    const char *roots[8];
    size_t n_roots;
    const char *only, *list, *scoreboard;
    bool bless, verbose;
    int threads;
};

/* What a signal handler may say: which case it was. */
static char now[256];

static void on_signal(int sig) {
    static const char text[] = "conformance: signal in case ";
    (void)!write(2, text, sizeof text - 1);
    (void)!write(2, now, strlen(now));
    (void)!write(2, "\n", 1);
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Sanitizers have handlers of their own, which say more: they stay. */
static void catch_signals(void) {
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            signal(signals[i], on_signal);
    }
}

static int usage(void) {
    fputs("usage: conformance [ROOT...] [--only PREFIX,...] [--list FILE] [--bless] [--scoreboard "
          "PAGE] [--threads N] [--verbose]\n",
          stderr);
    return 2;
}

static bool parse(struct args *a, int argc, char **argv) {
    *a = (struct args){.threads = 1};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--only") == 0 && more)
            a->only = argv[++i];
        else if (strcmp(argv[i], "--list") == 0 && more)
            a->list = argv[++i];
        else if (strcmp(argv[i], "--scoreboard") == 0 && more)
            a->scoreboard = argv[++i];
        else if (strcmp(argv[i], "--threads") == 0 && more)
            a->threads = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--bless") == 0)
            a->bless = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            a->verbose = true;
        else if (argv[i][0] == '-' || a->n_roots == sizeof a->roots / sizeof a->roots[0])
            return false;
        else
            a->roots[a->n_roots++] = argv[i];
    }
    if (a->bless && (!a->list || a->only)) return false;
    if (a->n_roots == 0) {
        const char *further = getenv("ONNXOPT_CONFORMANCE");
        a->roots[a->n_roots++] = OX_ONNX_TESTDATA;
        if (further && !a->list) a->roots[a->n_roots++] = further;
    }
    return true;
}

static void print_case(const struct conf_case *c) {
    static const char *const verdicts[] = {"pass", "skip", "fail"};
    printf("%s %s %c%c%c%c%c %s%s%s%s\n", verdicts[c->verdict], c->name,
           c->checks & CONF_TYPES ? 't' : '-', c->checks & CONF_TEXT ? 'x' : '-',
           c->checks & CONF_WRITE ? 'w' : '-', c->checks & CONF_DEFAULT ? 'd' : '-',
           c->checks & CONF_NATIVE ? 'n' : '-', c->verdict == CONF_PASS ? "" : c->reason,
           c->broken[0] ? " {" : "", c->broken, c->broken[0] ? "}" : "");
}

static void print_summary(const struct conf_cases *cases) {
    size_t n[3] = {0}, held[CONF_CHECKS] = {0}, values = 0, vague = 0;
    double seconds = 0;
    for (size_t i = 0; i < cases->n; i++) {
        const struct conf_case *c = &cases->at[i];
        n[c->verdict]++;
        for (unsigned k = 0; k < CONF_CHECKS; k++)
            held[k] += (c->checks >> k) & 1;
        values += c->values;
        vague += c->vague;
        seconds += c->seconds;
    }
    printf("%zu cases in %.1f s: %zu pass, %zu skip, %zu fail; types %zu, text %zu, write %zu, "
           "default %zu, native %zu; of %zu tensors computed, %zu had no inferred rank\n",
           cases->n, seconds, n[CONF_PASS], n[CONF_SKIP], n[CONF_FAIL], held[0], held[1], held[2],
           held[3], held[4], values, vague);
}

static int judge(const struct args *a, const struct conf_cases *cases) {
    if (a->scoreboard && !conf_score_write(a->scoreboard, cases)) {
        fprintf(stderr, "conformance: no page with marks at %s\n", a->scoreboard);
        return 2;
    }
    if (a->bless) return conf_list_write(a->list, cases) ? 0 : 2;
    if (a->list) {
        size_t wrong = conf_list_check(a->list, cases, a->only);
        if (wrong)
            printf("%zu cases do otherwise than %s says; if that is right, --bless it\n", wrong,
                   a->list);
        return wrong != 0;
    }
    for (size_t i = 0; i < cases->n; i++)
        if (cases->at[i].verdict == CONF_FAIL) return 1;
    return 0;
}

int main(int argc, char **argv) {
    struct args a;
    struct conf_cases cases = {0};
    if (!parse(&a, argc, argv)) return usage();
    catch_signals();
    for (size_t i = 0; i < a.n_roots; i++) {
        if (conf_walk(&cases, a.roots[i], a.only)) continue;
        fprintf(stderr, "conformance: cannot read %s\n", a.roots[i]);
        return 2;
    }
    for (size_t i = 0; i < cases.n; i++) {
        snprintf(now, sizeof now, "%s", cases.at[i].name);
        alarm(300);
        conf_run(&cases.at[i], a.threads);
        if (!a.list || a.verbose) print_case(&cases.at[i]);
    }
    alarm(0);
    print_summary(&cases);
    int rc = cases.n ? judge(&a, &cases) : 2;
    conf_cases_free(&cases);
    return rc;
}
