#!/bin/sh
# Numba reads its cache only from where it may write, and the root file system may be read-only: a copy in /tmp serves.
set -eu
if [ ! -d /tmp/kernels ]; then
    cp -r /opt/derivasys/kernels /tmp/kernels.$$
    mv /tmp/kernels.$$ /tmp/kernels 2>/dev/null || rm -rf /tmp/kernels.$$
fi
export NUMBA_CACHE_DIR=/tmp/kernels
exec /opt/derivasys/env/bin/python -m derivasys.cli "$@"
