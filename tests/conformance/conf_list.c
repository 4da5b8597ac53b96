/* conf_list.c - cases.txt: what is expected of each case, one line each, in alphabetical order.
 *
 *     <case> pass <types|-> <text|-> <write|-> <default|-> <native|-> [# <note>]
 *     <case> skip      -    <text|-> <write|->      -         -      <reason>
 *     <case> fail  ...                                      <reason>
 *
 * A line that begins with '#' is a comment. */
#include "conf.h"

#include <ctype.h>
#include <stdlib.h>

static const char *const verdict_names[] = {"pass", "skip", "fail"};
static const char *const check_names[] = {"types", "text", "write", "default", "native"};

struct list {
    char *text;
    char **lines;
    size_t n, cap;
};

/* The line of a case, without its end. A reason is cut to a line's worth and to what does not
 * change from run to run. */
static void format_line(char *buf, size_t size, const struct conf_case *c) {
    size_t n = (size_t)snprintf(buf, size, "%s %s", c->name, verdict_names[c->verdict]);
    for (size_t i = 0; i < CONF_CHECKS && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, " %s",
                              c->checks & (1u << i) ? check_names[i] : "-");
    const char *reason =
        c->verdict == CONF_PASS ? (c->random ? "# random: types and shapes only" : "") : c->reason;
    if (*reason && n < size) n += (size_t)snprintf(buf + n, size - n, " %.160s", reason);
    for (size_t i = 0; buf[i]; i++)
        if (iscntrl((unsigned char)buf[i])) buf[i] = '?';
    for (n = strlen(buf); n > 0 && buf[n - 1] == ' ';)
        buf[--n] = 0;
}

static bool read_list(struct list *list, const char *path) {
    *list = (struct list){0};
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    size_t size = 0, n;
    do {
        list->text = conf_realloc(list->text, size + 65537);
        n = fread(list->text + size, 1, 65536, f);
        size += n;
    } while (n);
    list->text[size] = 0;
    fclose(f);
    for (char *at = list->text; *at;) {
        char *end = at + strcspn(at, "\n");
        bool last = *end == 0;
        *end = 0;
        if (*at && *at != '#') {
            if (list->n == list->cap) {
                list->cap = list->cap ? list->cap * 2 : 1024;
                list->lines = conf_realloc(list->lines, list->cap * sizeof(char *));
            }
            list->lines[list->n++] = at;
        }
        at = last ? end : end + 1;
    }
    return true;
}

static void free_list(struct list *list) {
    free(list->lines);
    free(list->text);
}

/* Is the line about this case? */
static bool is_about(const char *line, const char *name) {
    size_t n = strlen(name);
    return strncmp(line, name, n) == 0 && line[n] == ' ';
}

static const char *find(const struct list *list, const char *name) {
    for (size_t i = 0; i < list->n; i++)
        if (is_about(list->lines[i], name)) return list->lines[i];
    return NULL;
}

size_t conf_list_check(const char *path, const struct conf_cases *cases, const char *only) {
    struct list list;
    size_t wrong = 0;
    if (!read_list(&list, path)) {
        printf("%s: cannot be read\n", path);
        return 1;
    }
    for (size_t i = 0; i < cases->n; i++) {
        char line[900];
        format_line(line, sizeof line, &cases->at[i]);
        const char *listed = find(&list, cases->at[i].name);
        if (listed && strcmp(listed, line) == 0) continue;
        wrong++;
        printf("now:  %s\n", line);
        if (cases->at[i].broken[0]) printf("      %s\n", cases->at[i].broken);
        printf("list: %s\n", listed ? listed : "(not there)");
    }
    for (size_t i = 0, at; i < list.n; i++) {
        if (!conf_chosen(list.lines[i], only)) continue;
        for (at = 0; at < cases->n && !is_about(list.lines[i], cases->at[at].name);)
            at++;
        if (at < cases->n) continue;
        wrong++;
        printf("gone: %s\n", list.lines[i]);
    }
    free_list(&list);
    return wrong;
}

bool conf_list_write(const char *path, const struct conf_cases *cases) {
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fputs("# Every case of the official test data and what holds of it: verdict, the five checks "
          "(README.md), reason.\n"
          "# Written by `conformance --bless`; a case that does otherwise fails the test until "
          "this list says so.\n",
          f);
    for (size_t i = 0; i < cases->n; i++) {
        char line[900];
        format_line(line, sizeof line, &cases->at[i]);
        fprintf(f, "%s\n", line);
    }
    return fclose(f) == 0;
}
