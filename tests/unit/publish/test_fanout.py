"""Bytes to many sockets at once, on real ones."""

import socket

import pytest

from derivasys.publish.fanout import NOT_TRIED, Audience, send_to_all


@pytest.fixture
def pairs():
    made = [socket.socketpair() for _ in range(3)]
    for ours, _ in made:
        ours.setblocking(False)
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


def test_everybody_gets_the_same_bytes(pairs):
    sent = send_to_all([ours.fileno() for ours, _ in pairs], b"the same")
    assert sent.tolist() == [8, 8, 8]
    assert [theirs.recv(100) for _, theirs in pairs] == [b"the same"] * 3


def test_who_may_not_be_written_to_is_passed_over(pairs):
    first, second, third = (ours.fileno() for ours, _ in pairs)
    assert send_to_all([first, -1, third], b"bytes").tolist() == [5, NOT_TRIED, 5]
    pairs[1][1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pairs[1][1].recv(1)
    assert send_to_all([second], b"later").tolist() == [5]


def test_a_full_socket_takes_a_part_and_then_nothing_and_holds_nobody_up(pairs):
    full, after = pairs[0][0], pairs[1][0]
    full.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    large = bytes(1 << 20)
    taken, more = send_to_all([full.fileno(), full.fileno()], large).tolist()
    assert -1 <= more < taken < len(large)
    assert send_to_all([full.fileno(), after.fileno()], b"next").tolist() == [-1, 4]


def test_a_broken_socket_is_told_and_raises_no_signal(pairs):
    pairs[0][1].close()
    assert send_to_all([ours.fileno() for ours, _ in pairs], b"bytes").tolist() == [-1, 5, 5]


def test_nobody_and_nothing():
    assert send_to_all([], b"bytes").tolist() == []
    assert send_to_all([-1], b"").tolist() == [NOT_TRIED]


class One:
    """A member on a real socket, or on none."""

    def __init__(self, link: socket.socket | None = None, *, is_slow: bool = False) -> None:
        self.audiences: list = []
        self.descriptor = -1 if link is None else link.fileno()
        self.is_slow = is_slow
        self.rests: list[tuple[bytes, int]] = []

    def write_rest(self, frames: bytes, sent: int) -> None:
        self.rests.append((frames, sent))


def test_an_audience_writes_past_who_is_slow_and_hands_the_rest_to_who_is_not(pairs):
    quick, busy, slow = One(pairs[0][0]), One(), One(is_slow=True)
    assert Audience([quick, busy, slow]).write(b"bytes") == [slow]
    assert pairs[0][1].recv(100) == b"bytes"
    assert (quick.rests, busy.rests, slow.rests) == ([], [(b"bytes", NOT_TRIED)], [])


def test_what_a_full_socket_did_not_take_is_handed_back(pairs):
    full = One(pairs[0][0])
    pairs[0][0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    large = bytes(1 << 20)
    Audience([full]).write(large)
    ((frames, sent),) = full.rests
    assert frames is large
    assert 0 < sent < len(large)


def test_members_keep_their_descriptors_when_others_come_and_go(pairs):
    audience = Audience()
    members = [One(ours) for ours, _ in pairs]
    for member in members:
        audience.add(member)
    audience.discard(members[0])  # the last one takes its place
    assert members[0].audiences == []
    audience.note(members[2], -1)
    audience.write(b"a")
    audience.note(members[2], members[2].descriptor)
    audience.write(b"b")
    audience.add(members[0])
    audience.write(b"c")
    assert [theirs.recv(100) for _, theirs in pairs] == [b"c", b"abc", b"bc"]
    assert members[2].rests == [(b"a", NOT_TRIED)]
    for member in members:
        audience.discard(member)
    assert (len(audience), audience.write(b"d")) == (0, [])
