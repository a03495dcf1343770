"""The local OKX, sans I/O: requests and time in, pushes out.

`receive` and `tick` put messages into sessions' `out`. Errors and limits are those of the documentation; where it says
nothing (code of a request too many), the likeliest is taken.
"""

from __future__ import annotations

import random
from typing import Any

import orjson
from msgspec import field

from derivasys.testing.market import MarketUpdate, MarketView, VenueMarket
from derivasys.testing.okx import payloads
from derivasys.testing.okx.channels import BUSINESS, IDLE_MS, KEYS, BookTopic, Topic, open_topic
from derivasys.testing.okx.payloads import Json
from derivasys.testing.text import Losses, Window, is_named

_MS = 1_000_000
SILENCE_NS_MAX = 30_000 * _MS
"""Without a subscription, or without anything sent either way, for so long a connection is closed."""
REQUESTS_PER_HOUR = 480
REQUEST_BYTES_MAX = 64 << 10
PREOPEN_NS = 3_000 * _MS
"""From the listing of a contract to its opening."""
UPGRADE_NS = 60_000 * _MS
"""From the notice of an upgrade to the close."""
UNSEEN_IDS = 100
"""How far a book's sequence goes on while nobody follows it."""
NO_DATA_CLOSE, UPGRADE_CLOSE = (4004, "No data received in 30s."), (4006, "service upgrade")
Reply = tuple[int, Json]


class Faults(Losses):
    """Switches of misbehaviour. Channels are written tickers:BTC-USD-241217-92000-C and named by prefix."""

    refused: set[str] = field(default_factory=set)
    """Args answered with error 60018."""
    unanswered: set[str] = field(default_factory=set)
    """Args neither acknowledged nor sent."""
    is_mute: bool = False
    """Pings are not answered."""
    maintenance: bool = False
    """REST answers 50001; see `announce`."""
    book_gap: bool = False
    """The next change of each book of deltas is lost."""
    book_reset: bool = False
    """The next change of each book of deltas goes back to a small sequence number."""


class Session:
    """What the venue keeps for one connection."""

    def __init__(self, path: str, number: int, now_ns: int) -> None:
        self.path = path
        self.id = f"{number:08x}"
        self.topics: dict[str, Topic] = {}
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.requests = Window(REQUESTS_PER_HOUR, 3600.0)
        self.last_ns = now_ns
        self.idle_since_ns = now_ns
        self.closes_ns: int | None = None

    def take(self) -> list[bytes]:
        """Return the payloads to be sent, and forget them."""
        out, self.out = self.out, []
        return out


