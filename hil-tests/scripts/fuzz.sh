#!/usr/bin/env bash
# `make fuzz`: libFuzzer with AddressSanitizer searches for inputs that break what reads bytes of others.
#
#   fuzz.sh MINUTES [TARGET...]      each target for so long; all of them when none is named
#   fuzz.sh list                     their names
#
# What was found to be worth trying stays in out/fuzz/corpus and is where the next run begins; inputs that crash, hang or ask
# for too much memory are kept in out/fuzz/crashes. Exits with 1 when there is one. C and C++ are instrumented when clang is
# there (`setup.sh fuzz` installs it); with another compiler they are checked only where Rust calls them.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
out=$root/out/fuzz
fuzz=$root/hil-tests/fuzz
minutes=${1:-1}
[ $# -gt 0 ] && shift
named() { sed -n 's/^    \(target\|decoder\)("\([a-z0-9_]*\)".*/\2/p' "hil-tests/tests/mutation/$1.rs"; }
known=$(named decoders; named others)
[ "$minutes" = list ] && { echo "$known"; exit 0; }
for name in "$@"; do
  grep -qx "$name" <<<"$known" || { echo "fuzz: no target is called $name; there are: $(xargs <<<"$known")" >&2; exit 2; }
done
targets=${*:-$known}
# Decoders alone are built in a fraction of the time.
features=--no-default-features
for name in $targets; do named decoders | grep -qx "$name" || features=; done

triple=$(rustc -vV | sed -n 's/^host: //p')
# The same versions of everything that is shipped.
cp Cargo.lock "$fuzz/Cargo.lock"
ignored=$out/not-instrumented.txt
mkdir -p "$out"
echo 'src:*libfuzzer/*' >"$ignored"
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
variable=${triple//-/_}
clang=$(compgen -c clang | grep -xE 'clang(-[0-9]+)?' | sort -V | tail -n 1 || true)
if [ -n "$clang" ]; then
  flags="-fsanitize=address -fsanitize-ignorelist=$ignored -fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp
    -fsanitize-coverage-ignorelist=$ignored -fno-omit-frame-pointer"
  export "CC_$variable=$clang" "CXX_$variable=${clang/clang/clang++}"
  export "CFLAGS_$variable=$(xargs <<<"$flags")" "CXXFLAGS_$variable=$(xargs <<<"$flags")"
fi
# RUSTC_BOOTSTRAP: the sanitizer is part of the stable toolchain, its switch is not.
echo "fuzz: building (the first time takes many minutes)"
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(xargs <<<"$coverage") -Zsanitizer=address" CARGO_TARGET_DIR=$root/target/fuzz \
  cargo build --quiet --release $features --target "$triple" --manifest-path "$fuzz/Cargo.toml"
program=$root/target/fuzz/$triple/release/fuzz

export SCANSIDE_SHARED=${SCANSIDE_SHARED:-$root/../shared}
# A freed block is watched for a while only, so that the figure for the memory is that of the program.
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=32:allocator_release_to_os_interval_ms=500:${ASAN_OPTIONS:-}
failed=0
table=""
for name in $targets; do
  corpus=$out/corpus/$name seeds=$out/seeds/$name crashes=$out/crashes/$name log=$out/$name.log
  mkdir -p "$corpus" "$seeds" "$crashes"
  export SCANSIDE_FUZZ_TARGET=$name
  SCANSIDE_FUZZ_SEEDS=$seeds "$program" >"$log" 2>&1 || { cat "$log"; exit 1; }
  verdict="no crash"
  # The processor time counts: on a busy machine a minute is not a minute.
  run() {
    "$program" "$corpus" "$seeds" "-max_total_time=$(awk "BEGIN {print int($minutes * 60)}")" "-artifact_prefix=$crashes/" \
      -timeout=25 -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=65536 -report_slow_units=25 -print_final_stats=1 -verbosity=1 >"$log" 2>&1
  }
  if ! { TIMEFORMAT=%U && time run; } 2>"$out/cpu"; then
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    verdict="FAILED: ${input:-see $log}" failed=1
    grep -m 3 -E 'panicked|ERROR|SUMMARY' "$log" || tail -n 5 "$log"
  fi
  number() { sed -n "s/.*$1 *\([0-9]*\).*/\1/p" "$log" | tail -n 1; }
  line=$(printf '%-14s %8s s CPU %12s inputs %6s edges %5s kept %6s MiB  %s' "$name" "$(tail -n 1 "$out/cpu")" \
    "$(number 'stat::number_of_executed_units:')" "$(number ' cov:')" "$(find "$corpus" -type f | wc -l)" \
    "$(number 'stat::peak_rss_mb:')" "$verdict")
  echo "$line"
  table+=$line$'\n'
done
printf '\n== %s\n%s' "make fuzz, $minutes min for each target" "$table"
printf '%s' "$table" >>"$out/table.txt"
[ "$failed" = 0 ] || echo "again: SCANSIDE_FUZZ_TARGET=name $program INPUT"
exit $failed
