#!/usr/bin/env bash
# Measures the plugin in a real Vault, side by side with an engine that does nothing, and prints tables and goals
# (docs/performance.md). It fails if a request failed, not if a goal is missed. Linux only.
#   QUICK=1              minutes less, figures worth less
#   PARTS=shared,fresh   these parts only; a wrong name shows all names
#   PROFILE=1            measures nothing; processor profiles of the plugin, into bin/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
# As in the Makefile: no go command needs git.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
need go jq pgrep

vault=$(vault_bin 1.21)
plugin=$(plugin_bin)
make_temp_dir
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$TEMP/" ./test/bench ./test/bench/noop
args=()
if [[ -n "${QUICK:-}" ]]; then args+=(-quick); fi
if [[ -n "${PARTS:-}" ]]; then args+=(-parts "$PARTS"); fi
if [[ -n "${PROFILE:-}" ]]; then
  plugin=$TEMP/profiled
  # With symbols, which the released plugin has not.
  CGO_ENABLED=0 go build -tags profile -o "$plugin" .
  mkdir "$TEMP/sockets"
  export WORKFRONT_PROFILE_DIR=$TEMP/sockets
  args+=(-profile "$PWD/bin")
fi
# Settings for another Vault must not get in the way.
for v in $(compgen -e VAULT_ || true); do unset "$v"; done

start_simulator
mkdir "$TEMP/run"
"$TEMP/bench" -vault "$vault" -plugin "$plugin" -noop "$TEMP/noop" -simulator "$SIM" -dir "$TEMP/run" ${args[@]+"${args[@]}"}

if [[ -n "${PROFILE:-}" ]]; then
  for read in shared fresh; do
    printf '\n== go tool pprof -top -cum bin/profile-%s.pprof\n' "$read"
    go tool pprof -top -cum "bin/profile-$read.pprof" 2>/dev/null | head -n 60
  done
fi
