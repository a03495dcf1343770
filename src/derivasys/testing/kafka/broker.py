"""Apache Kafka from Maven's artefacts: KRaft, one node or several, on free loopback ports, its logs kept.

    with Cluster(folder) as kafka:
        kafka.bootstrap

The jars are fetched once by Maven into the user's cache. Nodes are killed with their cluster, and with this process.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from msgspec import Struct

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
JAVA = 17
"""What Kafka 4 needs."""
INSTALL = "Debian: apt-get install openjdk-17-jre-headless maven"
START_S_MAX = 90.0
STOP_S_MAX = 15.0
STARTED = "Kafka Server started"
_JAVA = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class KafkaUnavailable(RuntimeError):  # noqa: N818 - a state of the machine, told to people
    """There is no Kafka to be had here; the message says what is missing."""


def cache() -> Path:
    """Return the user's cache folder for the jars (XDG base directory specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "derivasys" / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def jars() -> Path:
    """Return the folder of Kafka's jars, fetched by Maven the first time. Raises KafkaUnavailable."""
    _check_java()
    folder = cache()
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None:
        raise KafkaUnavailable(f"mvn is missing ({INSTALL})")
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    if fetched.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        raise KafkaUnavailable(f"Maven could not fetch Kafka: {fetched.stdout[-500:]}")
    try:
        partial.rename(folder)
    except OSError:
        # Another process was faster.
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _check_java() -> None:
    """Raise KafkaUnavailable without Java, with one too old, or one that is but a name: some systems have a stub."""
    if shutil.which("java") is None:
        raise KafkaUnavailable(f"java is missing ({INSTALL})")
    asked = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    told = asked.stdout + asked.stderr
    if asked.returncode:
        raise KafkaUnavailable(f"java does not run: {told.strip()[:200]}")
    found = re.search(r'version "(\d+)[\d.]*', told)
    if found and int(found[1]) < JAVA:
        raise KafkaUnavailable(f"Java {JAVA} or newer is needed, not {found[0][9:]}")


