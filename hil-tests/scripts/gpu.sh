#!/usr/bin/env bash
# `make gpu`: what only a machine with a card can show. Contract of the accelerator, golden runs, whole CTs, live pictures, FP16 beside
# FP32, no memory left, kill -9. Every step has its own time limit, none stops the others, and each says what failed. At the end one
# table; $OUT/gpu.json and $OUT/logs.tar.gz (OUT is out/gpu when not set).
#
#   gpu.sh                        builds, then runs everything on CUDA
#   gpu.sh --accelerator cpu      the same without a card: tries the script itself
#   gpu.sh --quick                small phantoms and short times
#   gpu.sh --programs FOLDER      programs that were built elsewhere, instead of building (FOLDER/contract is the tests of `hal`, FOLDER/steps the test steps_card of `models`)
#   gpu.sh --only "golden ct"     only these steps
#
# SCANSIDE_ONNXRUNTIME names a libonnxruntime.so that was built with CUDA, its provider libraries beside it; the libraries of CUDA and
# cuDNN must be where the loader looks (LD_LIBRARY_PATH). The live step also needs dbus-daemon. SCANSIDE_TENSORRT names the folder of
# TensorRT's libraries (libnvinfer.so.11 or .10, or libtensorrt_rtx.so.1, and the parser of ONNX) for the steps trt_*.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$scripts/../.." && pwd)
cd "$root"

accelerator=cuda programs="" quick="" only=""
steps="phantoms contract golden ct ct_cpu pictures beside_thread beside_process live precision memory killed"
# The same on TensorRT itself; "not tried" where there is none.
steps+=" trt_contract trt_golden trt_patches trt_ct trt_pictures trt_beside_thread trt_live"
inner=""
# The arithmetic of the kernels, before anything that may use them.
steps=${steps/contract/contract kernels lent}
while [ $# -gt 0 ]; do
  case $1 in
    --accelerator) accelerator=$2; shift 2 ;;
    --programs) programs=$(cd "$2" && pwd); shift 2 ;;
    --quick) quick=yes; shift ;;
    --only) only=$2; shift 2 ;;
    --step) inner=$2; shift 2 ;;
    *) echo "gpu: unknown option $1 (see the head of $0)" >&2; exit 2 ;;
  esac
done
export OUT=${OUT:-$root/out/gpu}
export SCANSIDE_WORKSPACE=$root SCANSIDE_ONNXRUNTIME=${SCANSIDE_ONNXRUNTIME:-$root/.cache/onnxruntime/libonnxruntime.so}
# Phantoms, answers and logs. Not below OUT: they are large.
export GPU_WORK=${GPU_WORK:-$root/out/gpu-work}
work=$GPU_WORK
packages=$root/models/packages
if [ -n "$quick" ]; then
  series=2 phantom=(--small) seconds=2 live=(--seconds 6) evaluated=1
else
  series=3 phantom=(--slices 300 --slice-mm 1.0) seconds=8 live=(--minutes 1 --load) evaluated=10
fi

say() { printf 'gpu: %s\n' "$*"; }
fail() { printf 'gpu: %s\n' "$*" >&2; exit 1; }
not_tried=77 # exit status of a step
gpu_py() { python3 -B "$scripts/gpu.py" "$@"; }

# ---------------------------------------------------------------- building

