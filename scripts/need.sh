#!/usr/bin/env bash
# Checks that commands are installed, before anything is built: need.sh COMMAND... What is missing is named with its
# package and the command that installs it. `cc` stands for a C compiler that Go's race detector can use, with the C
# library's headers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

works() {
  case $1 in
    # Go older than go.mod asks for, and forbidden to download a newer one, answers with an error.
    go) command -v go >/dev/null && go list -m >/dev/null ;;
    cc) printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | "$(go env CC)" -x c -o /dev/null - 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# package MANAGER COMMAND prints the packages that a command comes in.
package() {
  case $1:$2 in
    apt-get:cc) echo gcc libc6-dev ;;
    dnf:cc) echo gcc glibc-devel ;;
    apk:cc) echo gcc musl-dev ;;
    dnf:pgrep | dnf:ps) echo procps-ng ;;
    *:pgrep | *:ps) echo procps ;;
    *:node) echo nodejs ;;
    apt-get:ansible-playbook) echo ansible python3-hvac ;;
    *:ansible-playbook) echo ansible ;;
    *:promtool) echo prometheus ;;
    *) echo "$2" ;;
  esac
}

# install COMMAND... prints a line that installs them.
install() {
  local manager prefix='' name names
  for manager in apt-get dnf apk brew; do
    if command -v "$manager" >/dev/null; then break; fi
  done
  names=$(for name in "$@"; do package "$manager" "$name"; done | sort -u | tr '\n' ' ')
  if ((EUID != 0)); then prefix='sudo '; fi
  case $manager in
    apt-get) echo "${prefix}apt-get update && ${prefix}apt-get install -y --no-install-recommends $names" ;;
    dnf) echo "${prefix}dnf install -y $names" ;;
    apk) echo "${prefix}apk add $names" ;;
    *) if [[ "$*" == cc ]]; then echo 'xcode-select --install'; else echo "brew install $names"; fi ;;
  esac
}

missing=()
for name in "$@"; do
  if works "$name"; then continue; fi
  if [[ "$name" == go ]]; then
    echo "missing: Go, in the version that go.mod names or newer: https://go.dev/dl/" >&2
    exit 1
  fi
  missing+=("$name")
done
if ((${#missing[@]})); then
  echo "missing: ${missing[*]/#cc/a C compiler with the headers of the C library}. To install:" >&2
  echo "  $(install "${missing[@]}")" >&2
  exit 1
fi
