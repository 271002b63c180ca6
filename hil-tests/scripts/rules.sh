#!/usr/bin/env bash
# Project rules that the compiler cannot check. Exits with 1 when one is broken; long files are only reported.
set -u
cd "$(dirname "$0")/../.." || exit 1
broken=0
rule() { # name, offending lines
  [ -z "$2" ] && return
  printf 'rule broken: %s\n%s\n' "$1" "$2"
  broken=1
}
code() { git ls-files --cached --others --exclude-standard '*.rs' | while read -r file; do [ -f "$file" ] && echo "$file"; done; }

rule 'device paths belong to hal' "$(code | grep -v '^hal/' | xargs grep -nE '"/(sys|dev)/' | grep -v '/dev/null')"
rule 'no unsafe outside ioctl and FFI files' "$(code | grep -vE 'ioctl|ffi' | xargs grep -nE '\bunsafe( \{| fn| impl)' | grep -v '// SAFETY-FILE')"
rule 'a file begins with a comment that says what it is for (//!)' "$(code | grep '/src/' | while read -r f; do head -n 1 "$f" | grep -q '^//!' || echo "$f"; done)"
rule 'hal knows no medicine, models knows no network' "$(code | grep '^hal/\|^models/' | xargs grep -nE '\buse (scansided|zbus|dicom_ul)\b')"
sql=$(code | grep '^daemon/' | grep -vE '^daemon/custody/src/store/|/tests|tests\.rs$' | while read -r f; do
  awk '/^#\[cfg\(test\)\]/ {exit} {print FILENAME ":" FNR ": " $0}' "$f"; done | grep -E '"(SELECT|INSERT|UPDATE|DELETE) ')
rule 'SQL belongs to custody/src/store' "$sql"
# A stored sentence cannot be translated, so new code must not create one. Tests may.
stored=$(code | grep -vE '^models/src/reason.rs|^daemon/report/src/words/|/tests/|tests\.rs$|/measured.rs$' | while read -r f; do
  awk '/^#\[cfg\(test\)\]/ {exit} {print FILENAME ":" FNR ": " $0}' "$f"; done | grep -E '(Reason|NotEvaluated)::[sS]tored')
rule 'a new reason is a variant of models::Reason, not a stored sentence' "$stored"
rule 'links in documents resolve' "$(python3 -B hil-tests/scripts/links.py)"
rule 'a model package names the hashes of its files' "$(for m in models/packages/*/model.toml; do [ -f "$m" ] && { grep -q 'sha256' "$m" || echo "$m"; }; done)"
kernels=hal/src/cuda/kernels/kernels
rule 'kernels.ptx is made from kernels.cu: SCANSIDE_BLESS=1 hil-tests/scripts/kernels_check.sh' \
  "$(grep -q "$(sha256sum <$kernels.cu | cut -d ' ' -f 1)" $kernels.ptx || echo $kernels.ptx)"
# Every dependency of the programs with its features: once as `cargo build --workspace` builds it, once as `cargo test --workspace` does.
built() { cargo tree --workspace --edges "$1" --prefix none --format '{p} {f}' 2>/dev/null | sed 's/ (\*)$//' | sort -u; }
rule 'programs and tests share one build of every dependency: name these features in hil-tests/Cargo.toml' \
  "$(comm -23 <(built normal,build) <(built normal,build,dev))"
long=$(code | xargs wc -l | awk '$2 != "total" && $1 > 400 {print "  " $1 " " $2}' | sort -rn)
[ -n "$long" ] && printf 'files over 400 lines, which could perhaps be split:\n%s\n' "$long"
[ $broken = 0 ] && echo 'project rules: ok'
exit $broken
