#!/bin/sh
# Make .cache/peers: the libraries that the benchmarks compare with, in an environment of their own.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
"${PYTHON:-python3}" -m venv .cache/peers
.cache/peers/bin/python -m pip install --quiet --require-hashes -r requirements/peers.txt
echo "peers ready: .cache/peers"
