#!/usr/bin/env bash
# Fuzzes every target for its share of FUZZ_SECONDS (300). It goes on after a find, and fails at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t targets < <(go list -f '{{range .TestGoFiles}}{{$.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$.Dir}}/{{.}}
{{end}}' ./... | sed '/^$/d' | xargs grep -oP '^func \KFuzz\w+' | sort)
each=$((${FUZZ_SECONDS:-300} / ${#targets[@]}))
found=()
for target in "${targets[@]}"; do
  dir=$(dirname "${target%%:*}") name=${target##*:}
  echo "== $name, ${each} s"
  # Without a limit, minimizing what is merely interesting may take up all of the time.
  out=$(go test -C "$dir" -vet=off -run '^$' -fuzz "^$name\$" -fuzztime "${each}s" -fuzzminimizetime 100x . 2>&1) ||
    # Before 1.27, Go's fuzzer may fail at the end of its time without a find (golang/go#75804).
    if [[ $out != *"    context deadline exceeded"* || $out == *"Failing input"* ]]; then
      found+=("$name")
      echo "$out"
    fi
  grep '^fuzz: elapsed' <<<"$out" | tail -n 1
done
if ((${#found[@]})); then
  echo "fuzzing found something in ${#found[@]} of ${#targets[@]} targets: ${found[*]}; commit the new inputs in testdata/fuzz with the fix" >&2
  exit 1
fi
echo "fuzzing found nothing in ${#targets[@]} targets"
