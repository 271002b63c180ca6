#!/usr/bin/env bash
# Phantoms -> weights -> thresholds -> package, with fixed seeds. About 40 minutes on two quiet cores; needs 6 GB of disk.
# SCANSIDE_TRAINING names another folder for volumes and weights than .cache/training.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${SCANSIDE_TRAINING:-$root/.cache/training}
package=$root/models/packages/ct-chest-nodules
python=$work/venv/bin/python

# Same numbers as TRAINING_SEEDS and VALIDATION_SEEDS in phantoms.py, which refuses any other.
training_seed=1000000 training_count=96
validation_seed=1900000 validation_count=20
spacing=1.5

say() { printf 'train: %s\n' "$*"; }

mkdir -p "$work"
if ! cmp -s "$here/requirements.txt" "$work/venv/.requirements"; then
  say "Python packages"
  rm -rf "$work/venv"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$work/venv/.requirements"
fi

say "phantoms"
cargo build --quiet -p hil-tests --bin phantom --manifest-path "$root/Cargo.toml"
rm -rf "$work/training" "$work/validation"
phantom=${CARGO_TARGET_DIR:-$root/target}/debug/phantom
"$phantom" volume --seed $training_seed --count $training_count --nodules 10 --spacing $spacing --out "$work/training"
"$phantom" volume --seed $validation_seed --count $validation_count --spacing $spacing --out "$work/validation"

# One thread: sums in another order would give other weights.
export OMP_NUM_THREADS=1
say "weights"
"$python" "$here/train.py" --phantoms "$work/training" --out "$work/network.pt"
say "thresholds"
"$python" "$here/choose.py" --weights "$work/network.pt" --phantoms "$work/validation" --out "$work/thresholds.json"
say "package"
"$python" "$here/export.py" --weights "$work/network.pt" --thresholds "$work/thresholds.json" --package "$package"
say "done; 'make evaluate' measures it and writes the table of $package/CARD.md"
