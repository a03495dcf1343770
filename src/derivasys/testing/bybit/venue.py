"""The local Bybit, sans I/O: requests and time in, pushes out.

Acknowledgements and pongs have the shapes of each market's socket. Limits are those of the documentation; what happens
to topics beyond a connection's characters is not documented: here they fail.
"""

from __future__ import annotations

import random
from typing import Any

import orjson
from msgspec import field

from derivasys.testing.bybit import payloads
from derivasys.testing.bybit.payloads import Json
from derivasys.testing.bybit.topics import BookTopic, Topic, open_topic
from derivasys.testing.market import MarketUpdate, MarketView, VenueMarket
from derivasys.testing.text import Losses, Window, is_named

_MS = 1_000_000
SILENCE_NS_MAX = 600_000 * _MS
"""Without a message of the client for so long a connection is closed."""
TOPIC_CHARS_MAX, TOPICS_MAX = 21_000, 2000
REST_CALLS_MAX, REST_SECONDS = 600, 5.0
PAGE_DEFAULT, PAGE_MAX = 500, 1000
DEFAULT_COIN = "BTC"
"""What REST answers about when no coin is named."""
PRELAUNCH_NS = 3_000 * _MS
"""From the listing of a contract to its launch."""
UNSEEN_IDS = 100
"""How far a book's ids go on while nobody follows it."""
SILENCE_CLOSE = (1006, "no ping")
Reply = tuple[int, Json]


class Faults(Losses):
    """Switches of misbehaviour. Topics are named by prefix."""

    refused: set[str] = field(default_factory=set)
    """Topics that are named in failTopics (option) or fail the request (linear)."""
    unnamed: set[str] = field(default_factory=set)
    """Topics left out of both lists."""
    unanswered: bool = False
    """Subscriptions are not acknowledged."""
    is_mute: bool = False
    """Pings are not answered."""
    maintenance: bool = False
    """REST answers 10016."""
    is_banned: bool = False
    """REST answers 403."""
    book_gap: bool = False
    """The next change of a book is lost."""


class Session:
    """What the venue keeps for one connection."""

    def __init__(self, market: str, number: int, now_ns: int) -> None:
        self.market = market
        """What follows /v5/public: option, linear, misc/status."""
        self.id = f"{number:08x}"
        self.topics: dict[str, Topic] = {}
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.heard_ns = now_ns

    def take(self) -> list[bytes]:
        """Return the payloads to be sent, and forget them."""
        out, self.out = self.out, []
        return out

    def characters(self) -> int:
        """Return the length of all topics, quotes and commas included."""
        return sum(len(name) + 3 for name in self.topics)