_GIVEN: set[int] = set()
"""Ports given by this process: not given twice."""


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, below the range from which the system gives its own."""
    sockets: list[socket.socket] = []
    ports: list[int] = []
    # Far from where a neighbour begins whose number is the next, such as another worker of the same test run.
    first = 20_000 + os.getpid() * 199 % 8_000
    for port in range(first, first + 4_000):
        if len(ports) == count:
            break
        if port in _GIVEN:
            continue
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            ports.append(port)
        sockets.append(listener)
    for listener in sockets:
        listener.close()
    _GIVEN.update(ports)
    return ports


class Listener(Struct, frozen=True, kw_only=True):
    """One more door of every node."""

    name: str
    protocol: str
    """PLAINTEXT, SASL_SSL, …"""
    advertised: int | None = None
    """Port told to clients; None tells the one listened on."""
    config: dict[str, str] = {}
    """Settings below `listener.name.<name>.`."""


class Node:
    """One broker and controller."""

    def __init__(self, number: int, folder: Path, ports: list[int], controller: int) -> None:
        self.number = number
        self.folder = folder
        self.ports = ports
        self.controller = controller
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self, classpath: Path) -> None:
        """Start the process; it is not ready yet."""
        mark = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        command = ["java", *_JAVA, mark, "-cp", f"{classpath}/*", "kafka.Kafka", str(self.folder / "server.properties")]
        with self.log.open("ab") as log:
            self._from = self.log.stat().st_size
            self.process = _SPAWNER.submit(_spawn, command, log).result()

    def await_start(self) -> None:
        """Return when it serves. Raises KafkaUnavailable."""
        assert self.process is not None
        deadline_s = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline_s and self.process.poll() is None:
            with self.log.open("rb") as log:
                log.seek(self._from)
                if STARTED.encode() in log.read():
                    return
            time.sleep(0.05)
        raise KafkaUnavailable(f"Kafka did not start; see {self.log}")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Cluster:
    """Nodes that form one Kafka. `extra` listeners are beside the plain one; `users` get SCRAM-SHA-512 passwords."""

    def __init__(
        self, folder: Path, nodes: int = 1, *, extra: Sequence[Listener] = (), users: dict[str, str] | None = None,
        config: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.extra = tuple(extra)
        self._users = users or {}
        self._config = config or {}
        self._jars = jars()
        each = 2 + len(self.extra)
        ports = free_ports(nodes * each)
        self.nodes = [
            Node(at + 1, folder / f"node{at + 1}", ports[at * each + 1 : (at + 1) * each], ports[at * each])
            for at in range(nodes)
        ]
        # The first byte keeps the text from beginning with a dash, which the tool would take for an option.
        self._id = base64.urlsafe_b64encode(b"A" + uuid.uuid4().bytes[1:]).decode().rstrip("=")

    @property
    def bootstrap(self) -> str:
        """Addresses of the plain listener."""
        return ",".join(f"127.0.0.1:{node.ports[0]}" for node in self.nodes)

    def address(self, listener: str) -> str:
        """Return the addresses of one of the extra listeners."""
        at = 1 + [each.name for each in self.extra].index(listener)
        told = self.extra[at - 1].advertised
        return ",".join(f"127.0.0.1:{told or node.ports[at]}" for node in self.nodes)

    def start(self) -> None:
        """Format the storage and start all nodes."""
        for node in self.nodes:
            node.folder.mkdir(parents=True)
            (node.folder / "server.properties").write_text(self._properties(node), encoding="utf-8")
            self._format(node)
        try:
            for node in self.nodes:
                node.start(self._jars)
            for node in self.nodes:
                node.await_start()
        except BaseException:
            self.stop()
            raise

    def restart(self, number: int) -> None:
        """Start a node again that was killed, with the data that it had."""
        node = self.nodes[number - 1]
        node.start(self._jars)
        node.await_start()

    def stop(self) -> None:
        """End all nodes; logs and data stay."""
        for node in self.nodes:
            node.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _format(self, node: Node) -> None:
        command = ["java", *_JAVA, "-cp", f"{self._jars}/*", "kafka.tools.StorageTool", "format", "-t", self._id,
                   "-c", str(node.folder / "server.properties")]  # fmt: skip
        for name, password in self._users.items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KafkaUnavailable(f"Kafka's storage could not be formatted: {done.stdout[-500:]}{done.stderr[-500:]}")

    def _properties(self, node: Node) -> str:
        copies = str(min(3, len(self.nodes)))
        names = ["PLAIN", *(each.name for each in self.extra)]
        listening = [f"{name}://127.0.0.1:{port}" for name, port in zip(names, node.ports, strict=True)]
        told = [None, *(each.advertised for each in self.extra)]
        advertised = [
            f"{name}://127.0.0.1:{other or port}" for name, port, other in zip(names, node.ports, told, strict=True)
        ]
        protocols = [
            "PLAIN:PLAINTEXT",
            "CONTROLLER:PLAINTEXT",
            *(f"{each.name}:{each.protocol}" for each in self.extra),
        ]
        settings = {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": ",".join(f"{at.number}@127.0.0.1:{at.controller}" for at in self.nodes),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listeners": ",".join([*listening, f"CONTROLLER://127.0.0.1:{node.controller}"]),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(protocols),
            "log.dirs": str(node.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": str(max(1, int(copies) - 1)),
            "transaction.state.log.num.partitions": "8",
            "min.insync.replicas": str(max(1, int(copies) - 1)),
            # What failover within five seconds needs: a calibrator's silence is noticed after two.
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.min.heartbeat.interval.ms": "100",
            "group.min.session.timeout.ms": "1000",
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.backoff.ms": "2000",
            "log.cleaner.dedupe.buffer.size": str(16 << 20),
            # A dead broker is noticed as fast as a dead calibrator.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "controlled.shutdown.enable": "true",
        }
        for each in self.extra:
            settings |= {f"listener.name.{each.name.lower()}.{key}": value for key, value in each.config.items()}
        settings |= self._config
        return "".join(f"{key}={value}\n" for key, value in settings.items())


_SPAWNER = ThreadPoolExecutor(1, "kafka")
"""Linux ends such a child when the *thread* that started it ends: this one lives as long as the process."""


def _spawn(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509


def _die_with_parent() -> None:
    """Ask Linux to end this child when its parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
