#!/bin/sh
# Makes sure that websocat is there for its example in docs/api.md. Without it that is skipped, except under CI=true.
set -u
if command -v websocat >/dev/null || [ -x .venv/bin/websocat ]; then exit 0; fi
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/websocat.txt && exit 0
if [ "${CI:-}" = true ]; then
    echo "websocat could not be installed, and under CI=true every example of docs/api.md must run" >&2
    exit 1
fi
echo "websocat is missing and could not be installed: its example in docs/api.md will not be tried (cargo install websocat)"
