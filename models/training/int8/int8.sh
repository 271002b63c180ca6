#!/usr/bin/env bash
# Phantoms -> networks in 8 bits -> tables on the cards, of packages that are trained already, with fixed seeds. Without a GPU, on one core:
# some 20 minutes for breast ultrasound, an hour for chest CT (estimated), 3 GB of disk.
#   int8.sh [us-breast] [ct-chest]
# Sign the packages afterwards. SCANSIDE_TRAINING names a work folder instead of .cache/training/int8, SCANSIDE_PHANTOM a `phantom`
# program that is built already, SCANSIDE_PYTHON a Python that has numpy, onnx, onnxruntime and scipy of requirements.txt.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=${SCANSIDE_TRAINING:-$root/.cache/training/int8}
. "$here/../environment.sh"

# Within TRAINING_SEEDS and EVALUATION_SEEDS of phantoms.py; the programs refuse other seeds.
training_seed=1000000 evaluation_seed=2000000

mkdir -p "$work"
python=${SCANSIDE_PYTHON:-}
if [ -z "$python" ]; then
  environment "$root/.cache/training/venv"
  python=$root/.cache/training/venv/bin/python
fi
phantom=${SCANSIDE_PHANTOM:-${CARGO_TARGET_DIR:-$root/target}/debug/phantom}
[ -n "${SCANSIDE_PHANTOM:-}" ] || cargo build --quiet --bin phantom --manifest-path "$root/Cargo.toml"

phantoms() { # package, first seed, of training or evaluation
  local out=$work/$1-$3
  rm -rf "$out"
  case $1-$3 in
    us-breast-training) "$phantom" ultrasound frames --seed "$2" --clips 24 --count 6 --out "$out" ;;
    us-breast-evaluation) "$phantom" ultrasound frames --seed "$2" --clips 10 --count 20 --out "$out" ;;
    ct-chest-training) "$phantom" volume --seed "$2" --count 12 --spacing 1.5 --out "$out" ;;
    ct-chest-evaluation) "$phantom" volume --seed "$2" --count 8 --spacing 1.5 --out "$out" ;;
    *) echo "int8.sh: what is $1?" >&2; exit 2 ;;
  esac
}

for package in "${@:-us-breast}"; do
  say "$package: phantoms"
  phantoms "$package" $training_seed training
  phantoms "$package" $evaluation_seed evaluation
  say "$package: network"
  few=()
  [ "$package" = ct-chest ] && few=(--calibrate 36 --choose 12)
  "$python" "$here/quantise.py" --package "$root/models/packages/$package" --phantoms "$work/$package-training" "${few[@]}"
  say "$package: comparison"
  "$python" "$here/compare.py" --package "$root/models/packages/$package" --phantoms "$work/$package-evaluation"
done
