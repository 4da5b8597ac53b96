#!/usr/bin/env python3
"""Prints ir/ops/case_table.inc: upper and lower case of all characters, from the Unicode data that comes with Python.

    tools/make_case_table.py >ir/ops/case_table.inc

Mappings to one character are runs of equal distance; mappings to several stand in a list of their own. The last two tables say which
characters decide whether a capital sigma ends a word; they are found by asking Python's lower()."""
import sys
import unicodedata

SURROGATES = range(0xD800, 0xE000)
chars = [c for c in range(0x110000) if c not in SURROGATES]


def runs(pairs):
    """(character, distance) to (first, last, step, distance); the step is 1 or 2."""
    out = []
    for c, d in pairs:
        if out:
            first, last, step, distance = out[-1]
            if d == distance and (c - last == step or (first == last and c - last in (1, 2))):
                out[-1] = (first, c, c - last, d)
                continue
        out.append((c, c, 1, d))
    return out


def table(name, type_name, rows):
    print(f"static const struct {type_name} {name}[] = {{")
    line = "   "
    for r in rows:
        item = " {" + ",".join(str(x) for x in r) + "},"
        if len(line) + len(item) > 130:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};")


def mapping(name, change):
    mapped = [(c, change(chr(c))) for c in chars if change(chr(c)) != chr(c)]
    table(name, "case_run", runs([(c, ord(m) - c) for c, m in mapped if len(m) == 1]))
    table(name + "_long", "case_long", [(c, *(list(map(ord, m)) + [0, 0])[:3]) for c, m in mapped if len(m) > 1])


def ranges(name, test):
    out = []
    for c in chars:
        if not test(chr(c)):
            continue
        if out and out[-1][1] == c - 1:
            out[-1] = (out[-1][0], c)
        else:
            out.append((c, c))
    table(name, "case_range", out)


def ends(word):
    return (word + "\u03a3").lower()[-1] == "\u03c2"


print(f"/* ir/ops/case_table.inc - made by tools/make_case_table.py from Unicode {unicodedata.unidata_version}; do not edit. */")
print("/* clang-format off */")
mapping("to_upper", str.upper)
mapping("to_lower", str.lower)
ranges("cased", ends)
ranges("ignorable", lambda c: ends("a" + c) and not ends(c))
print("/* clang-format on */")
sys.exit(0)
