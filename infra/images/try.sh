#!/bin/sh
# Runs a command of every service in the image as it will run: not as root, nothing writable but /tmp.
set -eu
image=$1
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}"
run="podman run --rm --runtime runc --cgroup-manager cgroupfs --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --read-only --tmpfs /tmp --cap-drop all"
echo "user: $($run --entrypoint /usr/bin/id "$image" -u)"
$run "$image" fit /opt/derivasys/fixtures/deribit/chains/deribit-btc-2026-03-13.book-summary.json | tail -3
for service in connector calibrator gateway recorder; do
    $run "$image" serve "$service" --help >/dev/null
    echo "serve $service: answers"
done
if [ -n "${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then
    $run -e KAFKA_BOOTSTRAP_SERVERS -e DERIVASYS_TOPIC_PREFIX=images. "$image" topics apply
fi
