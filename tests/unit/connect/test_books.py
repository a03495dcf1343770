"""Order books, where they are subscribed to: a lost change is a gap, and a new subscription brings the book back whole."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from derivasys.clock import VirtualClock
from derivasys.connect import VENUES
from derivasys.decode import DECODERS
from derivasys.messages import Gap, Quote
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS

S = 10**9
BOOKS = {"deribit": b'"channel":"book.', "okx": b'"channel":"books"', "bybit": b'"topic":"orderbook.'}


class Wire:
    """One session with books and its venue's local server, without a socket."""

    def __init__(self, name, ccy="SOL"):
        world = World([load_shipped("BTC"), load_shipped("ETH")], seed=1)
        self.name = name
        self.clock = VirtualClock(world.start_ns)
        self.server = SERVERS[name](world, self.clock, (ccy,), 2000.0)
        self.decoder = DECODERS[name]()
        self.session = VENUES[name].sessions((ccy,), self.clock.now_ns(), has_books=True)[0]
        self.gaps, self.quotes, self.books = [], {}, {}
        self._list()
        self.far = self.server.open_session(self.session.ws_path, {}, self.clock.now_ns())
        self._say(self.session.opened(self.clock.now_ns()))

    def run(self, seconds, lose=None):
        """Go on; `lose` tells of a frame that it is lost on the way."""
        for _ in range(round(seconds * 20)):
            now_ns = self.clock.advance(S // 20)
            self.server.venue.tick(now_ns)
            for payload in self.far.take():
                if lose is not None and lose(payload):
                    continue
                self._take(payload, now_ns)
            assert self.far.closing is None
            self._say(self.session.tick(now_ns))
            self._list()

    def _take(self, payload, now_ns):
        for event in self.decoder.decode(payload, now_ns):
            if isinstance(event, Gap):
                self.gaps.append(event.symbol)
                self.session.broken(event.symbol)
            elif isinstance(event, Quote) and BOOKS[self.name] in payload[:160]:
                self.books[event.contract.symbol] = (event.bid, event.ask)
        self._say(self.session.received(payload, now_ns))

    def _say(self, messages):
        for message in messages:
            self.server.venue.receive(self.far, message, self.clock.now_ns())

    def _list(self):
        while self.session.relisting:
            path = self.session.relisting.pop(0)
            url = urlsplit(path)
            status, body, _ = self.server.http("GET", url.path, dict(parse_qsl(url.query)), b"", self.clock.now_ns())
            assert status == 200
            self.decoder.decode(body, self.clock.now_ns())
            self.session.listed(path, body, self.clock.now_ns())

    def disagreements(self):
        """Return the contracts whose book differs from the venue's, of those that have stood still for half a second."""
        venue, wrong = self.server.venue, []
        markets = venue.markets if self.name == "deribit" else venue.view.markets
        for market in markets:
            board = market.board
            for row in board.open_rows().tolist():
                symbol = board.symbols[row]
                if symbol not in self.books or board.ticker["time_ms"][row] * 10**6 > self.clock.now_ns() - S // 2:
                    continue
                theirs = tuple(
                    None if x != x else float(x) for x in (board.ticker["bid"][row], board.ticker["ask"][row])
                )
                if self.books[symbol] != theirs:
                    wrong.append((symbol, self.books[symbol], theirs))
        return wrong


def changes(name):
    """Return what tells a change of a book from a snapshot."""
    marks = {"deribit": b'"type":"change"', "okx": b'"action":"update"', "bybit": b'"type":"delta"'}
    return lambda payload: BOOKS[name] in payload[:160] and marks[name] in payload


@pytest.mark.parametrize("name", list(BOOKS))
def test_without_losses_there_is_no_gap(name):
    wire = Wire(name)
    wire.run(6)
    assert len(wire.books) > 50
    assert not wire.gaps
    assert not wire.disagreements()


@pytest.mark.parametrize("name", list(BOOKS))
def test_a_lost_change_is_a_gap_and_the_book_comes_back(name):
    wire = Wire(name)
    wire.run(4)
    is_change, lost = changes(name), []

    def lose(payload):
        if len(lost) < 5 and is_change(payload):
            lost.append(payload)
            return True
        return False

    wire.run(2, lose)
    assert len(lost) == 5
    wire.run(8)
    assert wire.gaps
    broken = set(wire.gaps)
    assert len(wire.gaps) <= 3 * len(broken), "one new subscription ends them"
    assert not wire.disagreements()
    settled = len(wire.gaps)
    wire.run(3)
    assert len(wire.gaps) == settled
    assert not wire.session.refused


@pytest.mark.parametrize("name", list(VENUES))
def test_books_are_subscribed_only_where_asked_for(name):
    if name in BOOKS:
        wire = Wire(name)
        assert any("book" in channel for channel in wire.session._channels._wanted)
    for session in VENUES[name].sessions(("SOL",), 0):
        session.broken("SOL-1-1-C")  # of something that is not subscribed to: nothing is asked for
        assert not any(b"SOL-1-1-C" in message for message in session.opened(0) + session.tick(1))
