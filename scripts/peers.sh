#!/bin/sh
# Make .cache/peers: the libraries that bench/iv.py, bench/svi.py and bench/surface.py compare with.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
"${PYTHON:-python3}" -m venv .cache/peers
.cache/peers/bin/python -m pip install --quiet --upgrade pip
.cache/peers/bin/python -m pip install --quiet -r requirements/peers.in
echo "peers ready: .cache/peers"
