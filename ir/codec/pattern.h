/* ir/codec/pattern.h - regular expressions over UTF-8, in RE2's syntax (which the ONNX standard
 * names).
 *
 * Matching is PCRE2's. What RE2 has not (backreferences, lookaround, possessive quantifiers, ...)
 * is refused when the pattern is compiled, and what both write differently is rewritten; so a
 * pattern means one thing here and there. PCRE2 backtracks: a limit ends what would take too long,
 * as a failure and never as a wrong answer. */
#ifndef OX_IR_CODEC_PATTERN_H
#define OX_IR_CODEC_PATTERN_H

#include "ir/base/context.h"

struct ox_pattern;

/* text must be valid UTF-8. Diagnostics: "bad-pattern" (OX_INVALID). */
OX_MUST_USE ox_status ox_pattern_new(struct ox_pattern **out, ox_ctx *ctx, struct ox_str text);
void ox_pattern_free(struct ox_pattern *pattern); /* NULL is fine */
/* For each of n strings: does all of it match? Bytes that are not UTF-8 match nothing. Beyond the
 * limit: "pattern-limit" (OX_UNSUPPORTED). The pattern is only read, memory and diagnostics are
 * those of `ctx`. */
OX_MUST_USE ox_status ox_pattern_full_matches(bool *out, const struct ox_pattern *pattern,
                                              ox_ctx *ctx, size_t n, const struct ox_str *strings);

#endif
