#!/usr/bin/env bash
# Phantoms -> weights -> thresholds -> package, with fixed seeds. Estimated: ten minutes with a GPU, half a day on two cores without other
# work, and 18 GB of disk.
# SCANSIDE_TRAINING names a folder for volumes and weights instead of .cache/training.
# --smoke: the same in minutes on few phantoms, as a test. The loss must fall and the ONNX file must give the results of PyTorch. The package is
# of no other use and stays in the work folder.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${SCANSIDE_TRAINING:-$root/.cache/training}
package=$root/models/packages/ct-chest
venv=$work/venv

# Same numbers as TRAINING_SEEDS and VALIDATION_SEEDS in phantoms.py, which refuses other seeds.
training_seed=1000000 training_count=448
validation_seed=1900000 validation_count=32
spacing=1.5
steps=(--steps 5100 --batch 32)
if [ "${1:-}" = --smoke ]; then
  # Of four consecutive training phantoms two have masks, one has boxes, one a study label.
  training_count=4 validation_count=1 steps=(--steps 20 --teach 5 15 --must-fall)
  work=$work/smoke
  package=$work/package
  rm -rf "$package"
fi

. "$here/environment.sh"

mkdir -p "$work"
environment "$venv"

say "phantoms"
# SCANSIDE_PHANTOM names a `phantom` program that is built already.
phantom=${SCANSIDE_PHANTOM:-${CARGO_TARGET_DIR:-$root/target}/debug/phantom}
[ -n "${SCANSIDE_PHANTOM:-}" ] || cargo build --quiet --bin phantom --manifest-path "$root/Cargo.toml"
# Makes volumes, four at a time on each core, and the list of their lesions.
volumes() { # first seed, how many, folder
  rm -rf "$3"
  seq "$1" 4 $(($1 + $2 - 1)) | RAYON_NUM_THREADS=1 xargs -P "$(nproc)" -I{} \
    "$phantom" volume --seed {} --count "$((${2} < 4 ? ${2} : 4))" --spacing $spacing --out "$3" >/dev/null
  "$venv/bin/python" "$here/phantoms.py" "$3"
}
volumes $training_seed $training_count "$work/training"
volumes $validation_seed $validation_count "$work/validation"

# One thread, because sums in another order would give other weights. The allocator keeps freed memory, because the arrays of each step
# have the same size.
export OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=8000000000
device=$("$venv/bin/python" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')
say "weights, on $device"
"$venv/bin/python" "$here/train.py" --phantoms "$work/training" --out "$work/network.pt" --device "$device" "${steps[@]}"
say "thresholds"
"$venv/bin/python" "$here/choose.py" --weights "$work/network.pt" --phantoms "$work/validation" --out "$work/thresholds.json"
say "package"
"$venv/bin/python" "$here/export.py" --weights "$work/network.pt" --thresholds "$work/thresholds.json" \
  --phantoms "$work/validation" --package "$package"
[ "${1:-}" = --smoke ] || say "'make evaluate' measures it and writes the table of $package/CARD.md"
say "done: $package"
