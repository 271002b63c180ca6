#!/usr/bin/env bash
# `make gpu-check`: what can be known about the shipped networks and GPUs without a GPU. Their operators have kernels everywhere
# (operators.py); NVIDIA's own parser knows them, and its builder makes an engine for each compute capability. That an engine
# gives the right answer is not shown here: that takes a card (`make gpu`).
#
# The first run downloads 147 MB into .cache/tensorrt. Where they cannot be had, it says so and leaves that part out; with CI=true that
# is a failure.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$scripts/../.." && pwd)
cache=$root/.cache/tensorrt
cd "$root"

# Turing, Ampere (server, desktop), Ada, Blackwell. This TensorRT refuses 87 (Orin), 90 (Hopper) and 110 (Thor).
capabilities=(75 80 86 89 120)
# NETWORK:CAPABILITY for which no engine is expected. Turing has no 3-D convolution in FP32; cards get FP16.
exceptions="chest.onnx:75"
# Stands for open extents: the patch of the CT network.
extent=96

skip() {
  [ "${CI:-}" = true ] && { echo "gpu-check: skipped, and with CI=true that is a failure: $*" >&2; exit 1; }
  echo "skipped: $*"
  [ -n "${SCANSIDE_SKIPPED:-}" ] && echo "gpu-check: $*" >>"$SCANSIDE_SKIPPED"
  exit 0
}
pinned() { awk -v what="$1" -v column="$2" '$1 == what {print $column}' "$scripts/tensorrt.txt"; }

# The wheel's two libraries.
wheel() {
  local name version work
  name=$(pinned wheel 2) version=$(pinned wheel 3)
  libraries=$cache/$version
  [ -f "$libraries/libtensorrt_rtx.so.1" ] && return
  mkdir -p "$cache"
  echo "gpu-check: downloading $name $version (147 MB)"
  work=$(mktemp -d "$cache/download.XXXXXX")
  "$root/.cache/python/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 312 --platform manylinux_2_28_x86_64 --dest "$work" "$name==$version" ||
    { rm -rf "$work"; skip "$name $version cannot be downloaded"; }
  echo "$(pinned wheel 4)  $(echo "$work"/*.whl)" | sha256sum --check --quiet ||
    { rm -rf "$work"; echo "gpu-check: the downloaded $name is not the pinned one (sha256)" >&2; exit 1; }
  python3 -m zipfile -e "$work"/*.whl "$work/unpacked"
  mkdir -p "$libraries"
  local library file
  for library in libtensorrt_rtx libtensorrt_onnxparser_rtx; do
    file=$(echo "$work"/unpacked/*/"$library".so.*)
    mv "$file" "$libraries/$library.so.1"
  done
  rm -rf "$work"
}

# The headers, from where cargo gets crates.
headers() {
  local name version file
  name=$(pinned headers 2) version=$(pinned headers 3)
  includes=$cache/$name-$version/$(pinned headers 5)
  [ -f "$includes/NvInfer.h" ] && return
  mkdir -p "$cache"
  file=$cache/$name.crate
  python3 - "$name" "$version" "$file" <<'P' || skip "the crate $name $version cannot be downloaded"
import json, sys, urllib.request
name, version, file = sys.argv[1:]
place = json.load(urllib.request.urlopen("https://index.crates.io/config.json", timeout=60))["dl"]
with urllib.request.urlopen(f"{place}/{name}/{version.replace('+', '%2B')}/download", timeout=60) as answer:
    open(file, "wb").write(answer.read())
P
  echo "$(pinned headers 4)  $file" | sha256sum --check --quiet ||
    { rm -f "$file"; echo "gpu-check: the downloaded $name is not the pinned one (sha256)" >&2; exit 1; }
  tar -xzf "$file" -C "$cache"
  rm -f "$file"
}

# CUDA's own header is not needed: two names of types are all that the others take from it.
compile() {
  probe=$cache/probe
  [ "$probe" -nt hil-tests/tensorrt/probe.cpp ] && return
  mkdir -p "$cache/stub"
  printf 'typedef struct CUstream_st* cudaStream_t;\ntypedef struct CUevent_st* cudaEvent_t;\n' >"$cache/stub/cuda_runtime_api.h"
  g++ -std=c++17 -O1 -Wall -Wextra -isystem "$includes" -isystem "$cache/stub" hil-tests/tensorrt/probe.cpp -o "$probe" -ldl
}

# ---------------------------------------------------------------- run

"$scripts/kernels_check.sh"
python3 -B "$scripts/operators.py"
[ "$(uname -m)" = x86_64 ] || skip "there is no TensorRT library for $(uname -m) on PyPI"
wheel
headers
compile
failed=0 said=$(mktemp)
trap 'rm -f "$said"' EXIT
printf '\n%-24s %6s %8s %10s %8s  %s\n' network layers seconds 'engine MB' 'peak MiB' 'engines for'
for network in models/packages/*/*.onnx hal/src/accel/*.onnx models/src/*.onnx; do
  name=$(basename "$network")
  if ! row=$(LD_LIBRARY_PATH=$libraries "$probe" "$network" "$extent" "${capabilities[@]}" 2>"$said"); then
    failed=1
    printf '%-24s FAILED\n' "$name"
    sed 's/^/    /' "$said"
    continue
  fi
  IFS=$'\t' read -r layers seconds bytes peak built not_built loaded <<<"$row"
  printf '%-24s %6s %8s %10s %8s  %s\n' "$name" "$layers" "$seconds" "$(awk -v b="$bytes" 'BEGIN {printf "%.1f", b / 1e6}')" "$peak" "$built"
  for capability in ${not_built//,/ }; do
    if [ "$capability" = - ]; then continue; fi
    if [[ " $exceptions " == *" $name:$capability "* ]]; then
      echo "    none for $capability, as is known"
    else
      failed=1
      echo "    NO ENGINE for $capability"
      sed 's/^/    /' "$said"
    fi
  done
  last=$loaded
done
# What is no network must not pass.
echo "no network" >"$said"
if LD_LIBRARY_PATH=$libraries "$probe" "$said" "$extent" 80 >/dev/null 2>&1; then
  failed=1
  echo "THE PARSER ACCEPTS WHAT IS NO NETWORK"
fi
echo "an engine without a driver: ${last:-not tried}"
exit "$failed"
