#!/bin/sh
# Makes sure that Chromium is there for the browser tests. Without it they are skipped, except under CI=true.
set -u
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } 2>&1 | tail -3
    elif sudo -n true 2>/dev/null; then
        { sudo -n apt-get update -qq && sudo -n apt-get install -y -qq chromium >/dev/null; } 2>&1 | tail -3
    fi
fi
if command -v chromium >/dev/null; then exit 0; fi
if [ "${CI:-}" = true ]; then
    echo "Chromium could not be installed, and under CI=true the browser tests must run" >&2
    exit 1
fi
echo "Chromium is missing and could not be installed: browser tests will be skipped (Debian: apt-get install chromium)"
