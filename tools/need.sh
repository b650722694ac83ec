#!/usr/bin/env bash
# Makes sure that commands exist: `need.sh COMMAND=PACKAGE[,PACKAGE...] ...`
# Missing ones are installed from the Debian packages named, where this user may; else it says what to do and fails.
set -euo pipefail

packages=()
missing=()
for pair in "$@"; do
    if ! command -v "${pair%%=*}" >/dev/null; then
        missing+=("${pair%%=*}")
        IFS=, read -ra wanted <<<"${pair#*=}"
        packages+=("${wanted[@]}")
    fi
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi
line="${as_root[*]:+${as_root[*]} }apt-get install --no-install-recommends ${packages[*]}"

if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}. Install what Debian calls ${packages[*]}, then try again." >&2
    exit 1
fi
if [ ${#as_root[@]} -gt 0 ] && ! sudo -n true 2>/dev/null; then
    echo "Missing: ${missing[*]}. Install them, then try again: $line" >&2
    exit 1
fi

echo "Missing: ${missing[*]}. Running: $line"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"