class OkxVenue:
    """All sessions and channels of one local venue. Not thread-safe; time never runs back."""

    def __init__(self, view: VenueMarket, seed: int = 0, faults: Faults | None = None) -> None:
        self.view = view
        self.faults = faults or Faults()
        self.sessions: dict[Session, None] = {}
        self._random = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        self._now_ns = max(market.start_ns for market in view.markets)
        self._topics: dict[str, Topic] = {}
        self._waiting: dict[tuple[str, str], dict[str, Topic]] = {}
        """(what a change is, of which contract, family or coin) → channels that wait for it."""
        self._dirty: dict[str, Topic] = {}
        self._book_ids: dict[str, int] = {}
        """Of books that nobody follows now: their sequence goes on."""
        self._trades: dict[str, Json] = {}
        """The last trade of each family, kept for new subscribers."""
        self._status = "completed"
        self._idle_checked_ns = self._now_ns
        self._limits: dict[str, Window] = {}
        self._opens: dict[str, tuple[int, MarketView]] = {}
        """When contracts that are preopen open, and where."""

    # --- sessions ---

    def connect(self, path: str, now_ns: int) -> Session:
        """Return the session of a new connection."""
        session = Session(path, self._random.getrandbits(32), now_ns)
        self.sessions[session] = None
        return session

    def disconnect(self, session: Session) -> None:
        """Forget a session and its subscriptions."""
        for topic in list(session.topics.values()):
            self._leave(session, topic)
        self.sessions.pop(session, None)

    def receive(self, session: Session, text: bytes, now_ns: int) -> None:
        """Answer one message of a client."""
        self._now_ns = max(now_ns, self._now_ns)
        session.last_ns = now_ns
        if text == b"ping":
            if not self.faults.is_mute:
                session.out.append(b"pong")
            return
        try:
            request = orjson.loads(text)
            op, args = request["op"], request["args"]
            well_formed = op in ("subscribe", "unsubscribe") and all(isinstance(arg["channel"], str) for arg in args)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            well_formed = False
        if not well_formed or len(text) > REQUEST_BYTES_MAX:
            self._error(session, "60012", f"Invalid request: {text.decode(errors='replace')}")
            return
        if not session.requests.take(now_ns):
            self._error(session, "60014", "Requests too frequent")
            return
        for arg in args:
            if op == "subscribe":
                self._subscribe(session, arg, request.get("id"), now_ns)
            else:
                self._unsubscribe(session, arg, request.get("id"))

    def announce(self, state: str) -> None:
        """Push a state of the system (ongoing, completed, …) to who subscribes to `status`."""
        self._status = state
        for topic in self._waiting.get(("status", ""), {}).values():
            self._push(topic, [payloads.system_status(state, self._now_ms())])

    def upgrade(self) -> None:
        """Give notice of a service upgrade: all connections are closed a minute later."""
        for session in self.sessions:
            message = "The connection will soon be closed for a service upgrade. Please reconnect."
            session.out.append(orjson.dumps({"event": "notice", "code": "64008", "msg": message, "connId": session.id}))
            session.closes_ns = self._now_ns + UPGRADE_NS

    def _error(self, session: Session, code: str, message: str) -> None:
        session.out.append(orjson.dumps({"event": "error", "code": code, "msg": message, "connId": session.id}))

    # --- subscriptions ---

    def _subscribe(self, session: Session, arg: Json, request_id: Any, now_ns: int) -> None:
        channel = arg["channel"]
        key = arg.get(KEYS.get(channel, ""), "")
        name = f"{channel}:{key}"
        if is_named(name, self.faults.unanswered):
            return
        if "uly" in arg:
            self._error(session, "64000", "Subscription parameter uly is unavailable anymore, please use instFamily")
            return
        if (channel in BUSINESS) != session.path.endswith("/business"):
            self._error(session, "64001", f"This channel has been migrated to the '/business' URL: {channel}")
            return
        topic = None if is_named(name, self.faults.refused) else self._topic(channel, key)
        if topic is None:
            told = f"{channel},{KEYS.get(channel, 'instId')}:{key}"
            rest = "doesn't exist. Please use the correct URL, channel and parameters referring to API document."
            self._error(session, "60018", f"Wrong URL or channel:{told} {rest}")
            return
        ack: Json = {"event": "subscribe", "arg": arg, "connId": session.id}
        session.out.append(orjson.dumps({"id": request_id} | ack if request_id is not None else ack))
        is_new = session not in topic.sessions
        topic.sessions[session] = orjson.dumps(arg)
        session.topics[name] = topic
        if is_new:
            self._welcome(session, topic)

    def _welcome(self, session: Session, topic: Topic) -> None:
        now_ms = self._now_ms()
        if topic.channel == "status":
            self._push(topic, [payloads.system_status(self._status, now_ms)], [session])
        elif isinstance(topic, BookTopic):
            is_delta = topic.channel == "books"
            rows = [topic.joined(now_ms) if is_delta else topic.window(now_ms)]
            self._push(topic, rows, [session], "snapshot" if is_delta else None)
        else:
            if topic.channel == "option-trades" and topic.cached is None:
                topic.cached = self._trades.get(topic.key)
            self._push(topic, topic.snapshot(now_ms), [session])

    def _unsubscribe(self, session: Session, arg: Json, request_id: Any) -> None:
        name = f"{arg['channel']}:{arg.get(KEYS.get(arg['channel'], ''), '')}"
        topic = session.topics.get(name)
        if topic is not None:
            self._leave(session, topic)
        ack: Json = {"event": "unsubscribe", "arg": arg, "connId": session.id}
        session.out.append(orjson.dumps({"id": request_id} | ack if request_id is not None else ack))

    def _topic(self, channel: str, key: str) -> Topic | None:
        name = f"{channel}:{key}"
        topic = self._topics.get(name)
        if topic is None and channel in KEYS:
            topic = open_topic(channel, key, self.view.markets)
            if isinstance(topic, BookTopic):
                topic.seq = self._book_ids.get(name, topic.seq)
            if topic is not None:
                self._topics[name] = topic
                self._waiting.setdefault((topic.wake, _waits_for(topic)), {})[name] = topic
        return topic

    def _leave(self, session: Session, topic: Topic) -> None:
        session.topics.pop(topic.name, None)
        topic.sessions.pop(session, None)
        if not topic.sessions:
            del self._topics[topic.name]
            if isinstance(topic, BookTopic):
                self._book_ids[topic.name] = topic.seq + UNSEEN_IDS
            self._dirty.pop(topic.name, None)
            del self._waiting[topic.wake, _waits_for(topic)][topic.name]

    # --- time ---

    def tick(self, now_ns: int) -> None:
        """Move on to `now_ns`: markets, pushes, connections that end."""
        self._now_ns = max(now_ns, self._now_ns)
        for market, update in self.view.advance(now_ns):
            self._absorb(market, update)
        for name, topic in list(self._dirty.items()):
            if now_ns - topic.last_ns >= topic.interval_ns:
                del self._dirty[name]
                self._send_state(topic)
        if self._opens:
            self._open_contracts(now_ns)
        if now_ns - self._idle_checked_ns >= 1000 * _MS:
            self._idle_checked_ns = now_ns
            self._send_idle()
        for session in self.sessions:
            self._check(session, now_ns)

    def _absorb(self, market: MarketView, update: MarketUpdate) -> None:
        board, waiting = market.board, self._waiting
        rows = update.rows.tolist()
        for symbol in [board.symbols[row] for row in rows] + update.futures:
            topics = waiting.get(("contract", symbol))
            if topics:
                self._dirty.update(topics)
        for topic in waiting.get(("family", market.family.name), {}).values():
            topic.rows.update(rows)
            self._dirty[topic.name] = topic
        if update.index_changed:
            self._dirty.update(waiting.get(("index", market.family.ccy), {}))
        for made in update.prints:
            self._trades[market.family.name] = payloads.option_trade(board, made)
            for key in (market.family.name, board.symbols[made.row]):
                for topic in waiting.get(("trade", key), {}).values():
                    topic.traded(market, made)
                    # One trade a push.
                    self._push(topic, topic.trades)
                    topic.trades = []
        if update.life:
            opens_ns = self._now_ns + PREOPEN_NS
            self._opens |= {event.symbol: (opens_ns, market) for event in update.life if event.created}
            for topic in list(waiting.get(("life", ""), {}).values()):
                self._push(topic, topic.listed(market, update.life))

    def _open_contracts(self, now_ns: int) -> None:
        opened = {symbol: market for symbol, (opens_ns, market) in self._opens.items() if opens_ns <= now_ns}
        for symbol in opened:
            del self._opens[symbol]
        for topic in list(self._waiting.get(("life", ""), {}).values()):
            rows = [payloads.instrument(market.board, symbol, "live") for symbol, market in opened.items()]
            self._push(topic, [row for row in rows if row["instType"] == topic.key])

    def _send_state(self, topic: Topic) -> None:
        now_ms = self._now_ms()
        if not isinstance(topic, BookTopic):
            self._push(topic, topic.state(now_ms))
        elif topic.channel != "books":
            topic.seq += 1
            self._push(topic, [topic.window(now_ms)])
        else:
            is_reset = self.faults.book_reset
            change = topic.change(now_ms, 3 - topic.seq if is_reset else 1)
            if change is not None and self.faults.book_gap:
                self.faults.book_gap = False
                topic.last_ns = self._now_ns
                return
            if change is not None:
                self.faults.book_reset = self.faults.book_reset and not is_reset
                self._push(topic, [change], action="update")

    def _send_idle(self) -> None:
        """Send what `books` sends after a minute without change."""
        now_ms = self._now_ms()
        for topic in self._topics.values():
            is_delta = isinstance(topic, BookTopic) and topic.channel == "books"
            if is_delta and now_ms - topic.last_ns // _MS >= IDLE_MS:
                assert isinstance(topic, BookTopic)
                self._push(topic, [topic.idle(now_ms)], action="update")

    def _push(
        self, topic: Topic, rows: list[Json], to: list[Session] | None = None, action: str | None = None
    ) -> None:  # fmt: skip
        if not rows:
            return
        topic.last_ns = self._now_ns
        body = orjson.dumps(rows)
        middle = f',"action":"{action}"'.encode() if action else b""
        for _ in range(self.faults.copies(topic.name)):
            for session in topic.sessions if to is None else to:
                arg = topic.sessions[session]
                session.out.append(b"".join((b'{"arg":', arg, middle, b',"data":', body, b"}")))

    def _check(self, session: Session, now_ns: int) -> None:
        if session.out:
            session.last_ns = now_ns
        if session.topics:
            session.idle_since_ns = now_ns
        if session.closes_ns is not None and now_ns >= session.closes_ns:
            session.closing = session.closing or UPGRADE_CLOSE
        if now_ns - session.last_ns >= SILENCE_NS_MAX or now_ns - session.idle_since_ns >= SILENCE_NS_MAX:
            session.closing = session.closing or NO_DATA_CLOSE

    def _now_ms(self) -> int:
        return self._now_ns // _MS

    # --- REST ---

    def rest(self, path: str, query: dict[str, str], now_ns: int) -> Reply:
        """Return HTTP status and body of one call."""
        self._now_ns = max(now_ns, self._now_ns)
        name = path.removeprefix("/api/v5/")
        calls_max = LIMITS.get(name)
        if calls_max is None:
            return 404, {"code": "404", "msg": "Not Found", "data": []}
        if not self._limits.setdefault(name, Window(calls_max, 2.0)).take(now_ns):
            return 429, {"code": "50011", "msg": "Rate limit reached. Please refer to API docs.", "data": []}
        if name == "public/time":
            return _data([{"ts": str(self._now_ms())}])
        if name == "system/status":
            return _data([payloads.system_status(self._status, self._now_ms())])
        if self.faults.maintenance:
            return _failed("50001", "Service temporarily unavailable. Try again later.")
        markets = self.view.markets
        if name == "public/instrument-tick-bands":
            return _data([payloads.tick_bands(market.family) for market in markets])
        if name == "market/index-tickers":
            found = {f"{m.family.ccy}-USD": m for m in markets}.get(query.get("instId", ""))
            return _failed("51001", "Instrument ID does not exist") if found is None else _data(
                [payloads.index(found.board, self._now_ms())]
            )  # fmt: skip
        family = query.get("instFamily")
        if not family:
            return _failed("50015", "Either parameter uly or instFamily is required")
        market = next((market for market in markets if market.family.name == family), None)
        if market is None:
            return _failed("51000", "Parameter instFamily error")
        rows = _of_family(name, market, query.get("instType", ""))
        if name == "public/instruments":
            rows = [row | {"state": "preopen"} if row["instId"] in self._opens else row for row in rows]
        return _data(rows)


