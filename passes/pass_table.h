/* passes/pass_table.h - looking up passes and presets by name; for the pipeline. */
#ifndef OX_PASSES_PASS_TABLE_H
#define OX_PASSES_PASS_TABLE_H

#include "passes/pass.h"

const struct ox_pass *ox_pass_find(const char *name, size_t len); /* NULL: no such pass */
const char *ox_preset_find(const char *name, size_t len);         /* its pipeline text, or NULL */

#endif
