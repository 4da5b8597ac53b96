/* judge_badmodels.c - runs a tool on every case of a folder and says whether it took each as the
 * index demands.
 *
 *   judge_badmodels [--slow] [--image-model FILE] TOOL FOLDER...
 *
 * FOLDER has an index.tsv whose first line names its columns; name, file, expected and kind are
 * used. The tool is called TOOL FILE -o OUT/out.onnx kind onnx TOOL FOLDER/c_linear/model.onnx -o
 * OUT/out.onnx --quantize int8 --calib FILE  kind npy the same with the image model kind png A case
 * fails on: a signal; an exit code above 5; a report of a sanitizer; too much time or memory; bytes
 * in messages that would reach a terminal as commands; a rejection without a message or with an
 * output left behind; an acceptance without an output; a changed input; a word of the secret in an
 * output. --slow, for instrumented builds: six times the time, and no limit of memory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH = 1024, MESSAGE = 1 << 16, CODE_MAX = 5 };

struct judge {
    const char *tool, *folder;
    char image_model[PATH];
    char out[PATH], out_file[PATH], err_file[PATH];
    char secret[33];
    int slow;
    int failed, passed;
};

struct one {
    char name[128], file[256], expected[128], kind[16];
};

struct run {
    int status;
    double seconds, megabytes;
    int timed_out;
    char message[MESSAGE];
};

static void die(const char *what) {
    fprintf(stderr, "judge_badmodels: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void join(char *out, const char *folder, const char *name) {
    int n = snprintf(out, PATH, "%s/%s", folder, name);
    if (n < 0 || n >= PATH) die(folder);
}

/* ---- running --------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void start(const struct judge *j, const struct one *c, const char *input) {
    char linear[PATH];
    int null = open("/dev/null", O_RDWR),
        err = open(j->err_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(null, 0);
    dup2(null, 1);
    dup2(err, 2);
    join(linear, j->folder, "c_linear/model.onnx");
    if (strcmp(c->kind, "onnx") == 0) {
        execl(j->tool, j->tool, input, "-o", j->out_file, (char *)NULL);
    } else {
        const char *model = strcmp(c->kind, "npy") == 0 ? linear : j->image_model;
        execl(j->tool, j->tool, model, "-o", j->out_file, "--quantize", "int8", "--calib", input,
              (char *)NULL);
    }
    _exit(126);
}

/* Waits with a limit; a tool that is over it is killed. */
static void finish(struct run *r, pid_t child, double limit) {
    struct rusage usage;
    double begin = now();
    for (;;) {
        pid_t p = wait4(child, &r->status, WNOHANG, &usage);
        if (p < 0) die("wait4");
        if (p == child) break;
        if (now() - begin > limit && !r->timed_out) {
            kill(child, SIGKILL);
            r->timed_out = 1;
        }
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    r->seconds = now() - begin;
    r->megabytes = (double)usage.ru_maxrss / 1024.0;
}

static void run_tool(struct run *r, const struct judge *j, const struct one *c, double limit) {
    char input[PATH];
    memset(r, 0, sizeof *r);
    join(input, j->folder, c->file);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) start(j, c, input);
    finish(r, child, limit);
    int fd = open(j->err_file, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, r->message, MESSAGE - 1);
    r->message[n > 0 ? n : 0] = 0;
    if (fd >= 0) close(fd);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* A number that changes with a case's files: names, sizes, times. */
static unsigned long fingerprint(const char *folder) {
    unsigned long h = 5381;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PATH];
        struct stat st;
        unsigned long one = 17;
        if (e->d_name[0] == '.') continue;
        join(path, folder, e->d_name);
        if (lstat(path, &st) != 0) continue;
        for (const char *p = e->d_name; *p; p++)
            one = one * 33 + (unsigned char)*p;
        h += one * 31 + (unsigned long)st.st_size * 7 + (unsigned long)st.st_mtim.tv_sec +
             (unsigned long)st.st_mtim.tv_nsec;
    }
    if (d) closedir(d);
    return h;
}

/* Files in the output folder; they are removed. *leaks: one of them holds the secret. */
static int collect_outputs(const struct judge *j, int *leaks, long *size) {
    int n = 0;
    DIR *d = opendir(j->out);
    *leaks = 0;
    *size = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PATH];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        join(path, j->out, e->d_name);
        n++;
        FILE *f = fopen(path, "rb");
        size_t len = 0, cap = 1 << 24;
        char *data = f ? malloc(cap) : NULL;
        if (data) len = fread(data, 1, cap, f);
        for (size_t i = 0; j->secret[0] && i + 32 <= len; i++)
            if (memcmp(data + i, j->secret, 32) == 0) *leaks = 1;
        *size += (long)len;
        free(data);
        if (f) fclose(f);
        unlink(path);
    }
    if (d) closedir(d);
    return n;
}

static int has_control_bytes(const char *text) {
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') || *text == 0x7f)
            return 1;
    return 0;
}

static size_t longest_line(const char *text) {
    size_t longest = 0;
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n > longest) longest = n;
        text += n + (text[n] == '\n');
    }
    return longest;
}

