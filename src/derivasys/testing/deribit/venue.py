"""The local Deribit, sans I/O: sessions in, calls in, time in; payloads out.

`tick(now_ns)` moves the markets on and puts every session's messages of that moment into its `out`.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

import orjson

from derivasys.testing.deribit import rpc
from derivasys.testing.deribit.channels import LifeTopic, Topic, open_topic
from derivasys.testing.deribit.faults import Faults, is_named
from derivasys.testing.deribit.methods import METHODS
from derivasys.testing.deribit.payloads import notification, trade
from derivasys.testing.deribit.rpc import Budget, Json, Request, RpcError
from derivasys.testing.deribit.session import Session, heartbeat_interval_s
from derivasys.testing.market import Market, MarketUpdate

REQUEST_BYTES_MAX = 32 << 10
PLATFORM_NS = 5_000_000_000
"""How often platform_state repeats itself while nothing is locked."""
TRADES_MAX = 1000
"""Prints that can be asked for over REST."""
LAST_TRADES = {
    "public/get_last_trades_by_instrument": "instrument_name",
    "public/get_last_trades_by_currency": "currency",
}
TOKEN_S = 900
RATE_LIMIT_CLOSE = (1008, "too_many_requests")


class Venue:
    """All sessions and channels of one local venue. Not thread-safe; time never runs back."""

    def __init__(
        self,
        markets: Sequence[Market],
        seed: int = 0,
        faults: Faults | None = None,
        ticker_interval_ms: int = 100,
    ) -> None:
        """`ticker_interval_ms`: what `100ms` means for tickers; less only to load a client."""
        self.markets = tuple(markets)
        self.faults = faults or Faults()
        self.sessions: dict[Session, None] = {}
        self.accounts: dict[str, str] = {}
        """Secret by client id: who may log in."""
        self.logins = 0
        self._random = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        self._now_ns = max(market.start_ns for market in self.markets)
        self._rest_budget = Budget(self._now_ns)
        self._ticker_ns = ticker_interval_ms * 1_000_000
        self._topics: dict[str, Topic] = {}
        self._waiting: dict[tuple[str, str], dict[str, Topic]] = {}
        """(what a change is, of which contract or family) → channels that wait for it."""
        self._dirty: dict[str, Topic] = {}
        self._platform_ns = 0
        self._trades: deque[tuple[str, Json]] = deque(maxlen=TRADES_MAX)
        """(settlement currency, print), oldest first."""
        self._change_ids = itertools.count(193_809_616_666, 31)

    # --- sessions ---

    def connect(self, now_ns: int) -> Session:
        """Return the session of a new connection."""
        session = Session(now_ns)
        self.sessions[session] = None
        return session

    def disconnect(self, session: Session) -> None:
        """Forget a session and its subscriptions."""
        for name in list(session.topics):
            self._leave(session, name)
        self.sessions.pop(session, None)

    def receive(self, session: Session, text: bytes, now_ns: int) -> None:
        """Answer one message of a client; the reply is in `session.out`."""
        if session.closing is not None:
            return
        self._now_ns = max(now_ns, self._now_ns)
        request_id = None
        try:
            if len(text) > REQUEST_BYTES_MAX:
                raise RpcError(-32600, "request entity too large")
            request = rpc.parse_request(text)
            request_id = request.id
            session.heard(now_ns, request.method)
            session.budget.charge(request.method, now_ns)
            if request.method in ("public/subscribe", "private/subscribe"):
                self._subscribe(session, request, now_ns)
                return
            result = self._session_call(session, request, now_ns)
        except RpcError as error:
            session.out.append(rpc.error_reply(request_id, error, *self._times(now_ns)))
            if error.closes:
                session.end(*RATE_LIMIT_CLOSE)
            return
        session.out.append(rpc.result_reply(request_id, result, *self._times(now_ns)))

    def rest(self, method: str, params: Json, request_id: Any, now_ns: int) -> tuple[int, bytes]:
        """Return HTTP status and body of one call over HTTP. All callers share one budget."""
        try:
            self._rest_budget.charge(method, now_ns)
            result = self._call(method, params, now_ns)
        except RpcError as error:
            status = 429 if error.code == 10028 else 400
            return status, rpc.error_reply(request_id, error, *self._times(now_ns))
        return 200, rpc.result_reply(request_id, result, *self._times(now_ns))

    def _times(self, now_ns: int) -> tuple[int, int]:
        us_in = now_ns // 1000
        return us_in, us_in + self._random.randint(80, 400)

    def _call(self, method: str, params: Json, now_ns: int) -> Any:
        if method == "public/status":
            locked = sorted(self.faults.locked)
            return {"locked": "partial" if locked else "false", "locked_indices": locked}
        function = METHODS.get(method)
        if function is None and method not in LAST_TRADES:
            raise rpc.method_not_found()
        self._check_open(method)
        if function is None:
            return self._last_trades(LAST_TRADES[method], params)
        return function(self.markets, params, now_ns // 1_000_000)

    def _check_open(self, method: str) -> None:
        if method == "public/test":
            return
        if self.faults.maintenance:
            raise rpc.system_maintenance()
        if self.faults.is_settling:
            raise rpc.settlement_in_progress()

    def _last_trades(self, key: str, params: Json) -> Json:
        """Return the newest prints of a contract or a currency, newest first."""
        wanted, count, start = params.get(key), params.get("count", 10), params.get("start_seq", 0)
        if not isinstance(wanted, str) or not str(count).isdigit() or not str(start).isdigit():
            raise rpc.invalid_params(key, "must name what trades are asked for")
        found = [
            made for family, made in self._trades
            if wanted in (made["instrument_name"], family, "any") and made["trade_seq"] >= int(start)
        ]  # fmt: skip
        return {"trades": found[: -1 - int(count) : -1], "has_more": len(found) > int(count)}

    def _session_call(self, session: Session, request: Request, now_ns: int) -> Any:
        method, params = request.method, request.params
        if method == "public/auth":
            return self._log_in(session, params, now_ns)
        if method == "public/set_heartbeat":
            interval_s = heartbeat_interval_s(params)
            if interval_s is None:
                raise rpc.invalid_params("interval", "must be a number of at least 10")
            session.set_heartbeat(interval_s, now_ns)
            return "ok"
        if method == "public/disable_heartbeat":
            session.set_heartbeat(None, now_ns)
            return "ok"
        if method == "public/unsubscribe":
            names = [name for name in _channels(params) if name in session.topics]
            for name in names:
                self._leave(session, name)
            return names
        if method == "public/unsubscribe_all":
            for name in list(session.topics):
                self._leave(session, name)
            return "ok"
        return self._call(method, params, now_ns)

    def _log_in(self, session: Session, params: Json, now_ns: int) -> Json:
        """Check a client's signature (HMAC-SHA256 over timestamp, nonce, data) and let it into the raw feed."""
        secret = self.accounts.get(str(params.get("client_id")))
        text = f"{params.get('timestamp')}\n{params.get('nonce')}\n{params.get('data', '')}"
        signed = hmac.new((secret or "").encode(), text.encode(), hashlib.sha256).hexdigest()
        is_signed = params.get("grant_type") == "client_signature" and hmac.compare_digest(
            signed, str(params.get("signature"))
        )
        if secret is None or not is_signed or abs(int(params["timestamp"]) - now_ns // 1_000_000) > 60_000:
            raise rpc.invalid_credentials()
        session.authorised_until_ns = now_ns + TOKEN_S * 1_000_000_000
        self.logins += 1
        token = f"local-token-{self.logins}"
        return {
            "access_token": token, "refresh_token": f"{token}-refresh", "expires_in": TOKEN_S, "token_type": "bearer",
            "scope": "connection",
        }  # fmt: skip

    # --- subscriptions ---

    def _subscribe(self, session: Session, request: Request, now_ns: int) -> None:
        """Acknowledge the channels that exist, in any order, then send their first messages."""
        if self.faults.rate_limited:
            raise rpc.too_many_requests()
        self._check_open("public/subscribe")
        names = _channels(request.params)
        if now_ns >= session.authorised_until_ns and any(name.endswith(".raw") for name in names):
            raise rpc.raw_unauthorized()
        accepted: list[str] = []
        joined: list[Topic] = []
        for name in dict.fromkeys(names):
            topic = self._topic(name)
            if topic is None:
                continue
            accepted.append(name)
            if name not in session.topics:
                joined.append(topic)
                session.topics[name] = topic
                topic.sessions[session] = None
        self._random.shuffle(accepted)
        session.out.append(rpc.result_reply(request.id, accepted, *self._times(now_ns)))
        for topic in joined:
            if topic.is_snapshot:
                # What is new to this client is no news to the others: their interval restarts.
                self._send(topic, topic.snapshot(), [session], now_ns)

    def _topic(self, name: str) -> Topic | None:
        if name in self._topics:
            return self._topics[name]
        if is_named(name, self.faults.refused):
            return None
        topic = open_topic(name, self.markets, self._ticker_ns, lambda: self._now_ns // 1_000_000, self._change_ids)
        if topic is not None:
            self._topics[name] = topic
            for key in topic.keys or ("",):
                self._waiting.setdefault((topic.wake, key), {})[name] = topic
        return topic

    def _leave(self, session: Session, name: str) -> None:
        topic = session.topics.pop(name)
        topic.sessions.pop(session, None)
        if not topic.sessions:
            del self._topics[name]
            self._dirty.pop(name, None)
            for key in topic.keys or ("",):
                del self._waiting[topic.wake, key][name]

    # --- time ---

    def tick(self, now_ns: int) -> None:
        """Move on to `now_ns`: markets, messages, heartbeats."""
        self._now_ns = max(now_ns, self._now_ns)
        for market in self.markets:
            self._absorb(market, market.advance(now_ns))
        self._platform(now_ns)
        for name, topic in list(self._dirty.items()):
            if now_ns - topic.last_ns >= topic.interval_ns:
                del self._dirty[name]
                self._send(topic, topic.body(), list(topic.sessions), now_ns)
        for session in self.sessions:
            session.beat(now_ns)

    def _absorb(self, market: Market, update: MarketUpdate) -> None:
        """Wake the channels that wait for what changed."""
        board, waiting = market.board, self._waiting
        symbols = [board.symbols[row] for row in update.rows.tolist()] + update.futures
        for symbol in symbols:
            topics = waiting.get(("contract", symbol))
            if topics:
                self._dirty.update(topics)
        if update.index_changed:
            self._dirty.update(waiting.get(("index", board.family.name), {}))
        for made in update.prints:
            keys = (board.symbols[made.row], board.family.name)
            self._trades.append((board.family.settle, trade(board, made)))
            for name, topic in [t for k in keys for t in waiting.get(("trade", k), {}).items()]:
                topic.queue.append(trade(board, made))
                self._dirty[name] = topic
        for event in update.life:
            for wake in ("creation", "life"):
                for topic in list(waiting.get((wake, board.family.name), {}).values()):
                    assert isinstance(topic, LifeTopic)
                    message = topic.message(market, event)
                    if message is not None:
                        body = orjson.dumps(message)
                        self._send(topic, body, list(topic.sessions), self._now_ns)

    def _platform(self, now_ns: int) -> None:
        topics = self._waiting.get(("platform", ""))
        if not topics or now_ns - self._platform_ns < PLATFORM_NS:
            return
        self._platform_ns = now_ns
        for topic in topics.values():
            for body in self._platform_bodies(topic.name):
                self._send(topic, orjson.dumps(body), list(topic.sessions), now_ns)

    def _platform_bodies(self, name: str) -> list[Json]:
        if name != "platform_state":
            return [{"allow_unauthenticated_public_requests": True}]
        if self.faults.maintenance:
            return [{"maintenance": True}]
        return [
            {"locked": m.board.index_name in self.faults.locked, "price_index": m.board.index_name,
             "reasons": []}
            for m in self.markets
        ]  # fmt: skip

    def announce_platform(self) -> None:
        """Send platform_state at the next tick, after a change of `faults`."""
        self._platform_ns = 0

    def _send(self, topic: Topic, data: bytes | None, to: list[Session], now_ns: int) -> None:
        if data is None or not to:
            return
        topic.last_ns = now_ns
        payload = notification(topic.name, data)
        for _ in range(self.faults.copies(topic.name)):
            for session in to:
                session.out.append(payload)


def _channels(params: Json) -> list[str]:
    channels = params.get("channels")
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        raise rpc.invalid_params("channels", "must be a list of strings")
    return channels
