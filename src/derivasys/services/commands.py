"""The commands `serve`, `topics`, `reprocess` and `compare`: arguments here, work in the modules they import."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derivasys.publish.arguments import access_rules_of, add_serving, binding_of

if TYPE_CHECKING:
    from derivasys.bus.clients import Clients

EXIT_BAD_INPUT = 2


def add_to(commands: Any) -> None:
    """Add the commands to the parser of `derivasys`."""
    _add_serve(commands)
    _add_topics(commands)
    _add_replays(commands)


def _bus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="default: KAFKA_BOOTSTRAP_SERVERS")
    parser.add_argument("--prefix", metavar="P", help="of topics and groups; default: DERIVASYS_TOPIC_PREFIX")


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser("serve", help="one stage as a service, with Kafka between them")
    services = serve.add_subparsers(required=True, metavar="SERVICE")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str, port: int) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = services.add_parser(name, help=text)
        _bus(parser)
        if name == "gateway":
            add_serving(parser)
        else:
            parser.add_argument("--host", default="127.0.0.1")
            parser.add_argument("--port", type=int, default=port, help="0 for any free one")
        parser.set_defaults(run=_guarded(run))
        return parser

    connector = add("connector", _connector, "one venue's sockets to Kafka", 9090)
    connector.add_argument("--venue", required=True, metavar="V")
    connector.add_argument("--ccy", action="append", default=[], metavar="C", type=str.upper)
    connector.add_argument("--endpoint", metavar="HOST:PORT", help="a local venue server instead of the venue itself")
    connector.add_argument("--label", default="", help="with --endpoint: what the market there is, for the screen")
    calibrator = add("calibrator", _calibrator, "quotes to certified surfaces; several share the currencies", 9090)
    calibrator.add_argument("--cycle-ms", type=int, default=50)
    calibrator.add_argument("--rules", type=Path, metavar="JSON", help="other rules of calibration than the usual")
    add("gateway", _gateway, "surfaces to browsers", 8080)
    recorder = add("recorder", _recorder, "raw frames to a recording on disk", 9090)
    recorder.add_argument("--data", type=Path, required=True, metavar="DIR", help="where the recording goes")


def _add_topics(commands: Any) -> None:
    topics = commands.add_parser("topics", help="the topics of an installation")
    actions = topics.add_subparsers(required=True, metavar="ACTION")
    apply = actions.add_parser("apply", help="make the broker's topics as configured")
    _bus(apply)
    apply.add_argument("--config", type=Path, metavar="TOML", help="partitions, retention, … by topic")
    apply.add_argument("--partitions", type=int, metavar="N", help="of quotes, surfaces and patches")
    apply.add_argument("--replication", type=int, default=None, metavar="N")
    apply.add_argument("--session-ms", type=int, default=None, metavar="MS",
                       help="silence after which a calibrator loses its currencies")  # fmt: skip
    apply.set_defaults(run=_guarded(_topics_apply))


def _add_replays(commands: Any) -> None:
    reprocess = commands.add_parser("reprocess", help="a past time through this calibrator, into topics of its own")
    _bus(reprocess)
    _span(reprocess)
    reprocess.add_argument("--into", required=True, metavar="PREFIX", help="of the topics that the surfaces go to")
    reprocess.add_argument("--rules", type=Path, metavar="JSON", help="other rules of calibration than the usual")
    reprocess.set_defaults(run=_guarded(_reprocess))

    compare = commands.add_parser("compare", help="what two sets of topics said of the same time")
    _bus(compare)
    _span(compare)
    compare.add_argument("--other", required=True, metavar="PREFIX", help="of the topics to compare with")
    compare.add_argument("--json", action="store_true")
    compare.add_argument("--atm-p99-max", type=float, metavar="VOL",
                         help="exit 1 when the 99th percentile of the differences at the money is larger")  # fmt: skip
    compare.set_defaults(run=_guarded(_compare))


def _span(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="from_", required=True, metavar="TIME", help="ISO 8601 or epoch ms")
    parser.add_argument("--to", required=True, metavar="TIME")


def _guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Let what Kafka or its settings refuse be one line and exit code 2."""

    def guarded(options: argparse.Namespace) -> int:
        from derivasys.bus.settings import BusError

        try:
            return run(options)
        except BusError as error:
            print(f"derivasys: {error}", file=sys.stderr)
            return EXIT_BAD_INPUT

    return guarded


