#!/usr/bin/env bash
# Install Ottla: libraries, headers, pkg-config and CMake files, documentation.
# Usage: packaging/install.sh BUILD-DIRECTORY VERSION PREFIX [DESTDIR]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 version=$2 prefix=$3 root=${4:-}$3
abi=${version%%.*}

install -d "$root/lib/pkgconfig" "$root/lib/cmake/ottla" "$root/include"
packaging/libraries.sh "$build" "$root/lib" "libottla.so.$version"
ln -sf "libottla.so.$version" "$root/lib/libottla.so.$abi"
ln -sf "libottla.so.$abi" "$root/lib/libottla.so"
install -m 644 include/ottla.h "$root/include/ottla.h"
cp -r bindings/cpp/include/. "$root/include/"

for template in packaging/*.in; do
  case $template in
    *.pc.in) to=$root/lib/pkgconfig ;;
    *) to=$root/lib/cmake/ottla ;;
  esac
  file=$to/$(basename "$template" .in)
  sed -e "s|@PREFIX@|$prefix|g" -e "s|@VERSION@|$version|g" -e "s|@ABI@|$abi|g" "$template" > "$file"
  chmod 644 "$file"
done
install -d "$root/share/doc/ottla/examples"
install -m 644 README.md CHANGELOG.md LICENSE "$root/share/doc/ottla/"
cp -r docs "$root/share/doc/ottla/" # in its own directory, so that the README's links work
cp -r examples/c examples/cpp "$root/share/doc/ottla/examples/"
echo "installed Ottla $version under $root"
