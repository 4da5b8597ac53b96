/* tests/unit/isa_levels.h - forcing a level of instructions in a test.
 *
 * Three things choose kernels: XNNPACK, once in a process, from what cpuinfo says; our runtime, at
 * each call, from what the compiler's
 * __builtin_cpu_supports says; and clones (OX_CLONES), before main, from the same source. A level
 * is forced by making cpuinfo and the compiler's library forget what is better, in a child process
 * that has not started XNNPACK. Clones are out of reach by then: a program is built once for each
 * class (ox_add_level_programs in tests/CMakeLists.txt), with what is better forgotten before its
 * clones are chosen. */
#ifndef ISA_LEVELS_H
#define ISA_LEVELS_H

#include <stdbool.h>

int isa_levels(void); /* how many there are, best first; not all need be there */
const char *isa_level_name(int level);
/* Sets the level for the rest of the process. False: this CPU does not have it, or it is for the
 * program of another class. cpuinfo must have been initialized, XNNPACK must not. */
bool isa_level_set(int level);

#endif
