#!/usr/bin/env bash
# The shared library exports ottla_ symbols and nothing else, and carries its SONAME.
# Usage: tests/symbols.sh DIRECTORY-OF-LIBOTTLA
set -euo pipefail
library=$1/libottla.so

exported=$(nm -D --defined-only "$library" | awk '{print $NF}' | sed 's/@.*//')
foreign=$(grep -v '^ottla_' <<<"$exported" || true)
if [ -n "$foreign" ]; then
  printf 'exported by %s, though not ottla_:\n%s\n' "$library" "$foreign" >&2
  exit 1
fi
declared=$(grep -ohE '\bottla_[a-z0-9_]+\(' "$(dirname "$0")/../include/ottla.h" | tr -d '(' | sort -u)
[ -n "$declared" ] || { echo "include/ottla.h declares no function" >&2; exit 1; }
absent=$(comm -23 <(echo "$declared") <(sort -u <<<"$exported"))
if [ -n "$absent" ]; then
  printf 'declared in ottla.h, but not exported by %s:\n%s\n' "$library" "$absent" >&2
  exit 1
fi
readelf -d "$library" | grep -q 'SONAME.*\[libottla\.so\.0\]' || { echo "$library has no SONAME libottla.so.0" >&2; exit 1; }
echo "ok: 3 checks"
