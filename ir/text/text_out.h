/* ir/text/text_out.h - the printer's vocabulary: bytes, names, types and tensors into a growing
 * text.
 *
 * Failing is sticky: functions return nothing, the first failure stays in `status` and later calls
 * do nothing. */
#ifndef OX_IR_TEXT_TEXT_OUT_H
#define OX_IR_TEXT_TEXT_OUT_H

#include "ir/text/naming.h"
#include "ir/text/text_priv.h"

struct ox_text_out {
    ox_ctx *ctx;
    char *buf;
    size_t len, cap;
    ox_status status;
    int indent; /* levels of a new line */
    ox_text_locale locale;
    const struct ox_naming
        *naming; /* NULL: a single node; values have the names they happen to have */
    struct ox_text_options options;
};

void ox_out(struct ox_text_out *o, const char *text);
void ox_out_bytes(struct ox_text_out *o, const char *text, size_t len);
void ox_out_int(struct ox_text_out *o, int64_t value);
void ox_out_line(struct ox_text_out *o);
void ox_out_quoted(struct ox_text_out *o, const char *text, size_t len);
/* Quoted where it is no identifier or would be read as the beginning of a type or as a number. */
void ox_out_name(struct ox_text_out *o, ox_name name);
/* A float's bits at `at`, which need not be aligned. */
void ox_out_float(struct ox_text_out *o, const void *at);

/* The form has no word for an unknown type or element type (NULL: unknown). */
bool ox_out_has_type(const struct ox_type *t);
void ox_out_type(struct ox_text_out *o, const struct ox_type *t);
/* type? name */
void ox_out_info(struct ox_text_out *o, const struct ox_type *type, ox_name name);

/* {1, 2, 3} */
void ox_out_elements(struct ox_text_out *o, const ox_tensor *t);
/* type name = {...}, or type {...} without a name */
void ox_out_tensor(struct ox_text_out *o, const ox_tensor *t, ox_name name);

static inline const char *ox_out_separator(size_t i) {
    return i ? ", " : "";
}

#endif
