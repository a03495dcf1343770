"""Bytes to many sockets at once, on real ones."""

import socket

import pytest

from derivasys.publish.fanout import NOT_TRIED, send_to_all


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
