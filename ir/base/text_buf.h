/* ir/base/text_buf.h - text put together in a buffer of fixed size, with snprintf's contract: what
 * does not fit is cut, and the length is that of the whole. */
#ifndef OX_IR_BASE_TEXT_BUF_H
#define OX_IR_BASE_TEXT_BUF_H

#include <stddef.h>

struct ox_text_buf {
    char *buf;
    size_t size, len;
};

static inline void ox_text_buf_put(struct ox_text_buf *t, const char *s) {
    for (; *s; s++, t->len++)
        if (t->len + 1 < t->size) t->buf[t->len] = *s;
}

/* Ends the text and returns its length. */
static inline size_t ox_text_buf_end(struct ox_text_buf *t) {
    if (t->size) t->buf[t->len < t->size ? t->len : t->size - 1] = 0;
    return t->len;
}

#endif
