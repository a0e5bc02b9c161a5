#!/usr/bin/env bash
# Statement coverage of the root package and of internal/ by the unit tests, each package's and in total.
# Fails when the root's or internal's is below the given percentage. The profile is left in bin/cover.out, for
# `go tool cover -html`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p bin
go test -vet=off -covermode=atomic -coverpkg=./,./internal/... -coverprofile=bin/cover.out ./... |
  sed $'s/\tcoverage: .*//' # each test binary's share of everything says nothing

# A block is listed once by each test binary: it is covered if one of them ran it.
awk -v least="$1" '
  FNR > 1 {
    block = $1
    statements[block] = $2
    if ($3 > 0) hit[block] = 1
  }
  function percent(name) { return all[name] ? 100 * covered[name] / all[name] : 0 }
  function line(name) { return sprintf("%6.1f %%  %5d statements  %s", percent(name), all[name], name) }
  END {
    for (block in statements) {
      package = block
      sub(/\/[^\/]*$/, "", package)
      group = package ~ /\/internal\// ? "internal/ in total" : "root"
      count(package, block)
      count(group, block)
      count("total", block)
    }
    for (name in all) if (name != "root" && name !~ /total$/) print line(name) | "sort -k 5"
    close("sort -k 5")
    print line("root")
    print line("internal/ in total")
    print line("total")
    if (percent("root") < least || percent("internal/ in total") < least) {
      printf "coverage of root or internal/ is below %d %%\n", least
      exit 1
    }
  }
  function count(name, block) {
    all[name] += statements[block]
    if (block in hit) covered[name] += statements[block]
  }' bin/cover.out
