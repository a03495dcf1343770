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
# Without checkov its test says so, and fails under CI.
wait "$checkov" || echo "checkov could not be installed: its test will be skipped"