class BybitVenue:
    """All sessions and topics of one local venue. Not thread-safe; time never runs back."""

    def __init__(self, view: VenueMarket, seed: int = 0, faults: Faults | None = None) -> None:
        self.view = view
        self.faults = faults or Faults()
        self.sessions: dict[Session, None] = {}
        self._random = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        self._now_ns = max(market.start_ns for market in view.markets)
        self._topics: dict[tuple[str, str], Topic] = {}
        """By market and name."""
        self._waiting: dict[tuple[str, str], dict[tuple[str, str], Topic]] = {}
        self._dirty: dict[tuple[str, str], Topic] = {}
        self._book_ids: dict[tuple[str, str], int] = {}
        """Of books that nobody follows now: their ids go on."""
        self._status = "completed"
        self._sequence = 3_414_625_000
        self._launches: dict[str, int] = {}
        """When contracts that are listed will trade."""
        self._calls = Window(REST_CALLS_MAX, REST_SECONDS)

    # --- sessions ---

    def connect(self, market: str, now_ns: int) -> Session:
        """Return the session of a new connection."""
        session = Session(market, self._random.getrandbits(32), now_ns)
        self.sessions[session] = None
        return session

    def disconnect(self, session: Session) -> None:
        """Forget a session and its subscriptions."""
        for name in list(session.topics):
            self._leave(session, name)
        self.sessions.pop(session, None)

    def receive(self, session: Session, text: bytes, now_ns: int) -> None:
        """Answer one message of a client."""
        self._now_ns = max(now_ns, self._now_ns)
        session.heard_ns = now_ns
        try:
            request = orjson.loads(text)
            op = request["op"]
            args = request["args"] if op in ("subscribe", "unsubscribe") else []
            if not all(isinstance(name, str) for name in args):
                raise TypeError
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self._answer(session, {"success": False, "ret_msg": "Params Error", "op": ""}, "")
            return
        request_id = str(request.get("req_id", ""))
        if op == "ping":
            self._pong(session, request_id)
        elif op == "subscribe":
            self._subscribe(session, list(dict.fromkeys(args)), request_id)
        elif op == "unsubscribe":
            for name in [name for name in args if name in session.topics]:
                self._leave(session, name)
            self._acknowledge(session, op, args, [], request_id)
        else:
            self._answer(session, {"success": False, "ret_msg": f"unknown op {op}", "op": op}, request_id)

    def announce(self, state: str) -> None:
        """Push a state of the system (ongoing, completed, …) to who subscribes to `system.status`."""
        self._status = state
        for topic in self._waiting.get(("status", ""), {}).values():
            self._push(topic, "snapshot", [payloads.system_status(state, self._now_ms())])

    def restart_books(self) -> None:
        """Send the snapshots with u = 1 that follow a restart of the service."""
        for topic in self._topics.values():
            if isinstance(topic, BookTopic):
                self._push(topic, "snapshot", topic.restart())

    def _answer(self, session: Session, body: Json, request_id: str) -> None:
        session.out.append(orjson.dumps(body | {"conn_id": session.id, "req_id": request_id}))

    def _pong(self, session: Session, request_id: str) -> None:
        if self.faults.is_mute:
            return
        if session.market == "option":
            session.out.append(orjson.dumps({"args": [str(self._now_ms())], "op": "pong"}))
        else:
            self._answer(session, {"success": True, "ret_msg": "pong", "op": "ping"}, request_id)

    def _acknowledge(
        self, session: Session, op: str, accepted: list[str], failed: list[str], request_id: str
    ) -> None:  # fmt: skip
        if session.market == "option":
            # No op, no request id: only the lists tell.
            data = {"failTopics": failed, "successTopics": accepted}
            body = {"success": True, "conn_id": session.id, "data": data, "type": "COMMAND_RESP"}
            session.out.append(orjson.dumps(body))
            return
        message = f"Invalid topic: {failed[0]}" if failed else ""
        self._answer(session, {"success": not failed, "ret_msg": message, "op": op}, request_id)

    # --- subscriptions ---

    def _subscribe(self, session: Session, names: list[str], request_id: str) -> None:
        if self.faults.unanswered:
            return
        accepted: dict[str, Topic] = {}
        failed = []
        room = TOPIC_CHARS_MAX - session.characters()
        for name in names:
            if is_named(name, self.faults.unnamed):
                continue
            topic = None if is_named(name, self.faults.refused) else self._topic(session.market, name)
            room -= len(name) + 3
            if topic is None or room < 0 or len(session.topics) + len(accepted) >= TOPICS_MAX:
                failed.append(name)
            else:
                accepted[name] = topic
        if failed and session.market != "option":
            accepted = {}  # elsewhere a request succeeds or fails as a whole
        joined = [topic for topic in accepted.values() if session not in topic.sessions]
        self._acknowledge(session, "subscribe", list(accepted), failed, request_id)
        for topic in joined:
            session.topics[topic.name] = topic
            topic.sessions[session] = None
            data = topic.snapshot(self._now_ms())
            if topic.wake[0] == "status":
                data = [payloads.system_status(self._status, self._now_ms())]
            if data is not None:
                self._push(topic, "snapshot", data, [session])
        for name in names:
            self._forget_unused((session.market, name))

    def _topic(self, market: str, name: str) -> Topic | None:
        key = (market, name)
        topic = self._topics.get(key)
        if topic is None:
            topic = open_topic(market, name, self.view.markets)
            if isinstance(topic, BookTopic):
                topic.u = self._book_ids.get(key, topic.u)
            if topic is not None:
                self._topics[key] = topic
                self._waiting.setdefault(topic.wake, {})[key] = topic
        return topic

    def _leave(self, session: Session, name: str) -> None:
        session.topics.pop(name).sessions.pop(session, None)
        self._forget_unused((session.market, name))

    def _forget_unused(self, key: tuple[str, str]) -> None:
        topic = self._topics.get(key)
        if topic is not None and not topic.sessions:
            del self._topics[key]
            self._dirty.pop(key, None)
            del self._waiting[topic.wake][key]
            if isinstance(topic, BookTopic):
                self._book_ids[key] = topic.u + UNSEEN_IDS

    # --- time ---

    def tick(self, now_ns: int) -> None:
        """Move on to `now_ns`: markets, pushes, connections that end."""
        self._now_ns = max(now_ns, self._now_ns)
        for market, update in self.view.advance(now_ns):
            self._absorb(market, update)
        for key, topic in list(self._dirty.items()):
            if now_ns - topic.last_ns < topic.interval_ns:
                continue
            del self._dirty[key]
            change = topic.change(self._now_ms())
            if change is None:
                continue
            if self.faults.book_gap and isinstance(topic, BookTopic):
                self.faults.book_gap = False
                continue
            self._push(topic, *change)
        for session in self.sessions:
            if now_ns - session.heard_ns >= SILENCE_NS_MAX:
                session.closing = session.closing or SILENCE_CLOSE

    def _absorb(self, market: MarketView, update: MarketUpdate) -> None:
        board, waiting = market.board, self._waiting
        open_rows = [row for row in update.rows.tolist() if board.state[row] == 0]
        for symbol in [board.symbols[row] for row in open_rows] + update.futures:
            topics = waiting.get(("contract", symbol))
            if topics:
                self._dirty.update(topics)
        launch_ns = self._now_ns + PRELAUNCH_NS
        self._launches |= {event.symbol: launch_ns for event in update.life if event.created}
        for made in update.prints:
            for topic in waiting.get(("trade", market.family.ccy), {}).values():
                self._push(topic, "snapshot", [payloads.trade(board, made)])

    def _push(
        self, topic: Topic, kind: str, data: Json | list[Json], to: list[Session] | None = None
    ) -> None:  # fmt: skip
        topic.last_ns = self._now_ns
        self._sequence += 1
        now_ms = self._now_ms()
        name = topic.name
        message: dict[str, Any] = {"topic": name, "ts": now_ms, "data": data, "type": kind}
        if topic.wake[0] != "status":
            message = {"id": f"{name}-{self._sequence}-{now_ms}"} | message
        payload = orjson.dumps(message)
        for _ in range(self.faults.copies(name)):
            for session in topic.sessions if to is None else to:
                session.out.append(payload)

    def _now_ms(self) -> int:
        return self._now_ns // _MS

    # --- REST ---

    def rest(self, path: str, query: dict[str, str], now_ns: int) -> Reply:
        """Return HTTP status and body of one call."""
        self._now_ns = max(now_ns, self._now_ns)
        if self.faults.is_banned or not self._calls.take(now_ns):
            return 403, {"retCode": 403, "retMsg": "access too frequent"}
        name = path.removeprefix("/v5/")
        if name == "market/time":
            seconds, nanos = divmod(self._now_ns, 10**9)
            return self._result({"timeSecond": str(seconds), "timeNano": f"{seconds}{nanos:09d}"})
        if name == "system/status":
            return self._result({"list": [payloads.system_status(self._status, self._now_ms())]})
        if self.faults.maintenance:
            return self._failed(10016, "Server error")
        category, coin = query.get("category"), query.get("baseCoin", DEFAULT_COIN)
        if category not in ("option", "linear"):
            return self._failed(10001, "Illegal category")
        markets = [market for market in self.view.markets if market.family.ccy == coin]
        if name == "market/instruments-info":
            return self._page(category, markets, query)
        if name == "market/tickers" and category == "option":
            rows = [payloads.rest_ticker(row) for market in markets for row in self._tickers(market)]
            return self._result({"category": category, "list": rows})
        return 404, {}

    def _tickers(self, market: MarketView) -> list[Json]:
        now_ms, board = self._now_ms(), market.board
        return [
            payloads.ticker(board, row, now_ms, market.estimated_delivery_price(int(board.expiry_ms[row])))
            for row in board.open_rows().tolist()
        ]

    def _page(self, category: str, markets: list[MarketView], query: dict[str, str]) -> Reply:
        limit, cursor = query.get("limit", str(PAGE_DEFAULT)), query.get("cursor", "0")
        if not limit.isdigit() or not 1 <= int(limit) <= PAGE_MAX or not cursor.isdigit():
            return self._failed(10001, "Illegal limit or cursor")
        rows: list[Json] = []
        for market in markets:
            board = market.board
            if category == "option":
                # Without a filter of status the answer holds what is being delivered too.
                rows += [payloads.instrument(board, row) for row, state in enumerate(board.state.tolist()) if state < 2]
            else:
                rows += [payloads.future_instrument(board, future) for future in board.futures.values()]
        self._launches = {symbol: at for symbol, at in self._launches.items() if at > self._now_ns}
        rows = [row | {"status": "PreLaunch"} if row["symbol"] in self._launches else row for row in rows]
        first, last = int(cursor), int(cursor) + int(limit)
        after = str(last) if last < len(rows) else ""
        return self._result({"category": category, "nextPageCursor": after, "list": rows[first:last]})

    def _result(self, result: Json) -> Reply:
        return 200, {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self._now_ms()}

    def _failed(self, code: int, message: str) -> Reply:
        return 200, {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": self._now_ms()}
