#!/usr/bin/env bash
# Makes what is shipped of what Cargo builds. The shared library without debug information, which is put beside it for
# debuggers; the static one without it either, and with the functions of ottla.h as its only global symbols: the copies of
# zstd and LZ4 inside it must not be mixed with the program's own.
# Usage: packaging/libraries.sh BUILD-DIRECTORY OUTPUT-DIRECTORY NAME-OF-SHARED-LIBRARY
set -euo pipefail
build=$1 out=$2 name=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install -d "$out/.debug"
objcopy --only-keep-debug --compress-debug-sections "$build/libottla.so" "$out/.debug/$name.debug"
chmod 644 "$out/.debug/$name.debug"
objcopy --strip-unneeded "$build/libottla.so" "$work/$name"
# Found by name in the directory .debug beside the library.
(cd "$out/.debug" && objcopy --add-gnu-debuglink="$name.debug" "$work/$name")
install -m 755 "$work/$name" "$out/$name"

# One object of all, so that its parts find each other though nobody else finds them. Functions keep sections of their own:
# -Wl,--gc-sections leaves out what a program doesn't use.
# The compiler's intermediate code, for link-time optimisation, is of no use to others.
objcopy --strip-debug -R .llvmbc -R .llvmcmd "$build/libottla.a" "$work/parts.a"
ld -r --whole-archive "$work/parts.a" -o "$work/whole.o"
rm "$work/parts.a"
nm --defined-only --extern-only --format=posix "$work/whole.o" | awk '$1 ~ /^ottla_/ {print $1}' > "$work/public"
[ -s "$work/public" ] || { echo "$build/libottla.a defines no function of ottla.h" >&2; exit 1; }
objcopy --keep-global-symbols="$work/public" "$work/whole.o" "$work/ottla.o"
rm -f "$out/libottla.a"
ar rcs "$out/libottla.a" "$work/ottla.o"
chmod 644 "$out/libottla.a"
