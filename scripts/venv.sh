#!/bin/sh
# Builds .venv from the locked requirements, with the package itself in editable form.
set -eu
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "Python 3.11 or newer is needed (set PYTHON=/path/to/python3)"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, this is $("$python" -V)"; exit 1; }
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian ships venv apart from Python.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n apt-get update -qq && sudo -n apt-get install -y -qq python3-venv >/dev/null
    else
        echo "Python's venv module is missing: install it first (Debian: apt-get install python3-venv)"
        exit 1
    fi
fi
rm -rf .venv
"$python" -m venv .venv
# --no-compile: Python compiles what is imported, a small part of all that is installed.
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: --no-compile -r requirements/dev.txt
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
