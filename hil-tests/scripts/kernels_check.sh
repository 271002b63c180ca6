#!/usr/bin/env bash
# The kernels of hal/src/cuda/kernels without a card (part of `make gpu-check`): NVIDIA's compiler makes them for each compute capability,
# registers and spills are printed, and the PTX that is shipped is what the source gives. That a card computes with them what the
# processor does is shown by `make gpu` only; that the source does, by models/tests/steps.rs.
#
# The first run downloads 81 MB into .cache/nvrtc. Where they cannot be had, it says so; with CI=true that is a failure.
# SCANSIDE_BLESS=1 writes kernels.ptx anew.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$scripts/../.." && pwd)
cache=$root/.cache/nvrtc
source=$root/hal/src/cuda/kernels/kernels.cu
ptx=${source%.cu}.ptx
# Turing, Ampere (server, desktop, Orin), Ada, Hopper, Blackwell (server, Thor, desktop).
capabilities=(75 80 86 87 89 90 100 110 120 121)

skip() {
  [ "${CI:-}" = true ] && { echo "kernels: skipped, and with CI=true that is a failure: $*" >&2; exit 1; }
  echo "skipped: $*"
  [ -n "${SCANSIDE_SKIPPED:-}" ] && echo "kernels: $*" >>"$SCANSIDE_SKIPPED"
  exit 0
}
pinned() { awk -v what="$1" -v column="$2" '$1 == what {print $column}' "$scripts/nvrtc.txt"; }

# The library of one wheel, in `library`.
wheel() {
  local name version folder work
  name=$(pinned "$1" 2) version=$(pinned "$1" 3)
  folder=$cache/$version
  library=$folder/libnvrtc.so
  [ -e "$library" ] && return
  mkdir -p "$cache"
  echo "kernels: downloading $name $version"
  work=$(mktemp -d "$cache/download.XXXXXX")
  "$root/.cache/python/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 312 --platform manylinux2010_x86_64 --platform manylinux1_x86_64 --dest "$work" "$name==$version" ||
    { rm -rf "$work"; skip "$name $version cannot be downloaded"; }
  echo "$(pinned "$1" 4)  $(echo "$work"/*.whl)" | sha256sum --check --quiet ||
    { rm -rf "$work"; echo "kernels: the downloaded $name is not the pinned one (sha256)" >&2; exit 1; }
  python3 -m zipfile -e "$work"/*.whl "$work/unpacked"
  rm -rf "$folder"
  mkdir -p "$folder"
  # The compiler looks for its other part beside itself.
  find "$work/unpacked" -name 'libnvrtc*.so.*' -exec mv {} "$folder" \;
  (cd "$folder" && ln -s "$(ls -d libnvrtc.so.*)" libnvrtc.so)
  rm -rf "$work"
}

nvrtc() { # MODE SOURCE CAPABILITY...
  local mode=$1
  shift
  LD_LIBRARY_PATH=$(dirname "$library") python3 -B "$scripts/nvrtc.py" "$mode" "$library" "$@"
}

[ "$(uname -m)" = x86_64 ] || skip "the pinned NVRTC is for x86_64"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
wheel newest
nvrtc sass "$source" "${capabilities[@]}"
# What is no kernel must not pass, and a kernel that needs a stack must be seen.
refused() { # WORDS SED
  sed "$2" "$source" >"$made/refused.cu"
  if nvrtc sass "$made/refused.cu" 80 >"$made/said"; then echo "NOT REFUSED: $2"; exit 1; fi
  grep -q "$1" "$made/said" || { echo "refused for another reason than \"$1\":"; cat "$made/said"; exit 1; }
}
refused '"rounded" is undefined' 's/roundf(mean)/rounded(mean)/'
refused 'whole for 80 spills .* has a stack' 's/short\* out) {/short* out) { volatile float kept[400]; kept[*out] = 1;/'
wheel oldest
nvrtc ptx "$source" >"$made/kernels.ptx"
if [ -n "${SCANSIDE_BLESS:-}" ]; then cp "$made/kernels.ptx" "$ptx"; fi
cmp "$made/kernels.ptx" "$ptx" ||
  { echo "hal/src/cuda/kernels/kernels.ptx is not what its source gives: SCANSIDE_BLESS=1 hil-tests/scripts/kernels_check.sh" >&2; exit 1; }
echo "the PTX that is shipped is that of the source"
