/* ir/ops/text_case.h - upper and lower case of UTF-8 text: Unicode's full mapping, the same on
 * every machine.
 *
 * One character may become several (the German sharp s in upper case is SS), and a capital sigma at
 * the end of a word becomes a final one. No locale has a say: the mappings of Turkish and
 * Lithuanian are not applied. Bytes that are not UTF-8 stay as they are. */
#ifndef OX_IR_OPS_TEXT_CASE_H
#define OX_IR_OPS_TEXT_CASE_H

#include "ir/base/context.h"

enum ox_text_case { OX_CASE_NONE, OX_CASE_LOWER, OX_CASE_UPPER };

/* Bytes of the changed text; written to `to` unless that is NULL. */
size_t ox_text_change_case(char *to, struct ox_str text, enum ox_text_case which);
/* The character at text[*at], which moves behind it; -1 and one byte on where there is no valid
 * one. */
int32_t ox_utf8_next(struct ox_str text, size_t *at);

#endif
