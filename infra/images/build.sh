#!/bin/sh
# make images: the services' image, built and tried with buildah and podman (Debian: apt-get install buildah podman).
# Where no registry of images can be reached, BASE=debian makes the base from Debian's packages with mmdebstrap.
set -eu
cd "$(dirname "$0")/../.."
image=${IMAGE:-localhost/derivasys:latest}
isolation=${ISOLATION:-chroot}
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="$isolation"
for program in buildah podman; do
    command -v "$program" >/dev/null || { echo "$program is missing (Debian: apt-get install buildah podman)"; exit 1; }
done

arguments=""
if [ "${BASE:-}" = debian ]; then
    command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing (Debian: apt-get install mmdebstrap)"; exit 1; }
    for kind in base builder; do
        buildah inspect --type image "localhost/derivasys-$kind" >/dev/null 2>&1 && continue
        packages=ca-certificates,libstdc++6,python3,usr-is-merged
        [ "$kind" = builder ] && packages="$packages,python3-venv,binutils"
        mmdebstrap --quiet --variant=essential --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
            --include="$packages" --aptopt='APT::Install-Recommends "false"' \
            --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/gconv/*' \
            bookworm "/tmp/derivasys-$kind.$$.tar" ${MIRROR:-} >/dev/null
        container=$(buildah from scratch)
        buildah add -q "$container" "/tmp/derivasys-$kind.$$.tar" / >/dev/null
        buildah commit -q --format docker "$container" "localhost/derivasys-$kind" >/dev/null
        buildah rm "$container" >/dev/null
        rm -f "/tmp/derivasys-$kind.$$.tar"
    done
    arguments="--build-arg BASE=localhost/derivasys-base --build-arg BUILDER=localhost/derivasys-builder"
fi
# pip's settings of this machine, where there are any: a mirror, a certificate.
volumes=""
for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ -f "$file" ] && volumes="$volumes -v $file:$file:ro"
done
# shellcheck disable=SC2086  # words are meant
buildah bud -q --format docker --network host --ulimit nofile=1024:1024 $arguments $volumes -t "$image" -f infra/images/Dockerfile .
buildah inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Entrypoint}}' "$image"
echo
sh infra/images/try.sh "$image"
