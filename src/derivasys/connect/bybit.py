"""Bybit's public market data: paged listings, shards, batched subscriptions, pings, silence.

Source: bybit-exchange.github.io/docs/v5 (WebSocket: connect; REST `market/instruments-info`, `system/status`; topics
`tickers`, `publicTrade`), and observed behaviour: the option socket acknowledges with lists of topics and no request
id, the linear one with the request id and no topics; "pong" has another shape on each.

Quotes, marks, vols, forwards and index come in `tickers` (each 100 ms, of options always whole): no order book is
needed, so no sequence numbers are. The topics of a connection may have 21,000 characters together, which is about 580
option tickers, so a coin's options are spread over `SHARDS` connections by a hash of the name, which stays put as
expiries come and go. Dated futures, whose tickers are deltas, come on one more connection. Nothing announces listings:
they are fetched every ten minutes and after 08:00 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote
from zlib import crc32

import msgspec
from msgspec import Struct, field

from derivasys.connect.session import Endpoint, Reconnect, Session, Venue
from derivasys.connect.subscriptions import RelistTimer, Subscriptions

VENUE = "bybit"
PRODUCTION = Endpoint(ws="wss://stream.bybit.com", http="https://api.bybit.com")
COINS_ASKED_FOR = ("BTC", "ETH", "SOL", "XRP", "DOGE", "MNT", "BNB", "HYPE", "ADA", "LTC", "SUI", "TRX")
"""No call tells on which coins options are listed, so these are asked about; those with none are not followed."""
SHARDS = {"BTC": 2, "ETH": 2}
"""Option connections of a coin; 1 for others."""
LISTING = "/v5/market/instruments-info"
STATUS = "/v5/system/status"
TOPIC_CHARS_MAX = 16_800
"""21,000 are allowed; whether quotes and commas count is not said."""
TOPICS_PER_REQUEST = 10
"""More than the least of what is documented for other markets is not promised."""
PING_EVERY_S, PONG_S_MAX = 20.0, 10.0
ANSWER_S_MAX = 10.0
STREAM_SILENCE_S_MAX = 60.0
"""Options of a small coin may be quiet for long; a new subscription is answered with the present tickers at once."""
RELIST_DELAY_S, RELIST_EVERY_S = 2.0, 600.0
NO_SUCH_COIN = 10001
_NS = 1_000_000_000

Market = Literal["option", "linear"]


class BybitSession:
    """One connection's conversation (see `connect.session.Session`): a share of a coin's options, or futures."""

    def __init__(
        self,
        market: Market,
        ccys: Sequence[str],
        now_ns: int,
        shard: int = 0,
        shards: int = 1,
        *,
        has_books: bool = False,
    ) -> None:
        self.ws_path = f"/v5/public/{market}"
        self.relisting: list[str] = []
        self._channels = Subscriptions(TOPICS_PER_REQUEST, TOPIC_CHARS_MAX, STREAM_SILENCE_S_MAX, patience=2.0)
        self.subscribed = self._channels.subscribed
        self.refused = self._channels.refused
        """Topics asked for and named as failed, or not named at all."""
        self.left_out: set[str] = set()
        """Topics for which the connection has no room."""
        self._market = market
        self._ccys = tuple(ccys)
        self._has_books = has_books
        self._shard = shard
        self._shards = shards
        self._timer = RelistTimer(RELIST_EVERY_S, RELIST_DELAY_S, now_ns)
        self._requests: dict[str, Sequence[str]] = {}
        """Subscriptions not yet answered, oldest first."""
        self._merged: set[str] = set()
        """Tickers of futures whose snapshot has come."""
        self._next_id = 1
        self._pinged_ns = now_ns
        self._is_pong_due = False
        self.is_leaving = False
        self._is_open = False
        self._relist(now_ns)

    # --- listing ---

    def _relist(self, now_ns: int) -> None:
        paths = [f"{LISTING}?category={self._market}&baseCoin={ccy}&limit=1000" for ccy in self._ccys]
        if self._market == "linear":
            paths.append(STATUS)
        self.relisting += [path for path in paths if path not in self.relisting]
        self._timer.restart(now_ns)

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Queue subscriptions for what a page shows and this connection lacks. Raises Reconnect for an error."""
        if path.startswith(STATUS):
            return
        reply = _LISTING.decode(payload)
        if reply.ret_code == NO_SUCH_COIN:
            return
        if reply.ret_code != 0 or reply.result is None:
            raise Reconnect(f"{path}: error {reply.ret_code} {reply.ret_msg}")
        cursor = reply.result.next_page_cursor
        if cursor:
            self.relisting.insert(0, f"{path.partition('&cursor=')[0]}&cursor={quote(cursor, safe='')}")
        wanted: list[tuple[str, str]] = []
        for row in reply.result.rows:
            if not self._is_ours(row):
                continue
            topics = {f"tickers.{row.symbol}": f"tickers {row.base_coin} {self._market}"}
            if self._has_books:
                topics[_book(row.symbol)] = ""
            wanted += topics.items()
            for topic in topics:
                if row.delivery_time.isdigit() and topic not in self._channels:
                    self._channels.expires(topic, int(row.delivery_time))
        if self._market == "option" and self._shard == 0:
            wanted += [(f"publicTrade.{coin}", "") for coin in sorted({row.base_coin for row in reply.result.rows})]
        self._want(wanted)

    def _is_ours(self, row: _Row) -> bool:
        if row.status != "Trading":
            return False
        if self._market == "linear":
            # Each is the forward of the options that settle like it.
            return row.contract_type == "LinearFutures" and row.settle_coin in ("USDT", "USDC")
        return crc32(row.symbol.encode()) % self._shards == self._shard

    def _want(self, wanted: Sequence[tuple[str, str]]) -> None:
        self.left_out.difference_update(topic for topic, _ in wanted)
        room = TOPIC_CHARS_MAX - self._channels.characters()
        fitting = []
        for topic, stream in wanted:
            length = 0 if topic in self._channels else len(topic) + 3
            if length > room:
                self.left_out.add(topic)
                continue
            room -= length
            fitting.append((topic, stream))
        self._channels.want(fitting)

    # --- conversation ---

    def is_listing(self, payload: bytes) -> bool:
        """Return False: nothing announces listings."""
        return False

    def opened(self, now_ns: int) -> list[bytes]:
        """Return the first subscriptions."""
        self._is_open = True
        self._pinged_ns = now_ns
        return self._send_queue(now_ns)

    def received(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Note that a stream lives; compare acknowledgements with requests."""
        at = payload.find(b'"topic":"', 0, 128)
        if at < 0:
            self._control(payload, now_ns)
            return []
        start = at + 9
        topic = payload[start : payload.find(b'"', start)]
        self._channels.heard(topic, now_ns)
        if self._market == "linear":
            self._check_merging(topic.decode(errors="replace"), payload)
        return []

    def broken(self, symbol: str) -> None:
        """Subscribe to a contract's book anew: a snapshot follows. See `_check_merging` for futures."""
        self._channels.renew(_book(symbol))

    def tick(self, now_ns: int) -> list[bytes]:
        """Raise Reconnect for a dead connection; otherwise send what is due."""
        pings = []
        if self._is_pong_due and now_ns - self._pinged_ns > PONG_S_MAX * _NS:
            raise Reconnect(f"no answer to a ping for {PONG_S_MAX:g} s")
        if now_ns - self._pinged_ns >= PING_EVERY_S * _NS:
            self._pinged_ns = now_ns
            self._is_pong_due = True
            pings.append(b'{"req_id":"ping","op":"ping"}')
        if self._channels.overdue(now_ns, ANSWER_S_MAX):
            raise Reconnect(f"no answer to a subscription for {ANSWER_S_MAX:g} s")
        self._channels.check(now_ns)
        if self._channels.expire(now_ns):
            self._timer.soon(now_ns)
        if self._timer.is_due(now_ns):
            self._relist(now_ns)
        return pings + self._send_queue(now_ns)

    def _check_merging(self, topic: str, payload: bytes) -> None:
        """Subscribe anew to a future's ticker whose changes come without the snapshot they belong to."""
        if b'"type":"snapshot"' in payload:
            self._merged.add(topic)
        elif topic in self.subscribed and topic not in self._merged:
            self._merged.add(topic)  # not again before the answer
            self._channels.queue += [(False, [topic]), (True, [topic])]

    def _control(self, payload: bytes, now_ns: int) -> None:
        try:
            message = _CONTROL.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # the decoder counts it
        if message.op == "pong" or message.ret_msg == "pong" or message.op == "ping":
            self._is_pong_due = False
        elif message.data is not None and message.success is not None:
            self._option_answer(message.data, now_ns)
        elif message.op == "subscribe" and message.success is not None:
            self._linear_answer(message, now_ns)

    def _option_answer(self, answer: _Topics, now_ns: int) -> None:
        """The lists decide, whatever `success` says. They name no request: it is the one with any of their topics."""
        named = {*answer.success_topics, *answer.fail_topics}
        request = next((key for key, topics in self._requests.items() if named.intersection(topics)), None)
        for topic in self._requests.pop(request, ()) if request is not None else ():
            if topic in answer.success_topics:
                self._channels.grant(topic, now_ns)
            else:
                self._channels.refuse(topic)

    def _linear_answer(self, message: _Control, now_ns: int) -> None:
        """All or nothing: a refused request is asked again without the topic that the message names."""
        topics = self._requests.pop(message.req_id or next(iter(self._requests), ""), ())
        if message.success:
            for topic in topics:
                self._channels.grant(topic, now_ns)
            return
        named = [topic for topic in topics if topic in message.ret_msg] or topics
        for topic in named:
            self._channels.refuse(topic)
        rest = [topic for topic in topics if topic not in named]
        if rest:
            self._channels.queue.append((True, rest))

    def _send_queue(self, now_ns: int) -> list[bytes]:
        out = []
        while self._is_open and self._channels.queue:
            is_subscribe, topics = self._channels.take(now_ns)
            request = str(self._next_id)
            self._next_id += 1
            if is_subscribe:
                self._requests[request] = topics
            else:
                self._merged.difference_update(topics)
            op = "subscribe" if is_subscribe else "unsubscribe"
            out.append(msgspec.json.encode({"req_id": request, "op": op, "args": topics}))
        return out


def _book(symbol: str) -> str:
    return f"orderbook.25.{symbol}"


class _Row(Struct, rename="camel"):
    symbol: str
    status: str
    base_coin: str = ""
    settle_coin: str = ""
    contract_type: str = ""
    delivery_time: str = ""


class _Page(Struct, rename="camel"):
    rows: list[_Row] = field(default_factory=list, name="list")
    next_page_cursor: str | None = None


class _Listing(Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: _Page | None = None


class _Topics(Struct, rename="camel"):
    success_topics: list[str] = []
    fail_topics: list[str] = []


class _Control(Struct):
    success: bool | None = None
    op: str | None = None
    req_id: str = ""
    ret_msg: str = ""
    data: _Topics | None = None


_LISTING = msgspec.json.Decoder(_Listing)
_CONTROL = msgspec.json.Decoder(_Control)


def _sessions(ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> list[Session]:
    counts = {ccy: SHARDS.get(ccy, 1) * (3 if has_books else 1) for ccy in ccys}
    shards: list[Session] = [
        BybitSession("option", [ccy], now_ns, shard, count, has_books=has_books)
        for ccy, count in counts.items()
        for shard in range(count)
    ]
    return [*shards, BybitSession("linear", ccys, now_ns)]


def _coins(payload: bytes) -> list[str]:
    reply = _LISTING.decode(payload)
    return [row.base_coin for row in reply.result.rows] if reply.result is not None else []


_ABOUT_COINS = tuple(f"{LISTING}?category=option&baseCoin={coin}&limit=1" for coin in COINS_ASKED_FOR)
ENTRY = Venue(VENUE, PRODUCTION, "/v5/market/time", _ABOUT_COINS, _coins, _sessions)
