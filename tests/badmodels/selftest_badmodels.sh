#!/bin/sh
# selftest_badmodels.sh GENERATOR JUDGE FOLDER: the judge must fail tools that are plainly wrong.
set -eu
gen=$1 judge=$2 dir=$3
rm -rf "$dir"
mkdir -p "$dir"
"$gen" "$dir/cases"
tool() { # NAME: the script on stdin
    cat >"$dir/$1"
    chmod +x "$dir/$1"
}
tool copies <<'END'
#!/bin/sh
cp "$1" "$3"
END
tool refuses <<'END'
#!/bin/sh
echo "error: no" >&2
exit 2
END
tool is_silent <<'END'
#!/bin/sh
exit 2
END
tool crashes <<'END'
#!/bin/sh
kill -SEGV $$
END
tool leaves_a_file <<'END'
#!/bin/sh
echo x >"$3"
echo "error: no" >&2
exit 2
END
tool prints_escapes <<'END'
#!/bin/sh
printf 'error: \033[2J\n' >&2
exit 2
END
bad=0
for name in copies refuses is_silent crashes leaves_a_file prints_escapes; do
    if "$judge" "$dir/$name" "$dir/cases" >"$dir/$name.log"; then
        echo "the judge lets a tool pass that $name"
        bad=1
    fi
done
# and only for what they do: what refuses everything fails where acceptance is demanded
sed -n 's/: .*(expected: accept;.*//p' "$dir/refuses.log" | sort >"$dir/got"
awk -F'\t' '$3 == "accept" { print $1 }' "$dir/cases/index.tsv" | sort >"$dir/want"
cmp "$dir/got" "$dir/want" || bad=1
# No case leaves its folder: two runs of the generator give the same bytes.
"$gen" "$dir/again"
rm -r "$dir/cases/e_absolute" "$dir/again/e_absolute" # holds its own path
diff -r --no-dereference "$dir/cases" "$dir/again" >/dev/null || {
    echo "the generator's output differs from run to run"
    bad=1
}
rm -rf "$dir/cases" "$dir/again"
exit $bad
