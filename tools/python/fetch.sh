#!/usr/bin/env bash
# Makes a virtual environment with what the example of docs/results.md needs, once, in the user's cache. `--where` tells only
# which folder that is. A folder of that name is always whole: its last file says so.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wanted=$(cksum <"$here/requirements.txt" | cut -d' ' -f1)
cache=${VPP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vpp}
room=$cache/python-$wanted

if [ "${1:-}" = --where ]; then
    echo "$room"
    exit 0
fi
if [ -e "$room/whole" ]; then
    echo "The Python packages are in $room"
    exit 0
fi

"$here/../need.sh" python3=python3,python3-venv
# Debian's python3 comes without what makes environments.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Missing: venv. Install it, then try again: apt-get install -y python3-venv" >&2
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || exit 1
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
fi

echo "Fetching Python packages (about 120 MB) ..."
mkdir -p "$cache"
rm -rf "$room"
python3 -m venv "$room"
"$room/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --requirement "$here/requirements.txt"
touch "$room/whole"
echo "The Python packages are in $room"
