#!/usr/bin/awk -f
# Adds up the results of `cargo test` and of `cargo nextest` in a log; `-v status=N` is the exit status of the run.
# Last line: "ok: 812 passed, 0 failed, 9 skipped".

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

END {
  for (name in names) print "failed: " name
  printf "%s: %d passed, %d failed, %d skipped\n", (status == 0 ? "ok" : "FAILED"), passed, failed, skipped
}
