#!/usr/bin/env bash
# `make check`: runs all steps, also after one has failed. The summary at the end says what failed and how long each step took.
#
#   check.sh               everything: format, rules, architecture, dependencies, networks, yocto, clippy, tests, docs
#   check.sh all           the same
#   check.sh lint          everything but the tests
#   check.sh test          format and tests only
#   check.sh report        one crate (by its name or its folder's): format, rules, architecture, clippy, its tests
#
# Tests run under cargo-nextest where that is installed.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
part=${1:-all}
export PATH="$root/.cache/tools/bin:$PATH"
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
# Incremental compilation does not help when one commit is built, and it takes time and space.
[ "${CI:-}" = true ] && export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
SCANSIDE_SKIPPED=$(mktemp)
export SCANSIDE_SKIPPED
trap 'rm -f "$SCANSIDE_SKIPPED"' EXIT

# ---------------------------------------------------------------- steps

format() { cargo fmt "${packages[@]/#--workspace/--all}" --check; }
rules() { hil-tests/scripts/rules.sh; }
architecture() {
  (cd hil-tests/scripts && python3 -B -m unittest -q) && python3 -B hil-tests/scripts/architecture.py
}
networks() { hil-tests/scripts/gpu_check.sh; }
yocto() { hil-tests/scripts/yocto.sh; }
lints() {
  cargo clippy "${packages[@]}" --all-targets --keep-going -- -D warnings || return
  # What others may use of us builds without the command line client.
  [ "$part" = all ] || [ "$part" = lint ] || return 0
  cargo clippy --package scanside-client --lib --no-default-features -- -D warnings
}
docs() { RUSTDOCFLAGS="-D warnings" cargo doc "${packages[@]}" --no-deps; }

# Bans, licences and sources can be checked offline. Advisories and yanked versions need the RustSec database, which a machine in a clinic or
# behind a proxy may not reach. Then they are not checked, and the summary says so.
dependencies() {
  cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is not installed: run \`make setup\`"; return 1; }
  cargo fetch --locked --quiet || echo "some crates could not be downloaded; only those that are here are checked"
  cargo deny --offline --log-level error check --hide-inclusion-graph bans licenses sources || return
  if timeout 60 cargo deny --log-level off fetch db >/dev/null 2>&1; then
    cargo deny --log-level error check --hide-inclusion-graph advisories
  else
    note "advisories not checked: the RustSec database cannot be reached from here"
  fi
}

tests() {
  # These tests start programs of the workspace, so all programs are built first, with the same features as the tests.
  if [ "$part" = "$bench" ]; then cargo build --workspace --bins || return; fi
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run "${packages[@]}" --no-fail-fast --no-tests=pass && cargo test "${packages[@]}" --doc --no-fail-fast
  else
    cargo test "${packages[@]}" --no-fail-fast
  fi
}

# ---------------------------------------------------------------- which

bench=hil-tests
# The package whose name, or whose folder's name, is $1.
package_of() {
  cargo metadata --no-deps --format-version 1 | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
names = {os.path.basename(os.path.dirname(p["manifest_path"])): p["name"] for p in packages}
names |= {p["name"]: p["name"] for p in packages}
print(names.get(sys.argv[1], ""))' "$1"
}
case $part in
  all) packages=(--workspace) steps=(format rules architecture dependencies networks yocto lints tests docs) ;;
  lint) packages=(--workspace) steps=(format rules architecture dependencies networks yocto lints docs) ;;
  test) packages=(--workspace) steps=(format tests) ;;
  *)
    package=$(package_of "$part")
    [ -n "$package" ] || { echo "check: no crate is called $part" >&2; exit 2; }
    part=$package packages=(-p "$package") steps=(format rules architecture lints tests)
    ;;
esac

# ---------------------------------------------------------------- run

notes="" failed=0 table=""
note() { echo "$1"; notes+="note: $1"$'\n'; }
for step in "${steps[@]}"; do
  printf '\n== %s\n' "$step"
  begun=$SECONDS
  if "$step"; then verdict=ok; else verdict=FAILED failed=1; fi
  table+=$(printf '  %-14s%-8s%5d s' "$step" "$verdict" $((SECONDS - begun)))$'\n'
done
printf '\n== summary of check %s\n%s%s' "$part" "$table" "$notes"
if [ -s "$SCANSIDE_SKIPPED" ]; then
  printf 'skipped tests (what they need is not here):\n'
  sort "$SCANSIDE_SKIPPED" | uniq -c | sed 's/^ *\([0-9]*\) /  \1 x /'
fi
exit "$failed"