static const char *sanitizer_text(const char *text) {
    static const char *const words[] = {"Sanitizer",      "runtime error:", "Assertion",
                                        "stack smashing", "double free",    "corrupted"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(text, words[i])) return words[i];
    return NULL;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* What is wrong, or NULL. */
static const char *judge_run(const struct judge *j, const struct one *c, const struct run *r,
                             double seconds, double megabytes) {
    int leaks, code = WIFEXITED(r->status) ? WEXITSTATUS(r->status) : -1;
    long size;
    int outputs = collect_outputs(j, &leaks, &size);
    if (r->timed_out) return "did not end in time";
    if (WIFSIGNALED(r->status)) return "died of a signal";
    if (sanitizer_text(r->message)) return sanitizer_text(r->message);
    if (code < 0 || code > CODE_MAX) return "exit code out of range";
    if (code == 1) return "took the call for wrong usage";
    if (r->seconds > seconds) return "too slow";
    if (!j->slow && r->megabytes > megabytes) return "too much memory";
    if (has_control_bytes(r->message)) return "control bytes in a message";
    if (longest_line(r->message) > 1000) return "a line of more than 1,000 bytes";
    if (leaks) return "the secret is in the output";
    if (code == 0 && (outputs != 1 || size == 0)) return "accepted without one output";
    if (code != 0 && outputs != 0) return "rejected, but left a file behind";
    if (code != 0 && !strstr(r->message, "error")) return "rejected without a message";
    if (strcmp(c->expected, "accept") == 0 && code != 0) return "rejected";
    if (strcmp(c->expected, "reject") == 0 && code == 0) return "accepted";
    return NULL;
}

/* "must-not-use-more-than-512-MB/10-seconds" */
static void read_limits(const char *expected, double *megabytes, double *seconds) {
    static const char prefix[] = "must-not-use-more-than-";
    char *end;
    if (strncmp(expected, prefix, sizeof prefix - 1) != 0) return;
    *megabytes = strtod(expected + sizeof prefix - 1, &end);
    if (strncmp(end, "-MB/", 4) == 0) *seconds = strtod(end + 4, NULL);
}

static void judge_case(struct judge *j, const struct one *c) {
    struct run r;
    double seconds = 10, megabytes = 512;
    char folder[PATH], *slash;
    read_limits(c->expected, &megabytes, &seconds);
    join(folder, j->folder, c->file);
    slash = strrchr(folder, '/');
    *slash = 0;
    unsigned long before = fingerprint(folder);
    if (j->slow) seconds *= 6;
    run_tool(&r, j, c, seconds + 2);
    const char *wrong = judge_run(j, c, &r, seconds, megabytes);
    if (!wrong && fingerprint(folder) != before) wrong = "changed its input";
    if (!wrong) {
        j->passed++;
        return;
    }
    j->failed++;
    printf("%s: %s (expected: %s; status %d, %.2f s, %.0f MB)\n", c->name, wrong, c->expected,
           WIFEXITED(r.status) ? WEXITSTATUS(r.status) : -WTERMSIG(r.status), r.seconds,
           r.megabytes);
    printf("    %.500s\n", r.message[0] ? r.message : "(no message)");
}

/* ---- the index ------------------------------------------------------------------------------- */

/* Copies tab-separated column `n` of a line. */
static void column(char *out, size_t size, const char *line, int n) {
    for (; n > 0 && *line; n--) {
        line += strcspn(line, "\t\n");
        if (*line == '\t') line++;
    }
    snprintf(out, size, "%.*s", (int)strcspn(line, "\t\n"), line);
}

static int find_column(const char *header, const char *name) {
    char text[64] = " ";
    for (int i = 0; text[0]; i++) {
        column(text, sizeof text, header, i);
        if (strcmp(text, name) == 0) return i;
    }
    fprintf(stderr, "judge_badmodels: the index has no column '%s'\n", name);
    exit(1);
}

static void read_secret(struct judge *j) {
    char path[PATH];
    join(path, j->folder, "outside/secret.bin");
    FILE *f = fopen(path, "rb");
    memset(j->secret, 0, sizeof j->secret);
    if (!f) return;
    if (fseek(f, 16, SEEK_SET) == 0 && fread(j->secret, 1, 32, f) != 32)
        memset(j->secret, 0, sizeof j->secret);
    fclose(f);
}

static void judge_folder(struct judge *j, const char *folder) {
    char path[PATH], line[2048], header[2048];
    j->folder = folder;
    read_secret(j);
    join(path, folder, "index.tsv");
    FILE *f = fopen(path, "r");
    if (!f || !fgets(header, sizeof header, f)) die(path);
    int name = find_column(header, "name"), file = find_column(header, "file");
    int expected = find_column(header, "expected"), kind = find_column(header, "kind");
    while (fgets(line, sizeof line, f)) {
        struct one c;
        column(c.name, sizeof c.name, line, name);
        column(c.file, sizeof c.file, line, file);
        column(c.expected, sizeof c.expected, line, expected);
        column(c.kind, sizeof c.kind, line, kind);
        judge_case(j, &c);
    }
    fclose(f);
}

int main(int argc, char **argv) {
    static struct judge j;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--slow") == 0) j.slow = 1;
        if (strcmp(argv[i], "--image-model") == 0 && i + 1 < argc)
            snprintf(j.image_model, PATH, "%s", argv[++i]);
    }
    if (argc - i < 2) {
        fprintf(stderr, "usage: judge_badmodels [--slow] [--image-model FILE] TOOL FOLDER...\n");
        return 1;
    }
    j.tool = argv[i++];
    const char *tmp = getenv("TMPDIR");
    char base[PATH];
    snprintf(base, sizeof base, "%s/badmodels_XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(base)) die(base);
    join(j.out, base, "out");
    join(j.err_file, base, "stderr");
    if (mkdir(j.out, 0700) != 0) die(j.out);
    join(j.out_file, j.out, "out.onnx");
    for (; i < argc; i++)
        judge_folder(&j, argv[i]);
    unlink(j.err_file);
    rmdir(j.out);
    rmdir(base);
    printf("%d cases pass, %d fail\n", j.passed, j.failed);
    return j.failed || !j.passed ? 1 : 0;
}
