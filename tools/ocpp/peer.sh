#!/bin/sh
# Our OCPP messages to charge points of the Python package `ocpp`, and theirs to us. Not part of the tests, which hold the same
# messages against the same schemas without Python.
set -eu
cd "$(dirname "$0")/../.."
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/python" || { echo "Missing: python3-venv (Debian: apt-get install -y python3-venv)." >&2; exit 1; }
"$room/python/bin/pip" install --quiet ocpp==2.1.0 websockets
cargo build --locked --quiet -p vpp-aggregator --example ocpp
"$room/python/bin/python" tools/ocpp/peer.py "${CARGO_TARGET_DIR:-target}/debug/examples/ocpp"
