/* ir/codec/pattern_priv.h - from RE2's syntax to PCRE2's. */
#ifndef OX_IR_CODEC_PATTERN_PRIV_H
#define OX_IR_CODEC_PATTERN_PRIV_H

#include "ir/codec/pattern.h"

/* *out (from ox_alloc) gets the pattern as PCRE2 is to read it. */
OX_MUST_USE ox_status ox_pattern_translate(char **out, size_t *len, ox_ctx *ctx,
                                           struct ox_str text);

#endif
