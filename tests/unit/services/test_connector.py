"""What a connector does between the venue's frames and Kafka, with a producer that has room or has not."""

import pytest
from tests.boards import NOW_NS, option
from tests.unit.bus.test_records import Record

from derivasys.bus.records import decode_event, event_key
from derivasys.bus.settings import BusSettings
from derivasys.clock import VirtualClock
from derivasys.connect import VENUES
from derivasys.messages import Gap, Instrument, Quote, Status, Trade
from derivasys.services.connector import QUEUED_MAX, RELIST_S, ConnectorOptions, ConnectorService
from derivasys.wire.messages import SourceStatus


class Producer:
    """Takes `room` records, then refuses, as librdkafka's does."""

    def __init__(self):
        self.sent = []
        self.room = 1_000_000
        self.queued = 0

    def produce(self, topic, value=None, key=None, **more):
        if len(self.sent) >= self.room:
            raise BufferError
        self.sent.append((topic, key, value, more))

    def poll(self, _):
        return 0

    def flush(self, _):
        return 0

    def __len__(self):
        return self.queued


class Clients:
    errors = 0

    def __init__(self):
        self.settings = BusSettings(bootstrap="nowhere:1")
        self.made = []

    def topic(self, name):
        return name

    def producer(self, **_):
        self.made.append(Producer())
        return self.made[-1]


@pytest.fixture
def service():
    clients = Clients()
    options = ConnectorOptions(
        venue="deribit", ccys=("BTC",), endpoint=VENUES["deribit"].production, partitions=4, name="c",
        source=SourceStatus(kind="live", label="test"),
    )  # fmt: skip
    made = ConnectorService(clients, options, VirtualClock(NOW_NS))
    made.producer = clients.made[0]
    return made


def quote(strike, bid, at=0):
    return Quote(option(strike), NOW_NS + at, NOW_NS + at, bid, bid + 1, 1.0, 1.0)


def events(service):
    return [decode_event(Record(value, more["headers"])) for _, _, value, more in service.producer.sent]


def test_the_newest_of_each_instrument_is_sent(service):
    for event in (quote(100, 1.0), quote(110, 2.0), quote(100, 3.0, 1)):
        service._add(event)
    service.flush()
    assert events(service) == [quote(110, 2.0), quote(100, 3.0, 1)]
    assert [key for _, key, _, _ in service.producer.sent] == [event_key(event) for event in events(service)]
    service.flush()
    assert len(service.producer.sent) == 2, "nothing is sent twice"


def test_every_trade_is_sent_and_a_gap_takes_the_place_of_a_quote(service):
    of = option(100)
    trades = [Trade(of, NOW_NS, NOW_NS, 1.0, 1.0, "buy", name) for name in "ab"]
    gap = Gap(of.venue, of.symbol, of.ccy, NOW_NS, None, None, None)
    for event in (*trades, quote(100, 1.0), gap):
        service._add(event)
    service.flush()
    assert events(service) == [*trades, gap]
    assert service.gaps == 1


def test_while_the_queue_is_long_quotes_conflate(service):
    service.producer.queued = QUEUED_MAX + 1
    for at in range(1000):
        service._add(quote(100, float(at), at))
        service.flush()
    assert not service.producer.sent
    assert service.held == 1000
    assert len(service.waiting()) == 1
    service.producer.queued = 0
    service.flush()
    assert events(service) == [quote(100, 999.0, 999)]


def test_what_finds_no_room_waits_and_newer_news_win(service):
    for strike in (100, 110, 120):
        service._add(quote(strike, 1.0))
    service.producer.room = 1
    service.flush()
    assert [event.contract.strike for event in events(service)] == [100]
    service._add(quote(120, 5.0, 5))
    service.producer.room = 100
    service.flush()
    assert events(service)[1:] == [quote(110, 1.0), quote(120, 5.0, 5)]


def test_frames_without_room_are_counted_and_the_count_is_told(service):
    from derivasys.bus.records import about
    from derivasys.record.segments import Kind

    service.producer.room = 0
    for _ in range(3):
        service.log_frame("c/0", Kind.RECEIVED, b"{}", NOW_NS, NOW_NS)
    service.producer.room = 10
    service.log_frame("c/0", Kind.RECEIVED, b"{}", NOW_NS, NOW_NS)
    assert service.lost == 3
    _, _, _, more = service.producer.sent[0]
    assert about(Record(b"", more["headers"])).lost == 3
    assert service._heartbeat().venue.drops == 3


def test_listings_are_said_again_but_not_what_is_closed_or_expired(service):
    alive, closed, gone = (Instrument(option(strike), NOW_NS) for strike in (100, 110, 120))
    for event in (alive, closed, gone):
        service._add(event)
    service._add(Status("deribit", closed.contract.symbol, "BTC", NOW_NS, None, "closed"))
    service._add(Instrument(gone.contract, NOW_NS, state="closed"))
    service.flush()
    service.producer.sent.clear()
    service._relisted_s -= RELIST_S
    service.flush()
    assert events(service) == [alive]
    service._clock.advance(8 * 86_400 * 10**9)
    service.producer.sent.clear()
    service._relisted_s -= RELIST_S
    service.flush()
    assert not events(service)


def test_undecodable_frames_are_dead_letters(service):
    service._on_frame("deribit", b"not json", NOW_NS)
    letters = service._dead._producer.sent
    assert [value for _, _, value, _ in letters] == [b"not json"]
    assert dict(letters[0][3]["headers"])["dead.venue"] == b"deribit"
    assert service.rejects == {"not_json": 1}
