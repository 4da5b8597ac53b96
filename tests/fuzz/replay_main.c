/* Runs a fuzz entry over the files named on the command line, or over every file of a folder named
   there: the corpus as a regression test, with any compiler. Exit 0 means every input was run. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t size) {
    FILE *f = fopen(path, "rb");
    /* exactly the file's size, so that a read one byte beyond it is seen by the sanitizer */
    uint8_t *data = malloc(size ? size : 1);
    int ok = f && data && fread(data, 1, size, f) == size;
    if (ok)
        LLVMFuzzerTestOneInput(data, size);
    else
        fprintf(stderr, "cannot read %s\n", path);
    free(data);
    if (f) fclose(f);
    return ok ? 1 : -1;
}

/* Returns the number of inputs run, negative on failure. */
static long replay(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode)) return replay_file(path, (size_t)st.st_size);
    struct dirent **list = NULL;
    int n = scandir(path, &list, NULL, alphasort); /* sorted: a failure is the same one each time */
    long done = n < 0 ? -1 : 0;
    for (int i = 0; i < n; i++) {
        char child[4096];
        int len = snprintf(child, sizeof child, "%s/%s", path, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && done >= 0) {
            long r = len > 0 && (size_t)len < sizeof child ? replay(child) : -1;
            done = r < 0 ? r : done + r;
        }
        free(list[i]);
    }
    free(list);
    return done;
}

int main(int argc, char **argv) {
    long total = 0;
    for (int i = 1; i < argc; i++) {
        long n = replay(argv[i]);
        if (n < 0) return 1;
        total += n;
    }
    printf("%ld inputs\n", total);
    return total > 0 ? 0 : 1;
}
