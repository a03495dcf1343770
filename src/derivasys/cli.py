"""The command `derivasys`. Every command is one function; bad input is one line on stderr and exit code 2."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import orjson

from derivasys import watch
from derivasys.config import ROOT, Config, ConfigError
from derivasys.publish.access import key_line, new_key, redact
from derivasys.publish.arguments import access_rules_of, add_serving, binding_of
from derivasys.publish.binding import ListenError
from derivasys.services import commands as services
from derivasys.settings import SettingsError, fill_access, load, logins
from derivasys.telemetry import logs
from derivasys.telemetry.traces import TraceError
from derivasys.vault import VaultError

EXIT_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    logs.conceal_like(lambda text: redact(text.encode(errors="replace")).decode())
    try:
        options.loaded = load(os.environ)  # noqa: TID251 - the edge
        settings = options.loaded.settings
        logs.configure(
            settings.log, settings.log_level, service=settings.service, environment=settings.environment,
            build=version("derivasys"),
        )  # fmt: skip
        fill_access(options, options.loaded)
        code: int = options.run(options)
    except (ConfigError, ListenError, SettingsError, VaultError, TraceError) as error:
        return _complain(str(error))
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`): not an error of ours.
        sys.stderr.close()
        return 0
    return code


def _complain(message: str) -> int:
    print(f"derivasys: {message}", file=sys.stderr)
    return EXIT_BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="derivasys", description="Live option quotes in, certified implied-volatility surfaces out."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="everything in one process, dashboard included")
    up.add_argument("--source", choices=("live", "replay", "simulated"), default="auto",
                    help="default: live where the venues answer, else simulated")  # fmt: skip
    up.add_argument("--venue", action="append", default=[], metavar="V")
    up.add_argument("--ccy", action="append", default=[], metavar="C", type=str.upper)
    add_serving(up)
    up.add_argument("--data", type=Path, metavar="DIR", help="recorded chains to start from")
    up.add_argument("--speed", type=float, default=1.0, metavar="X", help="recorded seconds a second")
    up.add_argument("--rate", type=float, default=1000.0, metavar="N", help="simulated tickers a second")
    up.add_argument("--seed", type=int, default=1)
    up.add_argument("--cycle-ms", type=int, default=50)
    up.add_argument("--books", action="store_true", help="subscribe to order books too, for deeper recordings")
    up.add_argument("--record", type=Path, metavar="DIR", help="record the run into a folder")
    up.set_defaults(run=_up)

    record = commands.add_parser("record", help="raw frames of a source to a folder, nothing else")
    record.add_argument("folder", type=Path, metavar="DIR")
    record.add_argument("--source", choices=("live", "replay", "simulated"), default="auto")
    record.add_argument("--venue", action="append", default=[], metavar="V")
    record.add_argument("--ccy", action="append", default=[], metavar="C", type=str.upper)
    record.add_argument("--rate", type=float, default=1000.0, metavar="N", help="simulated tickers a second")
    record.add_argument("--seconds", type=float, metavar="S", help="default: until SIGINT or SIGTERM")
    record.set_defaults(run=_record)

    replay = commands.add_parser("replay", help="a recording through the same pipeline")
    replay.add_argument("folder", type=Path, metavar="DIR")
    replay.add_argument("--speed", default="1", metavar="X|max", help="served at X, or unserved as fast as it goes")
    replay.add_argument("--from", dest="from_", metavar="TIME", help="ISO 8601 or epoch ms")
    replay.add_argument("--to", metavar="TIME")
    replay.add_argument("--cycle-ms", type=int, metavar="N", help="with --speed max: recorded ms from cycle to cycle; "
                        "default: the recorded cycles, or 50")  # fmt: skip
    replay.add_argument("--out", type=Path, metavar="FILE", help="with --speed max: every message, NDJSON")
    replay.add_argument("--processes", type=int, metavar="N", help="with --speed max: default: one a core, "
                        "but no more than currencies; what comes out is the same")  # fmt: skip
    add_serving(replay)
    replay.set_defaults(run=_replay)

    fit = commands.add_parser("fit", help="one surface from a file")
    fit.add_argument("file", type=Path, metavar="FILE")
    fit.add_argument("--json", action="store_true", help="the body of /surface/latest, with quotes")
    fit.add_argument("--plot", type=Path, metavar="PNG")
    fit.add_argument("--at", metavar="TIME", help="FILE is a recording's folder: the surface as it was then")
    fit.add_argument("--ts", help="moment of the quotes, ISO 8601 or epoch ms")
    fit.add_argument("--ccy", type=str.upper, help="the currency to fit, or the name of one not stated")
    fit.set_defaults(run=_fit)

    decode = commands.add_parser("decode", help="raw venue messages to canonical events, NDJSON")
    decode.add_argument("venue", metavar="VENUE")
    decode.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard input")
    decode.set_defaults(run=_decode)

    bench = commands.add_parser("bench", help="measure; without a name, list the benchmarks")
    bench.add_argument("name", nargs="?")
    bench.add_argument("--json", action="store_true")
    bench.set_defaults(run=_bench)

    key = commands.add_parser("key", help="a new API key: the key on stderr, its line for --api-keys on stdout")
    key.add_argument("name", metavar="NAME", help="whose it is; shown nowhere but in the file")
    key.set_defaults(run=_key)

    doctor = commands.add_parser("doctor", help="is everything here that a run needs?")
    doctor.add_argument("--port", type=int, default=8080)
    doctor.set_defaults(run=_doctor)

    services.add_to(commands)
    watch.add_to(commands)
    return parser


def _key(options: argparse.Namespace) -> int:
    if not re.fullmatch(r"[^\s#]{1,64}", options.name):
        return _complain(f"key {options.name!r}: a name of 1 to 64 characters without spaces or #")
    key = new_key()
    print(f"key of {options.name}, shown this once: {key}", file=sys.stderr)
    print(key_line(options.name, key))
    return 0


def _up(options: argparse.Namespace) -> int:
    from derivasys import service

    service.run(
        Config(
            source=options.source,
            venues=tuple(dict.fromkeys(options.venue)),
            ccys=tuple(dict.fromkeys(options.ccy)),
            binding=binding_of(options),
            access=access_rules_of(options),
            data=options.data,
            speed=options.speed,
            rate=options.rate,
            seed=options.seed,
            cycle_ms=options.cycle_ms,
            has_books=options.books,
            record=options.record,
            logins=logins(options.loaded),
        ),
        loaded=options.loaded,
    )
    return 0


def _record(options: argparse.Namespace) -> int:
    import uvloop

    from derivasys import recordings

    config = Config(
        source=options.source,
        venues=tuple(dict.fromkeys(options.venue)) or Config().venues,
        ccys=tuple(dict.fromkeys(options.ccy)),
        rate=options.rate,
    )
    recorder = uvloop.run(recordings.record(config, options.folder, options.seconds))
    print(
        f"{recorder.records} records, {recorder.bytes_written} bytes, {recorder.lost} lost {recorder.detail}".rstrip()
    )
    return 1 if recorder.detail else 0


def _replay(options: argparse.Namespace) -> int:
    from derivasys import fast_replay, recordings, service
    from derivasys.record.chain_file import ChainFileError, time_ms
    from derivasys.record.segments import SegmentError

    if options.cycle_ms is not None and not 10 <= options.cycle_ms <= 60_000:
        return _complain(f"--cycle-ms {options.cycle_ms} is not between 10 and 60000")
    if options.processes is not None and not 1 <= options.processes <= 64:
        return _complain(f"--processes {options.processes} is not between 1 and 64")
    try:
        bounds = [
            None if text is None else time_ms(text, name) * 1_000_000
            for text, name in ((options.from_, "--from"), (options.to, "--to"))
        ]
        span = recordings.Span(options.folder, *bounds)
        if options.speed != "max":
            try:
                speed = float(options.speed)
            except ValueError:
                return _complain(f"--speed {options.speed}: a number or max")
            config = Config(
                source="replay",
                binding=binding_of(options),
                access=access_rules_of(options),
                speed=speed,
                venues=recordings.venues(span),
            )
            service.run(config, recordings.opener(span), options.loaded)
            return 0
        with options.out.open("wb") if options.out else contextlib.nullcontext() as out:
            summary = fast_replay.replay_fast(span, out, options.cycle_ms, options.processes)
    except (ChainFileError, SegmentError) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{options.out or options.folder}: {error.strerror}")
    print(
        f"{summary.frames} frames, {summary.surfaces} surfaces, {summary.messages} messages written; "
        f"{summary.recorded_s:.1f} s in {summary.took_s:.1f} s, {summary.processes} processes\nsha256 {summary.sha256}"
    )
    return 0


def _fit(options: argparse.Namespace) -> int:
    from derivasys import fit_file
    from derivasys.record.chain_file import ChainFileError
    from derivasys.record.segments import SegmentError

    try:
        if options.at is not None:
            from derivasys.recordings import surface_at

            surface = surface_at(options.file, options.at, options.ccy)
        else:
            surface = fit_file.fit_path(options.file, ts=options.ts, ccy=options.ccy)
    except (ChainFileError, SegmentError) as error:
        return _complain(str(error) if str(options.file) in str(error) else f"{options.file}: {error}")
    if options.plot is not None:
        try:
            fit_file.plot(surface, options.plot)
        except (OSError, ValueError) as error:
            return _complain(f"--plot {options.plot}: {error}")
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(fit_file.document(surface)) + b"\n")
    else:
        print(fit_file.table(surface))
    return 0


def _decode(options: argparse.Namespace) -> int:
    from derivasys.decode import DECODERS
    from derivasys.decode.ndjson import encode
    from derivasys.messages import DecodeError
    from derivasys.record import capture

    if options.venue not in DECODERS:
        return _complain(f"venue {options.venue!r} is not known; there are: {', '.join(DECODERS)}")
    decoder = DECODERS[options.venue]()
    rejects: Counter[str] = Counter()
    messages = events = 0
    try:
        with options.file.open("rb") if options.file else contextlib.nullcontext(sys.stdin.buffer) as source:
            for line in capture.read(source):
                if line.payload is None:
                    continue
                messages += 1
                try:
                    decoded = decoder.decode(line.payload, line.recv_ns or 0)
                except DecodeError as error:
                    rejects[error.reason.value] += 1
                    print(f"line {line.number}: {error}", file=sys.stderr)
                    continue
                for event in decoded:
                    events += 1
                    sys.stdout.buffer.write(encode(event, line.recv_ns) + b"\n")
        sys.stdout.buffer.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        return _complain(f"{options.file}: {error.strerror}")
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(rejects.items())) or "none"
    print(f"{messages} messages, {events} events, rejected: {told}", file=sys.stderr)
    return 1 if rejects else 0


def _bench(options: argparse.Namespace) -> int:
    folder = ROOT / "bench"
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if options.name is None:
        print("\n".join(names) or "no benchmarks here: run from a checkout")
        return 0
    if options.name not in names:
        return _complain(f"no benchmark {options.name!r}; there are: {', '.join(names) or 'none'}")
    spec = importlib.util.spec_from_file_location(f"bench_{options.name}", folder / f"{options.name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.path.insert(0, str(folder))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    result = module.run()
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        print(module.render(result))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from derivasys.doctor import examine

    failed = False
    for finding in examine(options.port, options.loaded):
        print(f"{finding.level:>4}  {finding.what}", flush=True)
        failed = failed or finding.level == "fail"
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
