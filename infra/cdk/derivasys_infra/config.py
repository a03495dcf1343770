"""One environment's settings: a TOML file, typed and checked before anything is synthesised."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

FOLDER = Path(__file__).parents[1] / "config"
ENVIRONMENTS = ("dev", "prod")
VENUES = ("deribit", "okx", "bybit", "binance", "derive")
FARGATE_MEMORY = {
    256: (512, 1024, 2048),
    512: (1024, 2048, 3072, 4096),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
}
"""MiB that Fargate offers with each number of CPU units (AWS: Fargate task size)."""

Count = Annotated[int, Meta(ge=1, le=1000)]
Days = Annotated[int, Meta(ge=1, le=3653)]
Host = Annotated[str, Meta(pattern=r"^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)+$")]
Ccy = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,10}$")]
Retention = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 180, 365, 400, 731]
"""Days that CloudWatch Logs knows."""


class ConfigError(ValueError):
    """A setting that cannot be; the message names it and the mend."""


class Names(Struct, frozen=True, forbid_unknown_fields=True):
    """Host names and what is bound to them."""

    site: Host
    aliases: list[Host]
    """Other hosts of the page; they are redirected to `site`."""
    live: Host
    """Host of the WebSocket and REST interface."""
    zone: Host
    zone_id: Annotated[str, Meta(pattern=r"^Z[A-Z0-9]{5,31}$")]
    viewer_certificate_arn: str
    web_acl_arn: str


class Tasks(Struct, frozen=True, forbid_unknown_fields=True):
    """Size and number of a service's tasks."""

    cpu: Literal[256, 512, 1024, 2048, 4096]
    memory: Annotated[int, Meta(ge=512, le=30720)]
    """MiB"""
    tasks_min: Count
    tasks_max: Count


class GatewayTasks(Tasks, frozen=True, forbid_unknown_fields=True):
    connections_per_task: Annotated[int, Meta(ge=10, le=10_000)]
    """The average above which tasks are added; a gateway refuses more than 10,000."""
    egress_bytes_per_s_per_task: Annotated[int, Meta(ge=100_000, le=500_000_000)]


class Services(Struct, frozen=True, forbid_unknown_fields=True):
    connector: Tasks
    calibrator: Tasks
    gateway: GatewayTasks
    recorder: Tasks


class Stream(Struct, frozen=True, forbid_unknown_fields=True):
    """Kafka: MSK made here, or brokers that exist and are reached over TLS."""

    kind: Literal["msk", "external"]
    broker_type: Annotated[str, Meta(pattern=r"^kafka\.[a-z0-9]+\.[a-z0-9]+$")] = "kafka.m7g.large"
    brokers: Annotated[int, Meta(ge=1, le=30)] = 3
    volume_gib: Annotated[int, Meta(ge=1, le=16384)] = 500
    bootstrap_servers: Annotated[str, Meta(pattern=r"^$|^[a-z0-9.-]+:\d+(,[a-z0-9.-]+:\d+)*$")] = ""
    cidr: Annotated[str, Meta(pattern=r"^$|^\d+\.\d+\.\d+\.\d+/\d+$")] = ""
    """Addresses of external brokers."""


class Credentials(Struct, frozen=True, forbid_unknown_fields=True):
    venues: list[str]