def _waits_for(topic: Topic) -> str:
    if topic.wake == "index":
        return topic.key.partition("-")[0]
    return "" if topic.wake in ("life", "status") else topic.key


def _of_family(name: str, market: MarketView, kind: str) -> list[Json]:
    board = market.board
    if name == "public/instruments" and kind != "OPTION":
        futures = [future for future in board.futures.values() if future.state == 0]
        wanted = [future for future in futures if (future.expiry is None) == (kind == "SWAP")]
        return [payloads.instrument(board, future.symbol) for future in wanted]
    rows = board.open_rows().tolist()
    if name == "public/instruments":
        return [payloads.instrument(board, board.symbols[row]) for row in rows]
    if name == "public/opt-summary":
        return [payloads.summary(board, row) for row in rows]
    if name == "public/open-interest":
        return [payloads.open_interest(board, row) for row in rows]
    of_symbol = payloads.mark_price if name == "public/mark-price" else payloads.ticker
    return [of_symbol(board, board.symbols[row]) for row in rows]


LIMITS = {
    "public/instruments": 20, "public/instrument-tick-bands": 5, "public/opt-summary": 20, "public/mark-price": 10,
    "public/open-interest": 20, "public/time": 10, "market/tickers": 20, "market/index-tickers": 20, "system/status": 1,
}  # fmt: skip
"""Calls in two seconds."""


def _data(rows: list[Json]) -> Reply:
    return 200, {"code": "0", "msg": "", "data": rows}


def _failed(code: str, message: str) -> Reply:
    return 200, {"code": code, "msg": message, "data": []}