build() {
  cargo build --release --bin scansided --bin scansidectl --bin phantom --bin evaluate --bin demo_live
  cargo build --release -p models --example measure
  local contract
  contract=$(cargo test --release --no-run -p hal --lib --message-format=json |
    python3 -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")][-1])')
  programs=$root/target/release
  ln -sfn "$contract" "$programs/contract"
  contract=$(cargo test --release --no-run -p models --test steps_card --message-format=json |
    python3 -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")][-1])')
  ln -sfn "$contract" "$programs/steps"
  ln -sfn "$programs/examples/measure" "$programs/measure"
}

# ---------------------------------------------------------------- steps

config() { # FILE ACCELERATOR
  printf '[accelerator]\nprovider = "%s"\n' "$2" >"$1"
}

# watched FILE COMMAND...: the card's memory is read into FILE while the command runs.
watched() {
  local file=$1
  shift
  python3 -B "$scripts/gpu.py" watch "$file" &
  # shellcheck disable=SC2064
  trap "kill $! 2>/dev/null || true" EXIT
  "$@"
}

phantoms() {
  local number seed
  for number in $(seq "$series"); do
    seed=$((2000000 + number))
    "$programs/phantom" study --seed "$seed" --findings all "${phantom[@]}" --out "$work/studies/$seed"
  done
}

contract() {
  local said
  [ "$accelerator" = cuda ] && export SCANSIDE_GPU=required
  "$programs/contract" contract::tests::real_ --skip v4l2 --skip tensorrt --skip lent --nocapture --test-threads=1 2>&1 | tee "$work/contract.txt"
  said=$(sed -n 's/^test result: ok. \([0-9]*\) passed.*/\1/p' "$work/contract.txt")
  [ "${said:-0}" -ge 3 ] || fail "only ${said:-0} contract tests ran"
}

# Each step on the card beside its twin on the processor, on random inputs, bit by bit (models/tests/steps_cases).
kernels() {
  [ "$accelerator" = cpu ] && { say "not run: no card"; exit "$not_tried"; }
  SCANSIDE_GPU=required "$programs/steps" --nocapture 2>&1 | tee "$work/kernels.txt"
  grep -q '^test result: ok. 1 passed' "$work/kernels.txt" || fail "the kernels were not compared"
}

# Pictures that the card reads where the capture device has put them: shared memory, and a video device where there is one. Says by which
# way; a card that cannot is "not tried".
lent() {
  [ "$accelerator" = cpu ] && { say "not run: no card"; exit "$not_tried"; }
  SCANSIDE_GPU=required "$programs/contract" contract::tests::real_lent --nocapture --test-threads=1 2>&1 | tee "$work/lent.txt"
  grep -q '^test result: ok. 1 passed' "$work/lent.txt" || fail "lending was not tried"
  ! grep -q '^lent: refused' "$work/lent.txt" || exit "$not_tried"
}

golden() { "$programs/measure" golden "$packages" "$accelerator" | tee "$work/golden.jsonl"; }

# analyse PROVIDER FOLDER NAME: the findings are in NAME.json, the time in NAME.seconds.
analyse() {
  local begun
  config "$work/$1.toml" "$1"
  begun=$(date +%s.%N)
  "$programs/scansidectl" --json analyze --config "$work/$1.toml" --packages "$packages" --out "$work/$3-results" "$2" >"$work/$3.json"
  echo "$(date +%s.%N) $begun" | awk '{printf "%.2f\n", $1 - $2}' >"$work/$3.seconds"
}

ct() {
  watched "$work/ct.memory" analyse "$accelerator" "$work/studies" ct
  gpu_py provider "$work/ct.json" "$accelerator"
}

ct_cpu() {
  analyse cpu "$work/studies" ct-cpu
  gpu_py compare "$work/ct.json" "$work/ct-cpu.json" | tee "$work/compare.txt"
}

pictures() {
  watched "$work/pictures.memory" "$programs/measure" picture "$packages" "$accelerator" "$seconds" | tee "$work/pictures.jsonl"
}

beside_thread() { "$programs/measure" picture "$packages" "$accelerator" "$seconds" beside | tee "$work/beside-thread.jsonl"; }

# The other process must be at work before the pictures begin, and until they end.
beside_process() {
  local other status=0
  "$programs/measure" load "$packages" "$accelerator" $((seconds * 3 + 6)) >"$work/load.jsonl" &
  other=$!
  sleep 5
  "$programs/measure" picture "$packages" "$accelerator" "$seconds" | tee "$work/beside-process.jsonl" || status=$?
  wait "$other" || status=$?
  cat "$work/load.jsonl"
  return "$status"
}

live() {
  watched "$work/live.memory" "$programs/demo_live" --out "$work/live" --accelerator "$accelerator" "${live[@]}"
}

# The same phantoms by both precisions of the chest network: a package without the variants for cards leaves FP32 for every accelerator.
precision() {
  local fp32=$work/fp32 fp16 status=0
  rm -rf "$fp32"
  mkdir -p "$fp32"
  cp -r "$packages/ct-chest" "$fp32/"
  gpu_py only_fp32 "$fp32/ct-chest/model.toml"
  config "$work/precision.toml" "$accelerator"
  set -- --count "$evaluated" --calcium 0 --dry-run --config "$work/precision.toml"
  "$programs/evaluate" "$@" --package "$packages/ct-chest" --out "$work/fp16.json" >"$work/fp16.txt" &
  fp16=$!
  "$programs/evaluate" "$@" --package "$fp32/ct-chest" --out "$work/fp32.json" >"$work/fp32.txt" || status=$?
  wait "$fp16" || status=$?
  cat "$work/fp16.txt" "$work/fp32.txt"
  return "$status"
}

# Another process takes all of the card but LEFT MiB: too little for CUDA itself, for the network, for its workspace. The analysis must end by itself: on the CPU, or with a message that says why.
memory() {
  local left holder status study failed=0
  [ "$accelerator" = cpu ] && { say "there is no card to fill"; exit "$not_tried"; }
  rm -f "$work/memory.jsonl"
  study=$(find "$work/studies" -mindepth 1 -maxdepth 1 | sort | head -n 1)
  for left in 300 900 2500; do
    rm -f "$work/held"
    python3 -B "$scripts/gpu.py" hold "$left" "$work/held" &
    holder=$!
    for _ in $(seq 200); do
      [ -s "$work/held" ] && break
      kill -0 "$holder" 2>/dev/null || break
      sleep 0.1
    done
    [ -s "$work/held" ] || { say "the card could not be filled"; failed=1; }
    status=0
    timeout 60 "$programs/scansidectl" --json analyze --config "$work/$accelerator.toml" --packages "$packages" "$study" \
      >"$work/memory-$left.json" 2>"$work/memory-$left.txt" || status=$?
    kill "$holder" 2>/dev/null || true
    wait "$holder" 2>/dev/null || true
    gpu_py ended "$work" "$left" "$status" || failed=1
  done
  return "$failed"
}

# kill -9 while it loads, starts, and works; the run after that gives what the first run gave.
killed() {
  local after study process
  study=$(find "$work/studies" -mindepth 1 -maxdepth 1 | sort | head -n 1)
  config "$work/$accelerator.toml" "$accelerator"
  for after in 0.7 2 4; do
    "$programs/scansidectl" --json analyze --config "$work/$accelerator.toml" --packages "$packages" "$study" >/dev/null 2>&1 &
    process=$!
    sleep "$after"
    if kill -9 "$process" 2>/dev/null; then say "killed after $after s"; else say "had ended after $after s"; fi
    wait "$process" 2>/dev/null || true
  done | tee "$work/killed.txt"
  analyse "$accelerator" "$study" after-kill
  gpu_py provider "$work/after-kill.json" "$accelerator"
  gpu_py compare "$work/after-kill.json" "$work/ct.json" same | tee -a "$work/killed.txt"
}

# ---------------------------------------------------------------- TensorRT itself

trt() {
  [ "$accelerator" = cpu ] && { say "there is no card"; exit "$not_tried"; }
  [ -n "${SCANSIDE_TENSORRT:-}" ] || { say "SCANSIDE_TENSORRT names no TensorRT"; exit "$not_tried"; }
}

trt_contract() {
  trt
  SCANSIDE_GPU=required "$programs/contract" contract::tests::real_tensorrt --nocapture --test-threads=1 2>&1 | tee "$work/trt-contract.txt"
  grep -q '^test result: ok. 1 passed' "$work/trt-contract.txt" || fail "the contract was not tried"
}

trt_golden() {
  trt
  "$programs/measure" golden "$packages" tensorrt | tee "$work/trt-golden.jsonl"
}

# One volume with its patches on the card, and through the host's memory: equal maps, and the time of both.
trt_patches() {
  trt
  "$programs/measure" patches "$packages" tensorrt | tee "$work/trt-patches.jsonl"
}

trt_ct() {
  trt
  watched "$work/ct-trt.memory" analyse tensorrt "$work/studies" ct-trt
  gpu_py provider "$work/ct-trt.json" tensorrt
  gpu_py compare "$work/ct-trt.json" "$work/ct.json" | tee "$work/trt-compare.txt"
}

trt_pictures() {
  trt
  "$programs/measure" picture "$packages" tensorrt "$seconds" | tee "$work/trt-pictures.jsonl"
}

trt_beside_thread() {
  trt
  "$programs/measure" picture "$packages" tensorrt "$seconds" beside | tee "$work/trt-beside-thread.jsonl"
}

trt_live() {
  trt
  watched "$work/trt-live.memory" "$programs/demo_live" --out "$work/trt-live" --accelerator tensorrt "${live[@]}"
}

# ---------------------------------------------------------------- run

if [ -n "$inner" ]; then
  "$inner"
  exit
fi

limit() { # seconds for a step
  case $1 in
    phantoms | precision | ct_cpu) echo 150 ;;
    live | trt_live) echo 180 ;;
    # TensorRT proper tries kernels for minutes.
    trt_golden | trt_ct | trt_patches) echo 600 ;;
    memory) echo 200 ;;
    *) echo 90 ;;
  esac
}