class Observability(Struct, frozen=True, forbid_unknown_fields=True):
    """Retention, who is told, and the limits of the alarms."""

    retention_days: Retention
    emails: Annotated[list[Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")]], Meta(min_length=1)]
    feed_age_s_max: Annotated[int, Meta(ge=3, le=3600)]
    snapshot_age_s_max: Annotated[int, Meta(ge=2, le=3600)]
    rmse_vol_points_max: Annotated[float, Meta(gt=0, le=50)]
    fit_ms_max: Annotated[int, Meta(ge=5, le=5000)]
    topic_lag_max: Annotated[int, Meta(ge=10)]
    queue_depth_max: Annotated[int, Meta(ge=10)]


class Data(Struct, frozen=True, forbid_unknown_fields=True):
    recordings_cold_days: Annotated[int, Meta(ge=30, le=3653)]
    """S3 takes nothing into Standard-IA before 30 days."""
    recordings_days: Days


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """One environment."""

    environment: Literal["dev", "prod"]
    account: Annotated[str, Meta(pattern=r"^\d{12}$")]
    region: Annotated[str, Meta(pattern=r"^[a-z]{2}-[a-z]+-\d$")]
    availability_zones: Annotated[list[str], Meta(min_length=2, max_length=3)]
    image_digest: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    deletion_protection: bool
    names: Names
    venues: dict[str, Annotated[list[Ccy], Meta(min_length=1)]]
    credentials: Credentials
    services: Services
    stream: Stream
    observability: Observability
    data: Data

    @property
    def prefix(self) -> str:
        return f"derivasys-{self.environment}"

    @property
    def ccys(self) -> list[str]:
        """Every currency, in order of first mention."""
        return list(dict.fromkeys(ccy for ccys in self.venues.values() for ccy in ccys))


def load(environment: str, folder: Path = FOLDER) -> Config:
    """Return the settings of an environment. Raises ConfigError naming the file, the field and the mend."""
    path = folder / f"{environment}.toml"
    try:
        text = path.read_text()
    except OSError:
        raise ConfigError(f"environment {environment!r}: no {path}; there are: {', '.join(ENVIRONMENTS)}") from None
    return parse(text, path.name)


def parse(text: str, name: str) -> Config:
    """Return the settings in `text`, checked."""
    try:
        config = msgspec.convert(tomllib.loads(text), Config)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {error}") from None
    for problem in _problems(config):
        raise ConfigError(f"{name}: {problem}")
    return config


def _problems(config: Config) -> list[str]:
    """Return what the types cannot say."""
    found = []
    zones = config.availability_zones
    if any(not zone.startswith(config.region) for zone in zones) or len(set(zones)) < len(zones):
        found.append(f"availability_zones: {zones} are not different zones of {config.region}")
    found += [
        f"venues.{venue}: not known; there are {', '.join(VENUES)}" for venue in config.venues if venue not in VENUES
    ]
    found += [
        f"credentials.venues: {venue!r} is not among the venues"
        for venue in config.credentials.venues
        if venue not in config.venues
    ]
    names = config.names
    found += [
        f"names: {host} is not in the zone {names.zone}"
        for host in (names.site, names.live, *names.aliases)
        if host != names.zone and not host.endswith("." + names.zone)
    ]
    for field, pattern in (("viewer_certificate_arn", "acm"), ("web_acl_arn", "wafv2")):
        if not re.match(rf"^arn:aws:{pattern}:us-east-1:{config.account}:", getattr(names, field)):
            found.append(f"names.{field}: not an ARN of {pattern} in us-east-1 of account {config.account}")
    for name in ("connector", "calibrator", "gateway", "recorder"):
        tasks: Tasks = getattr(config.services, name)
        if tasks.memory not in FARGATE_MEMORY[tasks.cpu]:
            found.append(f"services.{name}.memory: Fargate has no {tasks.memory} MiB with {tasks.cpu} CPU units")
        if tasks.tasks_min > tasks.tasks_max:
            found.append(f"services.{name}: tasks_min is above tasks_max")
    if config.services.connector.tasks_max > 1:
        found.append("services.connector.tasks_max: two connectors of a venue would publish each quote twice; keep 1")
    return found + _stream_problems(config) + _data_problems(config)


def _stream_problems(config: Config) -> list[str]:
    stream = config.stream
    if stream.kind == "external" and not (stream.bootstrap_servers and stream.cidr):
        return ["stream: external brokers need bootstrap_servers and cidr"]
    if stream.kind == "msk" and stream.brokers % len(config.availability_zones):
        return [f"stream.brokers: {stream.brokers} is not a multiple of {len(config.availability_zones)} zones"]
    return []


def _data_problems(config: Config) -> list[str]:
    if config.data.recordings_days <= config.data.recordings_cold_days:
        return ["data.recordings_days: not above recordings_cold_days"]
    return []
