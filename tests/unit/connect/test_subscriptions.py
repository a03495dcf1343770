"""A connection's channels, its silent streams and the time to list again, for any venue."""

import pytest

from derivasys.connect.session import Reconnect
from derivasys.connect.subscriptions import PATIENCE_MAX, ROLL_DELAY_S, RelistTimer, Subscriptions, next_roll_ns

S = 10**9
EIGHT_NS = 1_798_185_600 * S
"""2026-12-25 08:00 UTC."""


def held(channels, now_ns=0, **terms) -> Subscriptions:
    """Return subscriptions to `channels` of one stream, acknowledged at `now_ns`."""
    subscriptions = Subscriptions(100, 10_000, 10.0, **terms)
    subscriptions.want((channel, "tickers BTC") for channel in channels)
    while subscriptions.queue:
        for channel in subscriptions.take(now_ns)[1]:
            subscriptions.grant(channel, now_ns)
    return subscriptions


def test_a_channel_is_asked_for_once():
    subscriptions = held(["a", "b"])
    subscriptions.want([("b", "tickers BTC"), ("c", "")])
    assert list(subscriptions.queue) == [(True, ["c"])]
    assert "c" in subscriptions


def test_requests_are_cut_by_count_and_bytes():
    subscriptions = Subscriptions(2, 10_000, 10.0)
    subscriptions.want((f"c{number}", "") for number in range(5))
    assert [len(run) for _, run in subscriptions.queue] == [2, 2, 1]
    subscriptions = Subscriptions(100, 25, 10.0)
    subscriptions.want((f"c{number:08}", "") for number in range(4))
    assert [len(run) for _, run in subscriptions.queue] == [2, 2]
    assert subscriptions.characters() == 4 * 12


def test_what_is_refused_can_be_wanted_again():
    subscriptions = Subscriptions(100, 10_000, 10.0)
    subscriptions.want([("a", "")])
    subscriptions.take(0)
    subscriptions.refuse("a")
    assert (subscriptions.refused, subscriptions.overdue(99 * S, 10.0)) == ({"a"}, [])
    subscriptions.want([("a", "")])
    subscriptions.take(0)
    subscriptions.grant("a", 0)
    assert (subscriptions.refused, subscriptions.subscribed) == (set(), {"a"})


def test_overdue_is_what_was_asked_for_too_long_ago():
    subscriptions = Subscriptions(1, 10_000, 10.0)
    subscriptions.want([("a", ""), ("b", ""), ("c", "")])
    subscriptions.take(0)
    subscriptions.take(5 * S)
    subscriptions.take(8 * S)
    subscriptions.grant("b", 8 * S)
    assert subscriptions.overdue(10 * S, 10.0) == []
    assert subscriptions.overdue(11 * S, 10.0) == ["a"]
    assert subscriptions.overdue(19 * S, 10.0) == ["a", "c"]


class TestExpiry:
    def test_what_has_expired_is_unsubscribed_together(self):
        subscriptions = held(["a", "b", "c"])
        subscriptions.expires("a", 1000)
        subscriptions.expires("b", 1000)
        subscriptions.expires("c", 2000)
        assert not subscriptions.expire(999 * 10**6)
        assert subscriptions.expire(1000 * 10**6)
        assert list(subscriptions.queue) == [(False, ["a", "b"])]
        assert subscriptions.subscribed == {"c"}
        assert not subscriptions.expire(1999 * 10**6)
        assert subscriptions.expire(2000 * 10**6)

    def test_what_is_not_held_needs_no_request(self):
        subscriptions = Subscriptions(100, 10_000, 10.0)
        subscriptions.expires("a", 1000)
        assert subscriptions.expire(1000 * 10**6)
        assert not subscriptions.queue

    def test_what_is_dropped_does_not_expire(self):
        subscriptions = held(["a"])
        subscriptions.expires("a", 1000)
        subscriptions.drop("a")
        subscriptions.queue.clear()
        subscriptions.expire(1000 * 10**6)
        assert not subscriptions.queue


class TestSilence:
    def test_a_stream_is_subscribed_anew_then_the_connection_given_up(self):
        subscriptions = held(["a", "b"])
        subscriptions.check(10 * S)
        assert not subscriptions.queue
        subscriptions.check(11 * S)
        assert list(subscriptions.queue) == [(False, ["a", "b"]), (True, ["a", "b"])], (
            "a repetition alone sends nothing"
        )
        with pytest.raises(Reconnect, match="tickers BTC"):
            subscriptions.check(22 * S)

    def test_one_channel_speaks_for_its_stream(self):
        subscriptions = held(["a", "b"])
        assert subscriptions.heard(b"b", 10 * S)
        assert not subscriptions.heard(b"z", 10 * S)
        subscriptions.check(20 * S)
        assert not subscriptions.queue

    def test_limits_by_the_first_word_of_the_stream(self):
        subscriptions = held(["a"], limits={"tickers": 100.0})
        subscriptions.check(100 * S)
        assert not subscriptions.queue
        subscriptions.check(101 * S)
        assert subscriptions.queue

    def test_patience_grows_with_each_answer_after_silence_up_to_a_bound(self):
        subscriptions, now_ns, waits = held(["a"], patience=2.0), 0, []
        for _ in range(6):
            start_ns = now_ns
            while not subscriptions.queue:
                now_ns += S
                subscriptions.check(now_ns)
            waits.append((now_ns - start_ns) // S)
            subscriptions.queue.clear()
            subscriptions.heard(b"a", now_ns)
        assert waits == [11, 21, 41, 81, int(PATIENCE_MAX * 10) + 1, int(PATIENCE_MAX * 10) + 1]

    def test_a_stream_without_channels_is_not_missed(self):
        subscriptions = held(["a"])
        subscriptions.forget("a")
        subscriptions.check(100 * S)
        assert not subscriptions.queue


class TestRelisting:
    def test_every_so_often_and_soon_after_a_notice(self):
        timer = RelistTimer(600.0, 2.0, 0)
        assert not timer.is_due(599 * S)
        assert timer.is_due(600 * S)
        timer.restart(600 * S)
        timer.soon(700 * S)
        timer.soon(701 * S)
        assert not timer.is_due(701 * S)
        assert timer.is_due(702 * S), "further notices do not put it off"

    def test_after_eight_in_the_morning(self):
        timer = RelistTimer(600.0, 2.0, EIGHT_NS - 60 * S)
        assert not timer.is_due(EIGHT_NS + int(ROLL_DELAY_S * S) - 1)
        assert timer.is_due(EIGHT_NS + int(ROLL_DELAY_S * S))
        timer.restart(EIGHT_NS + int(ROLL_DELAY_S * S))
        assert not timer.is_due(EIGHT_NS + 599 * S)

    def test_the_next_roll_is_always_ahead(self):
        after_ns = EIGHT_NS + int(ROLL_DELAY_S * S)
        assert next_roll_ns(EIGHT_NS) == after_ns
        assert next_roll_ns(after_ns - 1) == after_ns
        assert next_roll_ns(after_ns) == after_ns + 86_400 * S