def _clients(options: argparse.Namespace, name: str, *, check: bool = True) -> Clients:
    import os

    from derivasys.bus.clients import Clients
    from derivasys.bus.settings import from_environment

    clients = Clients(from_environment(os.environ, options.bootstrap, options.prefix), f"derivasys-{name}")
    if check:
        clients.check()
    return clients


def _connector(options: argparse.Namespace) -> int:
    import uvloop

    from derivasys.bus.topics import QUOTES
    from derivasys.clock import SystemClock
    from derivasys.config import ConfigError
    from derivasys.connect import VENUES
    from derivasys.connect.session import Endpoint
    from derivasys.services import process
    from derivasys.services.connector import ConnectorOptions, ConnectorService
    from derivasys.settings import logins
    from derivasys.wire.messages import SourceStatus

    if options.venue not in VENUES:
        raise ConfigError(f"--venue {options.venue}: not known; there are: {', '.join(VENUES)}")
    venue = VENUES[options.venue]
    clients = _clients(options, f"connector-{venue.name}")
    endpoint, source = venue.production, SourceStatus(kind="live", label=f"{venue.name.capitalize()}, live")
    if options.endpoint:
        endpoint = Endpoint(ws=f"ws://{options.endpoint}", http=f"http://{options.endpoint}")
        source = SourceStatus(kind="simulated", label=options.label or f"local server at {options.endpoint}")
    made = ConnectorOptions(
        venue=venue.name, ccys=tuple(dict.fromkeys(options.ccy)), endpoint=endpoint,
        partitions=_partitions(clients, QUOTES), source=source,
        login=None if options.endpoint else logins(options.loaded).get(venue.name),
    )  # fmt: skip
    with process.listen(options.host, options.port) as listener:

        async def serve() -> None:
            service = ConnectorService(clients, made, SystemClock())
            await process.serve(service, listener, f"connector {venue.name}", options.loaded)

        uvloop.run(serve())
    return 0


def _partitions(clients: Clients, topic: str) -> int:
    """Return how many partitions a topic has. Raises BusError."""
    from derivasys.bus.settings import BusError

    name = clients.topic(topic)
    topics = clients.admin().list_topics(timeout=10.0).topics
    if name not in topics:
        raise BusError(f"topic {name} is not there: run `derivasys topics apply` first")
    return len(topics[name].partitions)


def _calibrator(options: argparse.Namespace) -> int:
    import uvloop

    from derivasys.bus.topics import QUOTES
    from derivasys.clock import SystemClock
    from derivasys.services import process
    from derivasys.services.calibrator import CalibratorOptions, CalibratorService
    from derivasys.services.rules import read_rules

    rules = read_rules(options.rules)
    clients = _clients(options, "calibrator")
    _partitions(clients, QUOTES)
    made = CalibratorOptions(cycle_ms=options.cycle_ms, rules=rules)
    with process.listen(options.host, options.port) as listener:

        async def serve() -> None:
            await process.serve(CalibratorService(clients, made, SystemClock()), listener, "calibrator", options.loaded)

        uvloop.run(serve())
    return 0


def _gateway(options: argparse.Namespace) -> int:
    import uvloop

    from derivasys.config import SITE, ConfigError
    from derivasys.publish.binding import ListenError
    from derivasys.publish.server import GatewayServer, listen, open_access
    from derivasys.services import gateway
    from derivasys.services.process import run_beside

    binding = binding_of(options)
    # Not checked first: the follower's first question tells whether the broker is there, and clients are waiting.
    clients = _clients(options, "gateway", check=False)
    try:
        access = open_access(access_rules_of(options), binding)
        with listen(binding) as listener:

            async def serve() -> None:
                service = gateway.GatewayService(clients, gateway.GatewayOptions(site=SITE))
                server = GatewayServer(service.app(), service.gateway, binding, access)
                await run_beside(service, server, listener, "gateway", options.loaded)

            uvloop.run(serve())
    except ListenError as error:
        raise ConfigError(str(error)) from None
    return 0


