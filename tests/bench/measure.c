/*
 * measure [-t SECONDS] [-o FILE] COMMAND ARG...
 *
 * Runs a command as one whole process and reports what it cost as a line of JSON on FILE (default:
 * standard output): wall time, processor time and peak resident memory of the process and of the
 * children it waited for. The command's own output goes to standard error, so that the line is
 * alone.
 *
 * Why not a script: the kernel carries the peak memory of the process that forks over to the
 * program it executes, so the one that forks has to be small. Why not time(1): it has no time
 * limit.
 *
 * Exit status: 0 if the command was started, whatever became of it; 2 otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Written by the signal handler. */
static volatile sig_atomic_t expired;
static volatile sig_atomic_t child;

static void on_alarm(int sig) {
    (void)sig;
    expired = 1;
    kill(-(pid_t)child, SIGKILL);
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* In the child: a process group of its own, so that a time limit ends its children too. */
static void run_command(char **argv, int report) {
    setpgid(0, 0);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execvp(argv[0], argv);
    int e = errno;
    ssize_t n = write(report, &e, sizeof e);
    _exit(n == (ssize_t)sizeof e ? 127 : 126);
}

/* Starts the command; *pid is its process. Returns 0, or the errno of a failed start. */
static int start(char **argv, pid_t *pid) {
    int p[2];
    if (pipe(p) != 0) return errno;
    fcntl(p[1], F_SETFD, FD_CLOEXEC);
    *pid = fork();
    if (*pid < 0) return errno;
    if (*pid == 0) {
        close(p[0]);
        run_command(argv, p[1]);
    }
    close(p[1]);
    setpgid(*pid, *pid); /* whichever of the two is first */
    int e = 0;
    ssize_t n = read(p[0], &e, sizeof e);
    close(p[0]);
    if (n != (ssize_t)sizeof e) return 0;
    waitpid(*pid, NULL, 0);
    return e;
}

static void report(FILE *f, double wall, int status, const struct rusage *u) {
    fprintf(f,
            "{\"wall\":%.6f,\"user\":%.6f,\"sys\":%.6f,\"maxrss_kb\":%ld,\"exit\":%d,\"signal\":%d,"
            "\"timed_out\":%s}\n",
            wall, seconds(u->ru_utime), seconds(u->ru_stime), u->ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            WIFSIGNALED(status) ? WTERMSIG(status) : 0, expired ? "true" : "false");
}

int main(int argc, char **argv) {
    double limit = 0;
    const char *file = NULL;
    int opt;
    while ((opt = getopt(argc, argv, "+t:o:")) != -1) {
        if (opt == 't')
            limit = strtod(optarg, NULL);
        else if (opt == 'o')
            file = optarg;
        else
            return 2;
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: measure [-t SECONDS] [-o FILE] COMMAND ARG...\n");
        return 2;
    }
    FILE *out = file ? fopen(file, "w") : stdout;
    if (!out) {
        fprintf(stderr, "measure: %s: %s\n", file, strerror(errno));
        return 2;
    }
    double begin = now();
    pid_t pid = 0;
    int e = start(argv + optind, &pid);
    if (e) {
        fprintf(stderr, "measure: %s: %s\n", argv[optind], strerror(e));
        return 2;
    }
    child = pid;
    if (limit > 0) {
        struct sigaction sa = {.sa_handler = on_alarm};
        sigaction(SIGALRM, &sa, NULL);
        struct itimerval t = {
            .it_value = {.tv_sec = (time_t)limit,
                         .tv_usec = (suseconds_t)((limit - (double)(time_t)limit) * 1e6)}};
        setitimer(ITIMER_REAL, &t, NULL);
    }
    int status = 0;
    struct rusage u;
    while (wait4(pid, &status, 0, &u) < 0)
        if (errno != EINTR) return 2;
    report(out, now() - begin, status, &u);
    return fclose(out) == 0 ? 0 : 2;
}
