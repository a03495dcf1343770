#!/bin/sh
# Runs a command of every service in the image as it will run: not as root, nothing writable but /tmp, no capabilities.
set -eu
image=$1
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}"
# Limits are named, since podman's own are above what root may set where it lacks CAP_SYS_RESOURCE.
run="podman run --rm --runtime runc --cgroup-manager cgroupfs --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024
    --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges"
# The kernel is asked, not the settings.
told=$($run --entrypoint /bin/sh "$image" -c 'id -u; grep -E "^(Cap|NoNewPrivs)" /proc/self/status; for at in / /usr /opt/derivasys /home; do touch $at/x; done; touch /tmp/x && echo /tmp writable' 2>&1)
echo "$told"
none=0000000000000000
for line in 10001 "CapEff:	$none" "CapPrm:	$none" "CapBnd:	$none" "NoNewPrivs:	1" "/tmp writable"; do
    echo "$told" | grep -qx "$line" || { echo "images: not hardened, $line is missing"; exit 1; }
done
[ "$(echo "$told" | grep -c 'Read-only file system')" = 4 ] || { echo "images: the root file system is writable"; exit 1; }
$run "$image" fit /opt/derivasys/fixtures/deribit/chains/deribit-btc-2026-03-13.book-summary.json | tail -3
for service in connector calibrator gateway recorder; do
    $run "$image" serve "$service" --help >/dev/null
    echo "serve $service: answers"
done
if [ -n "${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then
    $run -e KAFKA_BOOTSTRAP_SERVERS -e DERIVASYS_TOPIC_PREFIX=images. "$image" topics apply
fi
echo "images: $image, $(podman image inspect --format '{{.Size}}' "$image" | awk '{printf "%.0f MB", $1 / 1e6}'), hardened and answering"
