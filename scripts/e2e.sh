#!/usr/bin/env bash
# Runs the end-to-end tests of ./test in a real Vault and says how many passed. A run without a test fails, and so
# does one that skips a test: both would look like success. Usage: e2e.sh <1.21|1.19> [flags of go test]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
need go jq

VAULT_BIN=$(vault_bin "$1")
PLUGIN_BIN=$(plugin_bin)
export VAULT_BIN PLUGIN_BIN
shift
vault=$("$VAULT_BIN" version | awk '{sub(",", "", $2); print $1, $2; exit}')

make_temp_dir
echo "== end-to-end tests in $vault"

# A line for each test when it ends, all that a failed one printed, and go test's own closing lines. What is left
# when a package fails belongs to tests that were cut off by a panic or a timeout.
# shellcheck disable=SC2016 # the $ are jq's
readable='
  def top: .Test | split("/")[0];
  def printed: gsub("(^|\n)=== [^\n]*(?=\n)"; "");
  foreach inputs as $e ({};
    .show = null
    | if $e.Action == "build-output" then .show = $e.Output
      elif $e.Action == "output" then
        if $e.Test then .buffer[$e | top] += $e.Output else .show = $e.Output end
      elif ($e.Action == "pass" or $e.Action == "skip") and $e.Test and ($e.Test | contains("/") | not) then
        .show = "\($e.Action)  \($e.Test) (\($e.Elapsed)s)\n" | del(.buffer[$e.Test])
      elif $e.Action == "fail" and $e.Test and ($e.Test | contains("/") | not) then
        .show = ((.buffer[$e.Test] // "") | printed) | del(.buffer[$e.Test])
      elif $e.Action == "fail" and ($e.Test | not) then
        .show = ([.buffer[]?] | add) | .buffer = {}
      else . end;
    .show // empty)'

# -count=1: the result depends on binaries that the cache of go test does not know of.
status=0
go test -json -tags e2e -vet=off -count=1 -timeout 45m "$@" ./test |
  tee "$TEMP/events" | jq -nrj --unbuffered "$readable" || status=$?

count() { # count ACTION: how many tests (not subtests) ended so
  jq -n --arg action "$1" '[inputs | select(.Action == $action and .Test and (.Test | contains("/") | not))] | length' "$TEMP/events"
}
passed=$(count pass) failed=$(count fail)
skipped=$(jq -nr '[inputs | select(.Action == "skip" and .Test) | .Test] | join(" ")' "$TEMP/events")

if ((status != 0 || failed > 0)); then
  echo "end-to-end: $passed tests passed, $failed failed against $vault" >&2
  exit 1
fi
if [[ -n "$skipped" ]]; then
  echo "end-to-end: skipped against $vault, which is not allowed: $skipped" >&2
  exit 1
fi
if ((passed == 0)); then
  echo "end-to-end: no test ran against $vault" >&2
  exit 1
fi
echo "end-to-end: $passed tests passed against $vault"