[ -n "$programs" ] || build
for program in scansided scansidectl phantom evaluate demo_live measure contract steps; do
  [ -x "$programs/$program" ] || fail "$programs/$program is missing"
done
[ -r "$SCANSIDE_ONNXRUNTIME" ] || fail "SCANSIDE_ONNXRUNTIME=$SCANSIDE_ONNXRUNTIME cannot be read"
[ -n "$only" ] || rm -rf "$work"
mkdir -p "$work" "$OUT"
config "$work/$accelerator.toml" "$accelerator"
gpu_py device "$work/device.json" "$accelerator" || true
failed=0
for step in ${only:-$steps}; do
  say "== $step"
  begun=$(date +%s.%N) verdict=ok status=0
  timeout -k 10 "$(limit "$step")" bash "$0" --step "$step" --accelerator "$accelerator" --programs "$programs" \
    ${quick:+--quick} >"$work/$step.log" 2>&1 || status=$?
  case $status in
    0) ;;
    "$not_tried") verdict="not tried" ;;
    124 | 137) verdict="too slow" failed=1 ;;
    *) verdict=FAILED failed=1 ;;
  esac
  touch "$work/steps.txt"
  sed -i "/^$step /d" "$work/steps.txt" # of an earlier call with --only
  echo "$step $(date +%s.%N) $begun ${verdict// /_}" | awk '{printf "%s %.1f %s\n", $1, $2 - $3, $4}' >>"$work/steps.txt"
  tail -n "$([ "$verdict" = ok ] && echo 4 || echo 25)" "$work/$step.log" | cut -c 1-400
  say "$step: $verdict, $(tail -n 1 "$work/steps.txt" | cut -d ' ' -f 2) s"
  gpu_py report "$work" "$OUT/gpu.json" >"$work/table.txt" || { failed=1; say "the table cannot be made"; }
  (cd "$work" && tar -czf "$OUT/logs.tar.gz" ./*.log ./*.txt) || say "the logs cannot be packed"
done
cat "$work/table.txt"
exit "$failed"