def _recorder(options: argparse.Namespace) -> int:
    import os

    import uvloop

    from derivasys.config import ConfigError
    from derivasys.record.upload import UploadError
    from derivasys.services import process
    from derivasys.services.recorder import RecorderService

    clients = _clients(options, "recorder")
    with process.listen(options.host, options.port) as listener:

        async def serve() -> None:
            try:
                service = RecorderService(clients, options.data, options.loaded.settings.recordings)
            except OSError as error:
                raise ConfigError(f"--data {options.data}: {os.strerror(error.errno or 0)}") from None
            except UploadError as error:
                raise ConfigError(str(error)) from None
            await process.serve(service, listener, "recorder", options.loaded)

        uvloop.run(serve())
    return 0


def _topics_apply(options: argparse.Namespace) -> int:
    import os

    from derivasys.bus import topics
    from derivasys.bus.settings import BusError
    from derivasys.connect import VENUES

    clients = _clients(options, "topics")
    overrides = topics.read_overrides(options.config) if options.config else {}
    numbers = {"DERIVASYS_PARTITIONS": options.partitions, "DERIVASYS_REPLICATION": options.replication}
    for name, given in numbers.items():
        if given is None and os.environ.get(name):
            try:
                numbers[name] = int(os.environ[name])
            except ValueError:
                raise BusError(f"{name} {os.environ[name]!r} is no number") from None
    if numbers["DERIVASYS_PARTITIONS"] is not None:
        overrides.setdefault("by_ccy", {})["partitions"] = numbers["DERIVASYS_PARTITIONS"]
    wanted = topics.wanted(tuple(VENUES), overrides, numbers["DERIVASYS_REPLICATION"] or 1)
    for line in topics.apply(clients, wanted, options.session_ms or topics.SESSION_MS):
        print(line)
    return 0


def _times_ms(options: argparse.Namespace) -> tuple[int, int]:
    """Return --from and --to. Raises ConfigError."""
    from derivasys.config import ConfigError
    from derivasys.record.chain_file import ChainFileError, time_ms

    try:
        from_ms, to_ms = time_ms(options.from_, "--from"), time_ms(options.to, "--to")
    except ChainFileError as error:
        raise ConfigError(str(error)) from None
    if from_ms >= to_ms:
        raise ConfigError(f"--from {options.from_} is not before --to {options.to}")
    return from_ms, to_ms


def _other(options: argparse.Namespace, clients: Clients, prefix: str) -> Clients:
    """Return clients of the same broker with another prefix. Raises ConfigError when it is the same."""
    import msgspec

    from derivasys.bus.clients import Clients
    from derivasys.config import ConfigError

    if prefix == clients.settings.prefix:
        raise ConfigError(f"the prefix {prefix!r} is that of the topics themselves")
    return Clients(msgspec.structs.replace(clients.settings, prefix=prefix), "derivasys-other")


def _reprocess(options: argparse.Namespace) -> int:
    from importlib.metadata import version

    from derivasys.services import reprocess
    from derivasys.services.rules import read_rules

    from_ms, to_ms = _times_ms(options)
    rules = read_rules(options.rules)
    source = _clients(options, "reprocess")
    build = f"{version('derivasys')} rules {reprocess.rules_name(rules)}"
    span = reprocess.Span(from_ms * 1_000_000, to_ms * 1_000_000, options.into, build, rules)
    print(reprocess.describe(reprocess.reprocess(source, _other(options, source, options.into), span)))
    return 0


def _compare(options: argparse.Namespace) -> int:
    import msgspec

    from derivasys.services import compare

    base = _clients(options, "compare")
    found = compare.compare(base, _other(options, base, options.other), *_times_ms(options))
    print(msgspec.json.encode(found).decode() if options.json else compare.table(found))
    if options.atm_p99_max is None:
        return 0
    worst = max((each.differences["atm_vol"].p99 for each in found if "atm_vol" in each.differences), default=0.0)
    return 0 if worst <= options.atm_p99_max else 1
