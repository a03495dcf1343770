"""Fan-out: each state is encoded once per rate class, compressed once, and the same bytes go to every subscriber.

Subscribers are kept in groups that get the same bytes; what one cycle says to a group is one write a client. No patches
queue for a slow client: it is marked behind and gets snapshots when its socket drains; one that stays stuck is dropped
(`websocket.STUCK_S_MAX`). A newcomer gets a snapshot of each channel it follows, then patches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from derivasys.publish.access import Bucket, redact
from derivasys.publish.frames import deflated_frame, text_frame
from derivasys.publish.websocket import Connection, write_to_all
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

    __slots__ = ("behind", "bucket", "groups", "session")

    def __init__(self, session: Session, now_s: float) -> None:
        self.session = session
        self.bucket = Bucket(REQUESTS_BURST, now_s)
        self.groups: list[dict[Connection, _Client]] = []
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
        self._groups: dict[tuple[str, Variant], dict[Share, dict[Connection, _Client]]] = {}
        """By currency and variant, then by share of it."""
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
        followers: dict[bool, dict[Connection, _Client]] = {False: {}, True: {}}
        for connection, client in self._clients.items():
            if "status" in client.session.channels and not connection.is_slow:
                followers[connection.deflates][connection] = client
        for deflates, members in followers.items():
            self._write(None, members, frames[deflates])

    def close_all(self, code: int, reason: str) -> None:
        """Start closing every connection."""
        for connection in list(self._clients):
            connection.close(code, reason)

    def _followed(self, ccy: str, variant: Variant) -> set[Channel]:
        shares = self._groups.get((ccy, variant), {})
        return {channel for (channels, _), members in shares.items() if members for channel in channels}

    def _joined(
        self, ccy: str, variant: Variant, payloads: dict[Channel, bytes], frames: dict[tuple[int, bool], bytes]
    ) -> list[Callable[[], None]]:
        """Make each share's bytes and return the writes of them.

        `frames` keeps those of this cycle by payload: variants that agree on a channel have the very same one.
        """
        sends: list[Callable[[], None]] = []
        for (channels, deflates), members in self._groups.get((ccy, variant), {}).items():
            wanted = [payload for channel, payload in payloads.items() if channel in channels]
            for payload in wanted:
                if (id(payload), deflates) not in frames:
                    frames[id(payload), deflates] = _frame(payload, deflates)
            if wanted and members:
                joined = b"".join(frames[id(payload), deflates] for payload in wanted)

                def send(members: dict[Connection, _Client] = members, joined: bytes = joined) -> None:
                    self._write(ccy, members, joined)

                sends.append(send)
        return sends

    def _write(self, ccy: str | None, members: dict[Connection, _Client], joined: bytes) -> None:
        """Hand the same bytes to every member that keeps up; mark the others behind."""
        ready = [connection for connection in members if not connection.is_slow]
        if len(ready) < len(members) and ccy is not None:
            for connection, client in members.items():
                if connection.is_slow:
                    client.behind.add(ccy)
        write_to_all(ready, joined)
        self.skipped += len(members) - len(ready)
        self.delivered += len(ready)
        self.sent_bytes += len(ready) * len(joined)

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

    # --- groups ---

    def _enrol(self, connection: Connection, client: _Client) -> None:
        """Put a client into the groups of what it follows now."""
        self._leave(connection, client)
        share = (client.session.channels, connection.deflates)
        for ccy in client.session.ccys:
            group = self._groups.setdefault((ccy, client.session.variant), {}).setdefault(share, {})
            group[connection] = client
            client.groups.append(group)

    def _leave(self, connection: Connection, client: _Client) -> None:
        for group in client.groups:
            group.pop(connection, None)
        client.groups.clear()

    def _tidy(self) -> None:
        """Forget empty groups, and stop each variant of a currency that nobody follows any more."""
        for (ccy, variant), shares in list(self._groups.items()):
            for share in [share for share, members in shares.items() if not members]:
                del shares[share]
            if not shares:
                del self._groups[ccy, variant]
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
            self._leave(connection, client)
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
