#!/usr/bin/env bash
# Installs the peers of the tests of the inference protocol into .cache/inference (some 400 MB each). Without them these tests are
# skipped. Not part of `make setup`, because of their size.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
cache=$scripts/../../.cache/inference

install() {
  local folder=$cache/$1
  shift
  [ -e "$folder/ready" ] && return
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  touch "$folder/ready"
}

mkdir -p "$cache"
install venv -r "$scripts/inference.txt"
install kserve kserve==0.15.2 onnxruntime==1.32.0
