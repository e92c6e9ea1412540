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
if readelf -d "$work/cmake/c_static" | grep -q libottla; then
  echo "the static program needs the shared library" >&2
  exit 1
fi
