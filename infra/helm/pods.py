"""`make pods`: the chart's pods, started by podman on this machine, with the settings that the chart gives them.

Chart → manifests → one Pod each on the host's network (ports of their own) → `podman play kube`. Kafka is a real one: that
of KAFKA_BOOTSTRAP_SERVERS, or one of the project's own (needs Java and Maven). A local venue stands in for the exchange.
Then it is asked, of the running processes, whether they are what the chart says: not root, a read-only root, no
capabilities, no new privileges; and whether they do their work: surfaces come out of the gateway, judged by the canary.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

HELM = Path(__file__).resolve().parent
ROOT = HELM.parents[1]
PYTHON = str(ROOT / ".venv" / "bin" / "python")
IMAGE = os.environ.get("IMAGE", "localhost/derivasys:latest")
PODMAN = ["podman"]
CONTAINERS = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""What podman needs to work inside a container without system services; CONTAINERS_CONF takes its place."""
READY_S = 180.0
WORKLOADS = ("Deployment", "Rollout", "StatefulSet")
os.environ.setdefault("STORAGE_DRIVER", "vfs")

BROKER = """
import sys, threading
from pathlib import Path
from derivasys.testing.kafka import Cluster
with Cluster(Path(sys.argv[1]), 1) as cluster:
    print(cluster.bootstrap, flush=True)
    sys.stdin.read()
"""
VENUE = """
import asyncio
from derivasys.clock import RecordedClock
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS
async def main():
    world = World([load_shipped("BTC")], 1)
    server = SERVERS["deribit"](world, RecordedClock(world.start_ns), ("BTC",), 500.0)
    await server.start()
    print(server.address, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def sh(*command: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@contextlib.contextmanager
def beside(program: str, *arguments: str):
    """Run a Python program of the project beside us; yield the first line that it prints."""
    process = subprocess.Popen(
        [PYTHON, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise SystemExit("pods: a helper did not start: " + program.splitlines()[1])
        yield line
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        process.stdout.close()


def render(bootstrap: str) -> list[dict]:
    """Return the manifests for a bare cluster with this Kafka and this image."""
    helm = HELM.parent / ".venv" / "bin" / "helm"
    repository, _, tag = IMAGE.rpartition(":")
    settings = {
        "image.repository": repository, "image.tag": tag, "image.pullPolicy": "Never", "recorder.enabled": "true",
        "kafka.bootstrapServers": bootstrap.replace(",", "\\,"), "kafka.partitions": "3", "venues.okx": "null",
    }  # fmt: skip
    command = [str(helm), "template", "smoke", str(HELM / "derivasys"), "-f", str(HELM / "values" / "plain.yaml")]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    done = sh(*command)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def pod_of(manifest: dict, port: int, venue: str) -> dict:
    """Return a workload's pod for `podman play kube`: what a single machine has no use for is left out."""
    spec = copy.deepcopy(manifest["spec"]["template"]["spec"])
    for name in (
        "topologySpreadConstraints",
        "serviceAccountName",
        "enableServiceLinks",
        "terminationGracePeriodSeconds",
    ):
        spec.pop(name, None)
    spec["hostNetwork"] = True
    spec["restartPolicy"] = "Never"
    (container,) = spec["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        container.pop(probe, None)  # asked from outside, below
    container.pop("ports", None)
    container["args"] = [re.sub(r"^--port=\d+$", f"--port={port}", str(a)) for a in container["args"]]
    if "connector" in container["args"]:
        container["args"].append(f"--endpoint={venue}")
    for volume in spec["volumes"]:
        volume["emptyDir"] = volume.get("emptyDir", {}) and {}
    for claim in manifest["spec"].get("volumeClaimTemplates", []):
        spec["volumes"].append({"name": claim["metadata"]["name"], "emptyDir": {}})
    name = manifest["metadata"]["name"]
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def hardened(name: str) -> list[str]:
    """Return what a running container is not, of what the chart says that it is. Asks the kernel, not the settings."""
    told = sh(*PODMAN, "exec", name, "/bin/cat", "/proc/1/status").stdout
    own = sh(
        *PODMAN, "exec", name, "/bin/sh", "-c", "touch /usr/x 2>&1; touch /tmp/x && echo tmp-writable; id -u"
    ).stdout
    fields = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
    faults = []
    if fields.get("Uid", "").split() != ["10001"] * 4:
        faults.append(f"runs as {fields.get('Uid')}")
    for capabilities in ("CapEff", "CapPrm", "CapBnd", "CapInh"):
        if int(fields.get(capabilities, "1"), 16):
            faults.append(f"{capabilities} {fields.get(capabilities)}")
    if fields.get("NoNewPrivs") != "1":
        faults.append("may gain privileges")
    if "Read-only file system" not in own:
        faults.append(f"root is writable: {own.strip()}")
    if "tmp-writable" not in own:
        faults.append("/tmp is not writable")
    return faults


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def until(what: str, condition, seconds: float = READY_S) -> None:
    deadline = time.monotonic() + seconds
    told = ""
    while time.monotonic() < deadline:
        is_met, told = condition()
        if is_met:
            return
        time.sleep(0.5)
    raise RuntimeError(f"{what}: {told}")


def free_ports(count: int) -> list[int]:
    import socket

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def smoke(bootstrap: str, venue: str, folder: Path) -> None:
    """Start every pod, check it, and let the canary judge the whole."""
    manifests = render(bootstrap)
    workloads = [each for each in manifests if each["kind"] in WORKLOADS]
    (job,) = [each for each in manifests if each["kind"] == "Job"]
    ports = free_ports(len(workloads))
    pods = {each["metadata"]["name"]: pod_of(each, port, venue) for each, port in zip(workloads, ports, strict=True)}
    by_part = {
        each["metadata"]["name"].removeprefix("smoke-"): port for each, port in zip(workloads, ports, strict=True)
    }
    topics = pod_of(job, 0, venue)
    try:
        play(topics, folder)
        finished = sh(*PODMAN, "wait", f"{topics['metadata']['name']}-topics", timeout=180)
        if finished.stdout.strip() != "0":
            raise RuntimeError("topics apply: " + sh(*PODMAN, "logs", f"{topics['metadata']['name']}-topics").stdout)
        print("topics: applied", flush=True)
        for pod in pods.values():
            play(pod, folder)
        for part, port in by_part.items():
            until(f"{part} /healthz", lambda port=port: ((got := ask(port, "/healthz"))[0] == 200, got[1]))
            container = pods[f"smoke-{part}"]["spec"]["containers"][0]["name"]
            faults = hardened(f"smoke-{part}-{container}")
            if faults:
                raise RuntimeError(f"{part}: {'; '.join(faults)}")
            print(f"{part}: healthy; uid 10001, no capabilities, no new privileges, read-only root", flush=True)
        gateway = by_part["gateway"]
        until("gateway /readyz", lambda: ((got := ask(gateway, "/readyz"))[0] == 200, got[1]))
        canary = [PYTHON, "-m", "derivasys.cli", "canary", f"ws://127.0.0.1:{gateway}/ws?ccy=BTC", "--watch", "3"]
        judged = sh(*canary)
        print("canary:", judged.stdout.strip() or judged.stderr.strip(), flush=True)
        if judged.returncode or not json.loads(judged.stdout.splitlines()[0])["is_good"]:
            raise RuntimeError("the canary is not content")
    except RuntimeError:
        for name in pods:
            print(sh(*PODMAN, "pod", "logs", name).stdout[-2000:], file=sys.stderr)
        raise
    finally:
        for name in [*pods, topics["metadata"]["name"]]:
            sh(*PODMAN, "pod", "rm", "-f", "-t", "20", name)


def play(pod: dict, folder: Path) -> None:
    file = folder / f"{pod['metadata']['name']}.yaml"
    file.write_text(yaml.safe_dump(pod, sort_keys=False))
    done = sh(*PODMAN, "play", "kube", "--network", "host", str(file), timeout=300)
    if done.returncode:
        raise RuntimeError(f"podman play kube {file.name}: {done.stderr.strip()[-1500:]}")


def main() -> int:
    if shutil.which("podman") is None:
        print("pods: podman is missing (Debian: apt-get install podman runc catatonit)")
        return 1
    if sh("podman", "image", "exists", IMAGE).returncode:
        print(f"pods: there is no image {IMAGE}: run `make images` first, or name one in IMAGE")
        return 1
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    with tempfile.TemporaryDirectory(prefix="derivasys-pods-") as folder, contextlib.ExitStack() as stack:
        if "CONTAINERS_CONF" not in os.environ:
            settings = Path(folder) / "containers.conf"
            settings.write_text(CONTAINERS)
            os.environ["CONTAINERS_CONF"] = str(settings)
        bootstrap = given or stack.enter_context(beside(BROKER, f"{folder}/kafka"))
        venue = stack.enter_context(beside(VENUE))
        try:
            smoke(bootstrap, venue, Path(folder))
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"pods: {error}", file=sys.stderr)
            return 1
    print("pods: all started, hardened, and at work")
    return 0


if __name__ == "__main__":
    sys.exit(main())
