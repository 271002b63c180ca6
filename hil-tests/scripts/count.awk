#!/usr/bin/awk -f
# Adds up the results of `cargo test` and of `cargo nextest` in a log; `-v status=N` is the exit status of the run.
# Last line: "ok: 812 passed, 0 failed, 9 skipped". Above it each test that failed, with the first lines of why.

BEGIN { LINES = 12 }

/^test result:/ {
  for (i = 2; i <= NF; i++) {
    if ($i ~ /^passed/) passed += $(i - 1)
    if ($i ~ /^failed/) failed += $(i - 1)
    if ($i ~ /^ignored/) skipped += $(i - 1)
  }
}
# Summary [  12.3s] 98 tests run: 96 passed (1 slow), 2 failed, 3 skipped
/^ *Summary \[.*tests? run:/ {
  line = $0
  sub(/.*run: /, "", line)
  gsub(/\([^)]*\)/, "", line)
  count = split(line, parts, ",")
  for (i = 1; i <= count; i++) {
    split(parts[i], word, " ")
    if (word[2] == "passed") passed += word[1]
    if (word[2] == "skipped") skipped += word[1]
    if (word[2] == "failed" || word[2] == "timed" || word[2] == "exec") failed += word[1]
  }
}
/ \.\.\. FAILED$/ { names[$2] = 1 }
# nextest repeats failures after its summary: each is named once.
/^ +(FAIL|TIMEOUT|SIG[A-Z]+|ABORT) \[/ { names[$NF] = 1 }
# thread 'models::a_test' (17) panicked at models/src/file.rs:10:5: what follows, up to the backtrace.
/^ *thread '.*' .*panicked at / {
  test = $0
  sub(/^ *thread '/, "", test)
  sub(/'.*/, "", test)
  left = (test in why) ? 0 : LINES
}
/^ *(stack backtrace:|note: )/ { left = 0 }
left > 0 { why[test] = why[test] "    " substr($0, 1, 300) "\n"; left-- }

END {
  for (name in names) printf "failed: %s\n%s", name, why[name]
  printf "%s: %d passed, %d failed, %d skipped\n", (status == 0 ? "ok" : "FAILED"), passed, failed, skipped
}
