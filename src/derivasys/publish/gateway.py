"""Fan-out: each state is encoded once per rate class, compressed once, and the same bytes go to every subscriber.

Subscribers are kept in audiences that get the same bytes; what one cycle says to one is one write a client. No patches
queue for a slow client: it is marked behind and gets snapshots when its socket drains; one that stays stuck is dropped
(`websocket.STUCK_S_MAX`). A newcomer gets a snapshot of each channel it follows, then patches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from derivasys.publish.access import Bucket, redact
from derivasys.publish.fanout import Audience
from derivasys.publish.frames import deflated_frame, text_frame
from derivasys.publish.websocket import Connection
from derivasys.wire.feed import STREAMED, Feed, State
from derivasys.wire.messages import Channel
from derivasys.wire.session import Action, Close, Send, Session, Snapshot, unknown_ccy
from derivasys.wire.variant import Variant

log = logging.getLogger("derivasys.publish")

CLIENTS_MAX = 10_000
"""One more is closed with 1013, try again later."""
REQUESTS_PER_S = 20.0
REQUESTS_BURST = 200.0
"""Messages of one client, each snapshot it asks for counted as one more; beyond, it is closed with 1008."""

Share = tuple[frozenset[Channel], bool]
"""What, of a variant, decides a client's bytes: its channels, and whether it reads compressed frames."""


class _Client:
    """What the gateway keeps of one connection."""

    __slots__ = ("behind", "bucket", "session")

    def __init__(self, session: Session, now_s: float) -> None:
        self.session = session
        self.bucket = Bucket(REQUESTS_BURST, now_s)
        self.behind: set[str] = set()
        """Currencies whose next message to this client must be a snapshot."""


