"""08:00 UTC at venues whose sessions follow it in different ways: what has expired goes, what is new is followed."""

from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from derivasys.clock import VirtualClock
from derivasys.connect import VENUES
from derivasys.pipeline import Pipeline
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS

S = 10**9


class Conversation:
    """All of a venue's sessions with its local server, without sockets."""

    def __init__(self, name, ccy, start_ns=None):
        world = World([load_shipped("BTC"), load_shipped("ETH")], seed=1)
        self.name = name
        self.clock = VirtualClock(world.start_ns)
        self.server = SERVERS[name](world, self.clock, (ccy,), 200.0)
        self.pipeline = Pipeline(ccys=(ccy,))
        self.listings = 0
        self.wires = []
        if start_ns is not None:
            self.clock.advance(start_ns - self.clock.now_ns())
            self.server.venue.tick(start_ns)
        for session in VENUES[name].sessions((ccy,), self.clock.now_ns()):
            self._list(session)
            far = self.server.open_session(session.ws_path, {}, self.clock.now_ns())
            self.wires.append((session, far))
            self._say(far, session.opened(self.clock.now_ns()))

    def run(self, seconds):
        for _ in range(int(seconds * 10)):
            now_ns = self.clock.advance(S // 10)
            self.server.venue.tick(now_ns)
            for session, far in self.wires:
                for payload in far.take():
                    self.pipeline.push(self.name, payload, now_ns)
                    self._say(far, session.received(payload, now_ns))
                assert far.closing is None
                self._say(far, session.tick(now_ns))
                self._list(session)

    def _say(self, far, messages):
        for message in messages:
            self.server.venue.receive(far, message, self.clock.now_ns())

    def _list(self, session):
        while session.relisting:
            path = session.relisting.pop(0)
            url = urlsplit(path)
            status, body, _ = self.server.http("GET", url.path, dict(parse_qsl(url.query)), b"", self.clock.now_ns())
            assert status == 200
            self.listings += 1
            self.pipeline.push(self.name, body, self.clock.now_ns())
            session.listed(path, body, self.clock.now_ns())

    @property
    def subscribed(self):
        return {channel for session, _ in self.wires for channel in session.subscribed}


def markets_of(server):
    return server.venue.markets if hasattr(server.venue, "markets") else server.venue.view.markets


@pytest.mark.parametrize("name", ["bybit", "deribit", "derive", "okx"])
def test_the_roll(name):
    board = markets_of(Conversation(name, "BTC").server)[0].board
    first = board.expiries[0].ms
    talk = Conversation(name, "BTC", first * 10**6 - 30 * S)
    talk.run(20)
    chain = talk.pipeline.chains["BTC"]
    talk.pipeline.drain(talk.clock.now_ns())
    assert chain.expiries[0] == first
    before, listings = set(chain.expiries), talk.listings
    gone = {symbol for market in markets_of(talk.server) for symbol in market.board.symbols[:1]}
    assert all(any(symbol in channel for channel in talk.subscribed) for symbol in gone)
    talk.run(50)
    talk.pipeline.drain(talk.clock.now_ns())
    assert first not in chain.expiries
    added = set(chain.expiries) - before
    assert added
    assert not any(symbol in channel for channel in talk.subscribed for symbol in gone)
    for market in markets_of(talk.server):
        board = market.board
        for row in board.open_rows().tolist():
            assert any(f"{board.symbols[row]}" in channel for channel in talk.subscribed)
    fresh = [row for row, of in enumerate(chain.contracts) if of.expiry in added]
    assert sum(chain.recv_ns[row] > 0 for row in fresh) == len(fresh), "new contracts are quoted"
    sessions = len(talk.wires)
    assert talk.listings - listings <= 10 * sessions, "hundreds of notices are gathered"
    assert not talk.pipeline.rejects
    assert not any(session.refused for session, _ in talk.wires)


@pytest.mark.parametrize("name", ["okx", "bybit"])
def test_ten_minutes_of_quiet_options_cost_no_connection(name):
    """Streams that are only quiet are asked for their state now and then, within the venue's limits."""
    talk = Conversation(name, "SOL")
    talk.server.venue.view.set_rate(0.001)
    for market in markets_of(talk.server):
        market._manner = type(market._manner)(prints_per_s=0.0)
    talk.run(600)
    asked = [orjson.loads(payload) for _, far in talk.wires for payload in far.take()]
    assert not [answer for answer in asked if answer.get("event") == "error"]
    assert not any(session.refused for session, _ in talk.wires)
