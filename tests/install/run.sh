#!/usr/bin/env bash
# `make install` into an empty tree, moved elsewhere by DESTDIR; then a C and a C++ program are built against it
# through pkg-config and through find_package, shared and static, and run.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make -s install PREFIX=/opt/ottla DESTDIR="$work/root"
tree=$work/root/opt/ottla
find "$tree" \( -type f -o -type l \) -printf '%P -> %l\n' | sort

export PKG_CONFIG_PATH=$tree/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root
[ "$(pkg-config --modversion ottla)" = "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" ]
read -ra flags <<<"$(pkg-config --cflags --libs ottla)"
cc -std=c99 -Wall -Wextra -Wpedantic -Werror tests/install/main.c "${flags[@]}" -o "$work/c_pkg"
c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror tests/install/main.cpp "${flags[@]}" -o "$work/cpp_pkg"
for program in c_pkg cpp_pkg; do
  readelf -d "$work/$program" | grep -q 'NEEDED.*libottla\.so\.0'
  LD_LIBRARY_PATH=$tree/lib "$work/$program"
done

cmake -S tests/install -B "$work/cmake" -DCMAKE_PREFIX_PATH="$tree" > /dev/null
cmake --build "$work/cmake" -j2 > /dev/null
for program in c_ottla cpp_ottla c_static cpp_static; do
  "$work/cmake/$program"
done
# Static as a whole. That glibc looks names up with shared libraries even then is glibc's, and a warning.
read -ra static <<<"$(pkg-config --cflags --libs --static ottla)"
cc -std=c99 -static tests/install/main.c "${static[@]}" -o "$work/c_all_static" 2> "$work/warnings" || { cat "$work/warnings" >&2; exit 1; }
"$work/c_all_static"
c++ -std=c++17 -static tests/install/main.cpp "${static[@]}" -o "$work/cpp_all_static" 2> "$work/warnings" || { cat "$work/warnings" >&2; exit 1; }
"$work/cpp_all_static"

# A program with symbols of zstd's and LZ4's names keeps its own.
cc -std=c99 -Wall -Wextra -Werror tests/install/own_codecs.c -I"$tree/include" "$tree/lib/libottla.a" -lpthread -ldl -lm -lrt -o "$work/own_codecs"
"$work/own_codecs"
foreign=$(nm -g --defined-only "$tree/lib/libottla.a" | awk 'NF == 3 {print $3}' | grep -v '^ottla_' || true)
if [ -n "$foreign" ]; then
  printf 'libottla.a has global symbols that are not ottla_:\n%s\n' "$foreign" >&2
  exit 1
fi

# Shipped without debug information, which a debugger finds beside it.
shared=$(readlink -f "$tree/lib/libottla.so")
if readelf -SW "$shared" | grep -q '\.debug_\|\.symtab'; then
  echo "$shared is not stripped" >&2
  exit 1
fi
readelf -SW "$shared" | grep -q '\.gnu_debuglink'
readelf -SW "$tree/lib/.debug/$(basename "$shared").debug" | grep -q '\.debug_line'
for page in README.md CHANGELOG.md LICENSE docs/{configuration,statistics,faults,kips}.md docs/speed-c.svg examples/c/hello.c; do
  [ -s "$tree/share/doc/ottla/$page" ] || { echo "$page is not installed" >&2; exit 1; }
done

if readelf -d "$work/cmake/c_static" | grep -q libottla; then
  echo "the static program needs the shared library" >&2
  exit 1
fi
