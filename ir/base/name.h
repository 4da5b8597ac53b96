/* ir/base/name.h - interned names: equal text is the same pointer, so equality is `==`.
 *
 * Names are numbered as they come, so what is known about names is an array by their numbers
 * (struct ox_name_map), not another hash table. Keyed hash (a seed per table), so that a file
 * cannot choose colliding names; the seed never influences output, because the table is never
 * iterated. Names live as long as their table. No name is NULL. */
#ifndef OX_IR_BASE_NAME_H
#define OX_IR_BASE_NAME_H

#include "ir/base/arena.h"

struct ox_name_entry {
    uint32_t id; /* dense in its table */
    uint32_t len;
    char text[]; /* len bytes without NUL inside, then a NUL */
};
typedef const struct ox_name_entry *ox_name;

struct ox_names {
    struct ox_arena arena;
    struct ox_name_slot *slots; /* open addressing, power of two */
    ox_name *names;             /* by id */
    size_t used, cap, cap_names;
    uint64_t seed;
};

void ox_names_init(struct ox_names *names, ox_ctx *ctx);
void ox_names_fini(struct ox_names *names);
/* The name with this text, added when new. */
OX_MUST_USE ox_status ox_name_get(ox_name *out, struct ox_names *names, const char *text,
                                  size_t len);
/* The name with this text, or NULL if there is none yet. */
ox_name ox_name_find(const struct ox_names *names, const char *text, size_t len);
/* A hash of three names of the table, any of which may be NULL; keyed like the table. */
uint64_t ox_names_hash(const struct ox_names *names, ox_name a, ox_name b, ox_name c);

/* Small numbers by name, of one table; 0 where none was set. */
struct ox_name_map {
    ox_ctx *ctx;
    uint32_t *values; /* by id */
    size_t cap;
};
static inline uint32_t ox_name_map_get(const struct ox_name_map *map, ox_name name) {
    return name->id < map->cap ? map->values[name->id] : 0;
}
/* Cannot fail for a name that was set before. */
OX_MUST_USE ox_status ox_name_map_set(struct ox_name_map *map, ox_name name, uint32_t value);
void ox_name_map_fini(struct ox_name_map *map);

/* Text of a name; "" for NULL. */
static inline const char *ox_name_text(ox_name name) {
    return name ? name->text : "";
}
static inline bool ox_name_is(ox_name name, const char *text) {
    return strcmp(ox_name_text(name), text) == 0;
}

#endif
