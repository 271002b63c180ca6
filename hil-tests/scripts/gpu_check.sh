#!/usr/bin/env bash
# `make gpu-check`: what can be known about the shipped networks and GPUs without a GPU. Their operators have kernels everywhere
# (operators.py); NVIDIA's own parser and builder make an engine of each for each compute capability, called by the product's own code
# (hal/tests/tensorrt.rs); the places at which that code calls are those of NVIDIA's headers. That an engine gives the right answer is not
# shown here: that takes a card (`make gpu`).
#
# The first run downloads 147 MB into .cache/tensorrt. Where they cannot be had, it says so and leaves that part out; with CI=true that
# is a failure.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$scripts/../.." && pwd)
cache=$root/.cache/tensorrt
cd "$root"

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

# Where functions stand by the headers of each version, in files for the test. CUDA's own header is not needed: two names of types are
# all that the others take from it.
places() {
  local folder file
  places=$cache/places
  mkdir -p "$cache/stub" "$places"
  printf 'typedef struct CUstream_st* cudaStream_t;\ntypedef struct CUevent_st* cudaEvent_t;\n' >"$cache/stub/cuda_runtime_api.h"
  for folder in "$(dirname "$includes")"/TRT-*/; do
    file=$places/$(basename "$folder").txt
    [ "$file" -nt hil-tests/tensorrt/places.cpp ] && continue
    g++ -std=c++20 -O0 -Wall -Wextra -Wno-invalid-offsetof -Wno-deprecated-declarations -isystem "$folder" -isystem "$cache/stub" \
      hil-tests/tensorrt/places.cpp -o "$cache/print-places"
    "$cache/print-places" >"$file.new"
    mv "$file.new" "$file"
  done
}

# ---------------------------------------------------------------- run

"$scripts/kernels_check.sh"
python3 -B "$scripts/operators.py"
[ "$(uname -m)" = x86_64 ] || skip "there is no TensorRT library for $(uname -m) on PyPI"
wheel
headers
places
# What `make gpu` asks of each network on a card, asked of the processor.
cargo run --quiet --package models --example measure -- golden models/packages cpu
# One after the other: the table has the time and the memory of each network.
SCANSIDE_TENSORRT=$libraries SCANSIDE_TENSORRT_PLACES=$places \
  cargo test --quiet --workspace --test tensorrt -- --nocapture --test-threads 1