class Gateway:
    """Handles the sockets at /ws. `monotonic_s` and `now_ms` are the edge's clocks."""

    def __init__(self, monotonic_s: Callable[[], float], now_ms: Callable[[], int]) -> None:
        self.feeds: dict[str, Feed] = {}
        self.status: bytes | None = None
        self.delivered = 0
        """Writes to clients: one joins all that a cycle says to them."""
        self.sent_bytes = 0
        self.skipped = 0
        """Writes that slow clients were spared, who get a snapshot instead."""
        self.stuck = 0
        """Clients dropped because they stopped reading or answering."""
        self._told = 0
        self._told_s = -1.0
        self._monotonic_s = monotonic_s
        self._now_ms = now_ms
        self._clients: dict[Connection, _Client] = {}
        self._audiences: dict[tuple[str, Variant], dict[Share, Audience[Connection]]] = {}
        """By currency and variant, then by share of it."""
        self._status_audiences: dict[bool, Audience[Connection]] = {False: Audience(), True: Audience()}
        self._snapshots: dict[tuple[str, Variant, Channel, bool], tuple[bytes, bytes]] = {}
        """The last snapshot's payload and frame of each kind: newcomers of one cycle share them."""

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
        for send in self.prepare(ccy, ts, make):
            send()

    def prepare(self, ccy: str, ts: int, make: Callable[[], State]) -> list[Callable[[], None]]:
        """Encode what is due and return the writes that remain to be done, so that the two can be timed apart."""
        feed = self.feeds[ccy]
        is_first = not feed.has_state
        feed.offer(ts, make)
        if is_first:
            self._greet_waiting(ccy)
        sends: list[Callable[[], None]] = []
        frames: dict[tuple[int, bool], bytes] = {}
        for variant, payloads in feed.publish(lambda variant: self._followed(ccy, variant)).items():
            sends += self._joined(ccy, variant, payloads, frames)
        return sends

    def publish_status(self, payload: bytes) -> None:
        """Send the status document to everybody who follows it."""
        self.status = payload
        frames = (text_frame(payload), deflated_frame(payload))
        for deflates, audience in self._status_audiences.items():
            self._write(None, audience, frames[deflates])

    def close_all(self, code: int, reason: str) -> None:
        """Start closing every connection."""
        for connection in list(self._clients):
            connection.close(code, reason)

    def _followed(self, ccy: str, variant: Variant) -> set[Channel]:
        shares = self._audiences.get((ccy, variant), {})
        return {channel for (channels, _), audience in shares.items() if len(audience) for channel in channels}

    def _joined(
        self, ccy: str, variant: Variant, payloads: dict[Channel, bytes], frames: dict[tuple[int, bool], bytes]
    ) -> list[Callable[[], None]]:
        """Make each share's bytes and return the writes of them.

        `frames` keeps those of this cycle by payload: variants that agree on a channel have the very same one.
        """
        sends: list[Callable[[], None]] = []
        for (channels, deflates), audience in self._audiences.get((ccy, variant), {}).items():
            wanted = [payload for channel, payload in payloads.items() if channel in channels]
            for payload in wanted:
                if (id(payload), deflates) not in frames:
                    frames[id(payload), deflates] = _frame(payload, deflates)
            if wanted and len(audience):
                joined = b"".join(frames[id(payload), deflates] for payload in wanted)

                def send(audience: Audience[Connection] = audience, joined: bytes = joined) -> None:
                    self._write(ccy, audience, joined)

                sends.append(send)
        return sends

    def _write(self, ccy: str | None, audience: Audience[Connection], joined: bytes) -> None:
        """Hand the same bytes to every member that keeps up; mark the others behind."""
        slow = audience.write(joined)
        if ccy is not None:
            for connection in slow:
                self._clients[connection].behind.add(ccy)
        delivered = len(audience) - len(slow)
        self.skipped += len(slow)
        self.delivered += delivered
        self.sent_bytes += delivered * len(joined)

    def _greet_waiting(self, ccy: str) -> None:
        for connection, client in self._clients.items():
            if not client.session.ccys:
                client.session.ccys = (ccy,)
                self._enrol(connection, client)
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
        variant = client.session.variant
        feed.activate(variant)
        payload = feed.snapshot(variant, channel)
        kind = (ccy, variant, channel, connection.deflates)
        known = self._snapshots.get(kind)
        if known is None or known[0] is not payload:
            known = self._snapshots[kind] = (payload, _frame(payload, connection.deflates))
        connection.write_whole(known[1])
        self.delivered += 1
        self.sent_bytes += len(known[1])

    # --- audiences ---

    def _enrol(self, connection: Connection, client: _Client) -> None:
        """Put a client into the audiences of what it follows now."""
        self._leave(connection)
        session = client.session
        share = (session.channels, connection.deflates)
        for ccy in session.ccys:
            shares = self._audiences.setdefault((ccy, session.variant), {})
            shares.setdefault(share, Audience()).add(connection)
        if "status" in session.channels:
            self._status_audiences[connection.deflates].add(connection)

    def _leave(self, connection: Connection) -> None:
        for audience in list(connection.audiences):
            audience.discard(connection)

    def _tidy(self) -> None:
        """Forget empty audiences, and stop each variant of a currency that nobody follows any more."""
        for (ccy, variant), shares in list(self._audiences.items()):
            for share in [share for share, audience in shares.items() if not len(audience)]:
                del shares[share]
            if not shares:
                del self._audiences[ccy, variant]
                for kind in [kind for kind in self._snapshots if kind[:2] == (ccy, variant)]:
                    del self._snapshots[kind]
                if ccy in self.feeds:
                    self.feeds[ccy].deactivate(variant)

    # --- websocket.Handler ---

    def on_open(self, connection: Connection) -> None:
        if len(self._clients) >= CLIENTS_MAX:
            connection.close(1013, "too many clients")
            return
        wanted = connection.query.get("ccy")
        # A currency that is not there yet is waited for: its surface may be seconds away.
        ccys = [wanted[:16]] if wanted else self.available[:1]
        client = _Client(Session(ccys), self._monotonic_s())
        self._clients[connection] = client
        self._act(connection, client, client.session.open(connection.query, self._now_ms()))
        if self.status is not None:
            connection.send_text(self.status)
        if wanted and wanted not in self.available:
            connection.send_text(redact(unknown_ccy(wanted, self.available, self._now_ms(), "?ccy")))
        self._send_snapshots(connection, client, ccys)
        self._enrol(connection, client)

    def on_text(self, connection: Connection, text: bytes) -> None:
        client = self._clients.get(connection)
        if client is None:
            return
        session = client.session
        before = (session.variant, session.ccys, session.channels)
        actions = session.receive(text, self.available, self._now_ms())
        cost = 1.0 + sum(isinstance(action, Snapshot) for action in actions)
        if not client.bucket.take(REQUESTS_PER_S, REQUESTS_BURST, self._monotonic_s(), cost):
            connection.close(1008, "too many requests")
            return
        self._act(connection, client, actions)
        if (session.variant, session.ccys, session.channels) != before:
            self._enrol(connection, client)
            self._tidy()

    def _act(self, connection: Connection, client: _Client, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send(payload):
                    connection.send_text(redact(payload))
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
            self._leave(connection)
            self._tidy()
        if connection.why_dropped:
            self.stuck += 1
            self._tell_dropped(connection)

    def _tell_dropped(self, connection: Connection) -> None:
        """Log a dropped client, at most one line a second: a thousand of them may go at once."""
        now_s = self._monotonic_s()
        if now_s < self._told_s + 1.0:
            return
        others = self.stuck - self._told - 1
        log.warning(
            "dropped %s: %s (%d others since the last such line)", connection.remote, connection.why_dropped, others
        )
        self._told_s, self._told = now_s, self.stuck


def _frame(payload: bytes, deflates: bool) -> bytes:
    return deflated_frame(payload) if deflates else text_frame(payload)
