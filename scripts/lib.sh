# What the scripts share that start a Vault or the simulator. Sourced, from the top directory, under `set -euo pipefail`.
# Works with the bash 3.2 of macOS.
# shellcheck shell=bash disable=SC2034 # what is set here is used by those

PLUGIN_NAME='vault-plugin-secrets-workfront'

die() {
  echo "error: $*" >&2
  exit 1
}

need() { # need COMMAND...
  local missing=() c
  for c in "$@"; do
    command -v "$c" >/dev/null || missing+=("$c")
  done
  if ((${#missing[@]})); then die "not installed: ${missing[*]}"; fi
}

# vault_bin LINE prints the path of the Vault to use: VAULT_BIN if it is set, else ours, built if need be.
vault_bin() {
  if [[ -z "${VAULT_BIN:-}" ]]; then
    scripts/build-vault.sh "$1"
    return
  fi
  if [[ ! -f "$VAULT_BIN" || ! -x "$VAULT_BIN" ]]; then
    die "VAULT_BIN=$VAULT_BIN is no executable file"
  fi
  echo "$(cd "$(dirname "$VAULT_BIN")" && pwd)/$(basename "$VAULT_BIN")"
}

plugin_bin() {
  if [[ ! -x "bin/$PLUGIN_NAME" ]]; then die "bin/$PLUGIN_NAME is missing: run make build"; fi
  echo "$PWD/bin/$PLUGIN_NAME"
}

# --- What is started here is stopped here, by its process ID. ---

TEMP=
PIDS=()

clean_up() {
  local status=$? pid i
  trap - EXIT INT TERM HUP
  # The last one started goes first: Vault still reaches the simulator while it stops.
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do
    pid=${PIDS[i]}
    kill "$pid" 2>/dev/null || true
    for _ in {1..100}; do
      running "$pid" || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [[ -n "$TEMP" ]]; then rm -rf "$TEMP"; fi
  exit "$status"
}

make_temp_dir() {
  TEMP=$(mktemp -d "${TMPDIR:-/tmp}/workfront.XXXXXX")
  # Vault compares the plugin's real path with its plugin directory: no symbolic links (macOS: /tmp).
  TEMP=$(cd "$TEMP" && pwd -P)
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

running() { kill -0 "$1" 2>/dev/null; }

# start LOG COMMAND... runs a process in the background; its ID is in $STARTED. In a process group of its own, so
# that Ctrl-C reaches this script alone, which then stops things in order.
start() {
  local log=$1
  shift
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  set +m
  STARTED=$!
  PIDS+=("$STARTED")
}

# wait_for WHAT PID COMMAND... polls until the command succeeds. Fails when the process dies or after 60 seconds.
wait_for() {
  local what=$1 pid=$2 deadline=$((SECONDS + 60))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ! running "$pid"; then
      echo "$what ended before it was ready" >&2
      return 1
    fi
    if ((SECONDS >= deadline)); then
      echo "$what was not ready after 60 seconds" >&2
      return 1
    fi
    sleep 0.1
  done
}

# --- The simulator ---

# start_simulator sets SIM (its directory) and BASE_URL, CLIENT_ID, CUSTOMER_ID, USER_ID of the one application in it.
start_simulator() {
  [[ -x bin/workfront-simulator ]] || die "bin/workfront-simulator is missing: run make build"
  SIM=$TEMP/simulator
  mkdir "$SIM"
  start "$TEMP/simulator.log" "$PWD/bin/workfront-simulator" -listen 127.0.0.1:0 -dir "$SIM" -session-ttl 30m
  if ! wait_for "the simulator" "$STARTED" jq -e .base_url "$SIM/simulator.json"; then
    cat "$TEMP/simulator.log" >&2
    exit 1
  fi
  BASE_URL=$(jq -er .base_url "$SIM/simulator.json")
  CLIENT_ID=$(jq -er .client_id "$SIM/simulator.json")
  CUSTOMER_ID=$(jq -er .customer_id "$SIM/simulator.json")
  USER_ID=$(jq -er .user_id "$SIM/simulator.json")
  # Without a line end: Vault stores a file's bytes as they are.
  jq -ejr .client_secret "$SIM/simulator.json" >"$TEMP/client-secret"
  cp "$SIM/ca.pem" "$TEMP/ca.pem"
}

# --- Vault ---

# free_port prints a loopback port that nobody listens on now; below 32768, where outgoing connections begin on Linux.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

# start_vault starts a dev server (in memory, unsealed) that finds the plugin but has not registered it, and sets
# VAULT_ADDR, VAULT_TOKEN, and PATH, so that `vault` is that binary. Between the choice of the port and Vault's use of
# it somebody else may take it: Vault then ends, and the next port is tried.
start_vault() {
  local v vault try

  vault=$(vault_bin 1.21)
  # Settings for another Vault, and proxies, must not get in the way of this one.
  for v in $(compgen -e VAULT_ || true); do unset "$v"; done
  export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
  export no_proxy=$NO_PROXY

  mkdir "$TEMP/path" "$TEMP/plugins"
  ln -s "$vault" "$TEMP/path/vault"
  export PATH="$TEMP/path:$PATH"
  # Where `vault` looks for settings and a saved token.
  export VAULT_CONFIG_PATH=$TEMP/vault-config
  : >"$VAULT_CONFIG_PATH"
  cp "$(plugin_bin)" "$TEMP/plugins/"

  VAULT_TOKEN=dev-$(openssl rand -hex 16)
  export VAULT_TOKEN
  for try in 1 2 3 4 5; do
    VAULT_ADDR=http://127.0.0.1:$(free_port)
    export VAULT_ADDR
    # The token by the environment: arguments show in ps. What lookup asks is whether this is our Vault.
    VAULT_DEV_ROOT_TOKEN_ID=$VAULT_TOKEN start "$TEMP/vault.log" "$vault" server -dev -dev-no-store-token \
      -dev-listen-address="${VAULT_ADDR#http://}" -dev-plugin-dir="$TEMP/plugins" -dev-plugin-init=false
    if wait_for Vault "$STARTED" vault token lookup; then
      VAULT_PID=$STARTED
      return
    fi
    if running "$STARTED" || ! grep -q 'address already in use' "$TEMP/vault.log"; then break; fi
    unset "PIDS[${#PIDS[@]}-1]"
    echo "port taken meanwhile, next try ($try)" >&2
  done
  tail -n 30 "$TEMP/vault.log" >&2
  die "Vault did not start"
}

sha256() { # of a file: GNU, then macOS
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# register_and_mount prints and runs what an operator types to bring the plugin into a Vault.
register_and_mount() {
  run "vault plugin register -sha256=$(sha256 "$TEMP/plugins/$PLUGIN_NAME") secret $PLUGIN_NAME"
  run "vault secrets enable -path=workfront $PLUGIN_NAME"
}

# --- Telling the story ---

if [[ -t 1 ]]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; else BOLD='' PLAIN=''; fi

say() { printf '\n%s\n' "$@"; }

# run prints a command line as one would type it and runs that very line, in the temporary directory.
run() {
  printf '%s$ %s%s\n' "$BOLD" "$1" "$PLAIN"
  (cd "$TEMP" && eval "$1")
}
