#!/usr/bin/env bash
# The demo: the round trips in C, C++ and Python, a million messages each way, on one broker: an embedded one, or the
# Kafka at BOOTSTRAP. `examples/run.sh all` runs every example there is, each also on a broker of its own.
#
# OTTLA_TARGET (default: target) is where cargo builds; OTTLA_PYTHON a Python that has the ottla package.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-demo}
target=$(realpath -m "${OTTLA_TARGET:-${CARGO_TARGET_DIR:-target}}")
out=$target/examples
release=$target/release
mkdir -p "$out"

say() { printf '== %s\n' "$*"; }

compile() { # language source
  local source=examples/$1/$2 program=$out/$1-${2%.*}
  local flags=(-O2 -Wall -Wextra -Iinclude "$source" -o "$program" "-L$release" "-Wl,-rpath,$release" -lottla)
  case $1 in
    c) cc -std=c99 "${flags[@]}" ;;
    cpp) c++ -std=c++17 -Ibindings/cpp/include "${flags[@]}" ;;
  esac
}

python() {
  if [ -n "${OTTLA_PYTHON:-}" ]; then
    echo "$OTTLA_PYTHON"
    return
  fi
  if ! [ -x "$out/venv/bin/python" ] && ! python3 -m venv "$out/venv" > "$out/venv.log" 2>&1; then
    cat "$out/venv.log" >&2
    echo "Python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  fi
  OTTLA_LIBRARY=$release/libottla.so "$out/venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps ./bindings/python >&2
  echo "$out/venv/bin/python"
}

say "building the library$([ -e "$release/libottla.so" ] || echo " (one to three minutes the first time)")"
make -s build
say "building the C and C++ programs"
for source in examples/c/*.c examples/cpp/*.cpp; do
  language=$(basename "$(dirname "$source")") name=$(basename "$source")
  if [ "$what" = all ] || [ "${name%.*}" = roundtrip ] || [ "$name" = broker.cpp ]; then
    compile "$language" "$name"
  fi
done
say "installing the Python package"
python=$(python)

if [ -n "${BOOTSTRAP:-}" ]; then
  servers=$BOOTSTRAP
  say "on the Kafka at $servers"
else
  # It ends when its standard input does, so also when this script is killed.
  coproc broker { exec "$out/cpp-broker"; }
  read -r servers <&"${broker[0]}"
  say "on an embedded broker at $servers"
fi
unset BOOTSTRAP

# Only what is shown is also what is summed up.
figures=$out/demo.txt
: > "$figures"
timeout 300 "$out/c-roundtrip" "$servers" | tee -a "$figures"
timeout 300 "$out/cpp-roundtrip" "$servers" | tee -a "$figures"
timeout 300 "$python" examples/python/roundtrip.py "$servers" | tee -a "$figures"

if [ "$what" = all ]; then
  for program in "$out"/c-* "$out"/cpp-*; do
    name=$(basename "$program")
    [ "$name" != cpp-broker ] || continue
    say "$name, alone"
    timeout 300 "$program"
  done
  say "cpp-producer, then cpp-consumer"
  timeout 300 "$out/cpp-producer" "$servers" ottla-example-both
  timeout 300 "$out/cpp-consumer" "$servers" ottla-example-both
  for program in examples/python/*.py; do
    say "$program, alone"
    timeout 300 "$python" "$program"
  done
  for name in hello roundtrip; do
    say "examples/rust/$name.rs, alone"
    timeout 300 cargo run --quiet --example "$name"
  done
fi

awk '
  match($0, /^[^:]+: (produced|consumed) [0-9]+ messages.* in [0-9.]+ s/) {
    split($0, part, ": "); language = part[1]
    split(part[2], word, " ")
    seconds = part[2]; sub(/.* in /, "", seconds); sub(/ s.*/, "", seconds)
    if (!(language in seen)) { order[++count] = language; seen[language] = 1 }
    messages[language] = word[2]
    time[language, word[1]] = seconds
  }
  function rate(language, verb,   s) {
    s = time[language, verb]
    return sprintf("%6.2f s %7.2f M/s", s, messages[language] / 1e6 / (s > 0.005 ? s : 0.005))
  }
  END {
    printf "\n%-8s %10s   %-20s   %-20s\n", "", "messages", "produced in", "consumed in"
    for (i = 1; i <= count; i++) {
      l = order[i]
      printf "%-8s %10d   %-20s   %-20s\n", l, messages[l], rate(l, "produced"), rate(l, "consumed")
    }
    exit count < 3
  }' "$figures"
