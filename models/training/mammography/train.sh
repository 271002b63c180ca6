#!/usr/bin/env bash
# Phantom cases -> candidate network -> scorer -> ablation -> models/packages/mg-breast, with fixed seeds. Everything on one thread.
#   train.sh                    560 cases to learn from, 90 for the scorer, 150 for the figures; 25 minutes of training
#   train.sh --minutes 60       longer
#   train.sh --smoke            the same in a minute or two on few cases, as a test: the loss must fall; the package is of no use
# SCANSIDE_TRAINING names a work folder instead of .cache/training/mammography, SCANSIDE_PHANTOM a `phantom` program that is built already,
# SCANSIDE_PYTHON a Python that has the packages of ../requirements.txt.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=${SCANSIDE_TRAINING:-$root/.cache/training/mammography}
package=$root/models/packages/mg-breast

# Within TRAINING_SEEDS, VALIDATION_SEEDS and EVALUATION_SEEDS of cases.py, which refuses other seeds.
training=560 validation=90 evaluation=150 stop=(--minutes 25) fall=() smoke=no
while [ $# -gt 0 ]; do
  case $1 in
    --smoke) smoke=yes training=10 validation=8 evaluation=8 stop=(--steps 30) fall=(--must-fall) work=$work/smoke ;;
    --minutes) stop=(--minutes "$2"); shift ;;
    *) echo "train.sh: what is $1?" >&2; exit 2 ;;
  esac
  shift
done
. "$here/../environment.sh"

mkdir -p "$work"
[ "$smoke" = no ] || rm -rf "${work:?}"/*
[ "$smoke" = no ] || package=$work/package
python=${SCANSIDE_PYTHON:-}
if [ -z "$python" ]; then
  # The environment of the CT network.
  venv=$root/.cache/training/venv
  environment "$venv"
  python=$venv/bin/python
fi
phantom=${SCANSIDE_PHANTOM:-${CARGO_TARGET_DIR:-$root/target}/debug/phantom}
[ -n "${SCANSIDE_PHANTOM:-}" ] || cargo build --quiet --bin phantom --manifest-path "$root/Cargo.toml"

made() { # folder, first seed, how many, options
  local folder=$work/$1 first=$2 count=$3
  shift 3
  [ "$(find "$folder" -name '*.json' ! -name '*-prior.json' 2>/dev/null | wc -l)" = "$count" ] && return
  "$phantom" mammography cases --seed "$first" --count "$count" --out "$folder" "$@"
}

export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
say "cases"
made training 1000000 $training
made validation 1900000 $validation --priors
made evaluation 2000000 $evaluation --priors
say "candidate network"
"$python" "$here/train.py" --cases "$work/training" --out "$work/candidates.pt" "${stop[@]}" "${fall[@]}"
say "scorer"
"$python" "$here/scorer.py" --cases "$work/validation" --weights "$work/candidates.pt" --out "$work/scorer.json"
say "ablation"
"$python" "$here/evaluate.py" --cases "$work/evaluation" --weights "$work/candidates.pt" --scorer "$work/scorer.json" --out "$work/figures.json"
say "package"
"$python" "$here/export.py" --weights "$work/candidates.pt" --scorer "$work/scorer.json" --figures "$work/figures.json" \
  --cases "$work/validation" --package "$package"
say "done: $package"
