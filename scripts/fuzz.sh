#!/usr/bin/env bash
# Runs every fuzz target for its share of FUZZ_SECONDS (300), one after the other, and ends with a table. Fails if one
# of them found something. An input that fails is written to testdata/fuzz/TARGET beside the target, where every
# `go test` runs it from then on: it is committed together with the fix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
need go

make_temp_dir

# go test -list prints the names of a package, and then a line about it.
go test -vet=off -list '^Fuzz' ./... >"$TEMP/list"
targets=()
while IFS= read -r line; do targets+=("$line"); done < <(
  awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' "$TEMP/list"
)
if ((${#targets[@]} == 0)); then die "there is no fuzz target"; fi

seconds=${FUZZ_SECONDS:-300}
if ! [[ "$seconds" =~ ^[1-9][0-9]*$ ]]; then die "FUZZ_SECONDS=$seconds is no number of seconds"; fi
each=$((seconds / ${#targets[@]}))
if ((each == 0)); then each=1; fi
echo "== ${#targets[@]} fuzz targets, $each s each"

# last_count LOG WORD prints the number behind WORD in the last line of progress.
last_count() {
  local n
  n=$(grep -a '^fuzz: elapsed' "$1" | sed -n "s/.*$2: \([0-9]*\).*/\1/p" | tail -n 1)
  echo "${n:-0}"
}

rows=()
found=0
for target in "${targets[@]}"; do
  package=${target% *} name=${target#* } log=$TEMP/$name.log finds=0
  echo "$name"
  # Without a limit, minimizing what is merely interesting may take up all of the time.
  if ! go test -vet=off -run '^$' -fuzz "^$name\$" -fuzztime "${each}s" -fuzzminimizetime 100x "$package" >"$log" 2>&1; then
    finds=1 found=$((found + 1)) # go test stops at the first
    grep -av '^fuzz: elapsed' "$log" >&2 || true
  fi
  rows+=("$(printf '%-22s %12d %12d %6d' "$name" "$(last_count "$log" execs)" "$(last_count "$log" 'new interesting')" "$finds")")
done

printf '\n%-22s %12s %12s %6s\n' target executions 'new inputs' finds
printf '%s\n' "${rows[@]}"
if ((found > 0)); then
  echo "fuzzing found something in $found of ${#targets[@]} targets; an input that no seed covers is in testdata/fuzz" \
    "beside its target, and \`go test\` fails with it until that is mended" >&2
  exit 1
fi
echo "fuzzing found nothing in ${#targets[@]} targets"
