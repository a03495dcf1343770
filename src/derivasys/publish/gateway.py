"""Fan-out: each state is encoded once per rate class and the same bytes go to every subscriber.

No patches queue for a slow client: it is marked behind and gets snapshots when its socket drains; one that stays
stuck for `STUCK_S_MAX` is closed. A newcomer gets a snapshot of each channel it follows, then patches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from derivasys.publish.websocket import Connection, text_frame
from derivasys.wire.feed import STREAMED, Feed, State
from derivasys.wire.messages import Channel
from derivasys.wire.session import Action, Close, Send, Session, Snapshot, unknown_ccy
from derivasys.wire.variant import Variant

log = logging.getLogger("derivasys.publish")

CLIENTS_MAX = 10_000
"""One more is closed with 1013, try again later."""
STUCK_S_MAX = 30.0


class _Client:
    """What the gateway keeps of one connection."""

    __slots__ = ("behind", "session", "slow_since_s")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.behind: set[str] = set()
        """Currencies whose next message to this client must be a snapshot."""
        self.slow_since_s: float | None = None


class Gateway:
    """Handles the sockets at /ws. `monotonic_s` and `now_ms` are the edge's clocks."""

    def __init__(self, monotonic_s: Callable[[], float], now_ms: Callable[[], int]) -> None:
        self.feeds: dict[str, Feed] = {}
        self.status: bytes | None = None
        self.delivered = 0
        """Messages written to clients."""
        self.skipped = 0
        """Patches not sent to slow clients, who get a snapshot instead."""
        self.stuck = 0
        """Clients dropped because they stopped reading."""
        self._monotonic_s = monotonic_s
        self._now_ms = now_ms
        self._clients: dict[Connection, _Client] = {}

    @property
    def available(self) -> list[str]:
        """Currencies that have a surface."""
        return [ccy for ccy, feed in self.feeds.items() if feed.has_state]

    @property
    def clients(self) -> int:
        return len(self._clients)

    def add_feed(self, ccy: str, epoch: str) -> None:
        self.feeds[ccy] = Feed(ccy, epoch)

    # --- towards clients ---

    def publish(self, state: State) -> None:
        """Bring every subscriber of the currency whose rate class is due to `state`."""
        self.offer(state.ccy, state.ts, lambda: state)

    def offer(self, ccy: str, ts: int, make: Callable[[], State]) -> None:
        """Do the same with a state that is made only if somebody is due (`ts` as in the state, ms)."""
        feed = self.feeds[ccy]
        is_first = not feed.has_state
        feed.offer(ts, make)
        if is_first:
            self._greet_waiting(ccy)
        for variant, payloads in feed.publish().items():
            frames = {channel: text_frame(payload) for channel, payload in payloads.items()}
            self._broadcast(ccy, variant, frames)

    def publish_status(self, payload: bytes) -> None:
        """Send the status document to everybody who follows it."""
        self.status = payload
        frame = text_frame(payload)
        for connection, client in self._clients.items():
            if "status" in client.session.channels and not self._is_stuck(connection, client):
                connection.write(frame)
                self.delivered += 1

    def close_all(self, code: int, reason: str) -> None:
        """Start closing every connection."""
        for connection in list(self._clients):
            connection.close(code, reason)

    def _broadcast(self, ccy: str, variant: Variant, frames: dict[Channel, bytes]) -> None:
        joined: dict[frozenset[Channel], bytes] = {}
        for connection, client in self._clients.items():
            session = client.session
            if session.variant != variant or ccy not in session.ccys:
                continue
            if self._is_stuck(connection, client) or ccy in client.behind:
                client.behind.add(ccy)
                self.skipped += len(frames)
                continue
            channels = session.channels
            if channels not in joined:
                joined[channels] = b"".join(frame for channel, frame in frames.items() if channel in channels)
            if joined[channels]:
                connection.write(joined[channels])
                self.delivered += 1

    def _is_stuck(self, connection: Connection, client: _Client) -> bool:
        """Whether the client's socket is full; close it when it has been for too long."""
        if not connection.is_slow:
            client.slow_since_s = None
            return False
        now_s = self._monotonic_s()
        if client.slow_since_s is None:
            client.slow_since_s = now_s
        elif now_s - client.slow_since_s > STUCK_S_MAX:
            # Its socket is full, so a close frame with a reason would not reach it: the reason goes to the log.
            log.warning("dropped %s: has not read for %.0f s", connection.remote, STUCK_S_MAX)
            self.stuck += 1
            connection.abort()
        return True

    def _greet_waiting(self, ccy: str) -> None:
        for connection, client in self._clients.items():
            if not client.session.ccys:
                client.session.ccys = (ccy,)
            if ccy in client.session.ccys:
                self._send_snapshots(connection, client, [ccy])

    def _send_snapshots(self, connection: Connection, client: _Client, ccys: Iterable[str]) -> None:
        for ccy in ccys:
            for channel in STREAMED:
                if channel in client.session.channels:
                    self._send_snapshot(connection, client, channel, ccy)

    def _send_snapshot(self, connection: Connection, client: _Client, channel: Channel, ccy: str) -> None:
        if channel == "status":
            if self.status is not None:
                connection.send_text(self.status)
            return
        feed = self.feeds.get(ccy)
        if feed is None or not feed.has_state:
            return
        client.behind.discard(ccy)
        feed.activate(client.session.variant)
        connection.send_text(feed.snapshot(client.session.variant, channel))
        self.delivered += 1

    # --- websocket.Handler ---

    def on_open(self, connection: Connection) -> None:
        if len(self._clients) >= CLIENTS_MAX:
            connection.close(1013, "too many clients")
            return
        wanted = connection.query.get("ccy")
        # A currency that is not there yet is waited for: its surface may be seconds away.
        ccys = [wanted[:16]] if wanted else self.available[:1]
        client = _Client(Session(ccys))
        self._clients[connection] = client
        self._act(connection, client, client.session.open(connection.query, self._now_ms()))
        if self.status is not None:
            connection.send_text(self.status)
        if wanted and wanted not in self.available:
            connection.send_text(unknown_ccy(wanted, self.available, self._now_ms(), "?ccy"))
        self._send_snapshots(connection, client, ccys)

    def on_text(self, connection: Connection, text: bytes) -> None:
        client = self._clients.get(connection)
        if client is None:
            return
        before = (client.session.variant, client.session.ccys)
        self._act(connection, client, client.session.receive(text, self.available, self._now_ms()))
        if (client.session.variant, client.session.ccys) != before:
            self._release(before[0])

    def _act(self, connection: Connection, client: _Client, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send(payload):
                    connection.send_text(payload)
                case Snapshot(channel, ccy):
                    self._send_snapshot(connection, client, channel, ccy)
                case Close(code, reason):
                    connection.close(code, reason)

    def on_drain(self, connection: Connection) -> None:
        client = self._clients.get(connection)
        if client is not None and client.behind:
            self._send_snapshots(connection, client, list(client.behind))

    def on_close(self, connection: Connection) -> None:
        client = self._clients.pop(connection, None)
        if client is not None:
            self._release(client.session.variant)

    def _release(self, variant: Variant) -> None:
        """Stop the variant of each currency that nobody follows in it any more."""
        followed = {
            ccy for client in self._clients.values() if client.session.variant == variant for ccy in client.session.ccys
        }
        for ccy, feed in self.feeds.items():
            if ccy not in followed:
                feed.deactivate(variant)
