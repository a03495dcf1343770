"""Servers and load of the fan-out benchmarks: C sources compiled once, processes on cores of their own, /proc read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent / "_fanout"
CACHE = Path(__file__).parents[1] / ".cache" / "fanout"
START_S_MAX = 30.0


class MissingError(Exception):
    """Something that a part needs is not on this machine; the message says what."""


def compiled(name: str) -> Path:
    """Return the program made of `_fanout/NAME.c`, compiled when its source has changed."""
    source = HERE / f"{name}.c"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MissingError("the load client and the raw loop are C: install a C compiler (cc)")
    program = CACHE / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def cores_apart() -> tuple[set[int], set[int]]:
    """Return the cores of what is measured and of the load, apart where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    return ({cores[0]}, {cores[1]}) if len(cores) > 1 else ({cores[0]}, {cores[0]})


def settle(cores: set[int] | None) -> None:
    if cores is not None:
        os.sched_setaffinity(0, cores)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def serving(command: Sequence[str], *, pinned: bool = True, env: dict[str, str] | None = None) -> Iterator[int]:
    """Run a server that prints `ready`; yields its process id."""
    cores = cores_apart()[0] if pinned else None
    process = subprocess.Popen(
        list(command), stdout=subprocess.PIPE, preexec_fn=lambda: settle(cores), env={**os.environ, **(env or {})}
    )
    try:
        while (line := process.stdout.readline()) and line.strip() != b"ready":
            pass
        if not line:
            raise RuntimeError(f"did not start: {' '.join(command)}")
        yield process.pid
    finally:
        process.terminate()
        process.stdout.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def receiving_apart() -> Iterator[bool]:
    """Have the load's core do the receiving half of loopback's network stack, as another machine would.

    Without it a send() on loopback runs the receiver's half too, and the server is charged for it. Yields False where it
    cannot be had: that takes Linux, two cores and root.
    """
    servers, clients = cores_apart()
    setting = Path("/sys/class/net/lo/queues/rx-0/rps_cpus")
    try:
        before = setting.read_text()
        setting.write_text(f"{sum(1 << core for core in clients - servers):x}")
    except OSError:
        yield False
        return
    try:
        yield clients != servers
    finally:
        setting.write_text(before)


def cpu_s(pid: int) -> float:
    """Return the processor seconds of all threads of a process (schedstat, ns)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def load(
    port: int, pids: Sequence[int], *, clients: int, seconds: float, before_s: float = 1.5, never: int = 0,
    path: str = "/ws", deflate: bool = False, notes: Path | None = None, awake: bool = False,
) -> dict:  # fmt: skip
    """Run the load client; return its figures with the servers' processor time and memory beside them.

    `awake` keeps the client from sleeping (load.c says why); it takes a whole core.
    """
    command = [str(compiled("load")), "-c", str(clients), "-d", str(seconds), "-w", str(before_s), "-n", str(never)]
    command += ["-u", path]
    command += ["-x", "permessage-deflate"] if deflate else []
    command += ["-o", str(notes)] if notes is not None else []
    command += ["-a"] if awake else []
    cores = cores_apart()[1]
    at_start = sum(map(resident_bytes, pids))
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, preexec_fn=lambda: settle(cores))
    with process.stdout as out:
        if out.readline().strip() != b"connected" or out.readline().strip() != b"begin":
            raise RuntimeError("the load client did not come through")
        used, held = [cpu_s(pid) for pid in pids], sum(map(resident_bytes, pids))
        result = json.loads(out.readline())
        spent = [cpu_s(pid) - before for pid, before in zip(pids, used, strict=True)]
        grown = sum(map(resident_bytes, pids)) - held
    process.wait()
    return {
        **result,
        "us_per_delivery": round(sum(spent) * 1e6 / max(1, result["messages"]), 3),
        "us_by_server": [round(cpu * 1e6 / max(1, result["messages"]), 3) for cpu in spent],
        "kb_per_client": round((held - at_start) / 1024 / clients, 2),
        "growth_mb": round(grown / (1 << 20), 2),
    }
