"""One client's session: its subscriptions, its budget and its heartbeat. Sans I/O."""

from __future__ import annotations

import orjson

from derivasys.testing.deribit.channels import SECOND_NS, Topic
from derivasys.testing.deribit.rpc import Budget, Json
from derivasys.testing.shell import ABNORMAL

FIRST_TEST_FACTOR = 1.25
"""With an interval of 10 s the first test_request was seen after 12.5 s."""
TEST_EXTRA_NS = 600_000_000
"""… and the next ones every 10.6 s."""
ANSWER_NS_MAX = 10 * SECOND_NS
IDLE_NS_MAX = 60 * SECOND_NS
HEARTBEAT_S_MIN = 10

_HEARTBEAT = orjson.dumps({"params": {"type": "heartbeat"}, "method": "heartbeat", "jsonrpc": "2.0"})
_TEST_REQUEST = orjson.dumps({"params": {"type": "test_request"}, "method": "heartbeat", "jsonrpc": "2.0"})


class Session:
    """What the venue keeps for one connection. `out` holds payloads that wait to be sent."""

    def __init__(self, now_ns: int) -> None:
        self.budget = Budget(now_ns)
        self.topics: dict[str, Topic] = {}
        self.authorised_until_ns = 0
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        """Close code and reason once the venue has ended the session."""
        self._heard_ns = now_ns
        self._interval_ns: int | None = None
        self._heartbeat_ns = 0
        self._test_ns = 0
        self._answer_by_ns: int | None = None

    def take(self) -> list[bytes]:
        """Return the payloads to be sent, and forget them."""
        out, self.out = self.out, []
        return out

    def end(self, code: int, reason: str) -> None:
        """End the session; the first reason stands."""
        self.closing = self.closing or (code, reason)

    def heard(self, now_ns: int, method: str) -> None:
        """Note a call: public/test is the answer to a test_request."""
        self._heard_ns = now_ns
        if method == "public/test":
            self._answer_by_ns = None

    def set_heartbeat(self, interval_s: float | None, now_ns: int) -> None:
        """Beat every `interval_s` seconds from now on, None to stop."""
        self._answer_by_ns = None
        self._heard_ns = now_ns
        if interval_s is None:
            self._interval_ns = None
            return
        self._interval_ns = int(interval_s * SECOND_NS)
        self._heartbeat_ns = now_ns + self._interval_ns
        self._test_ns = now_ns + int(self._interval_ns * FIRST_TEST_FACTOR)

    def beat(self, now_ns: int) -> None:
        """Send what the heartbeat is due to send; end a session that is silent or idle."""
        if self._answer_by_ns is not None and now_ns >= self._answer_by_ns:
            self.end(4000, "heartbeat close")
            return
        if self._interval_ns is None:
            if not self.topics and now_ns - self._heard_ns >= IDLE_NS_MAX:
                self.end(ABNORMAL, "idle")
            return
        if now_ns >= self._heartbeat_ns:
            self.out.append(_HEARTBEAT)
            self._heartbeat_ns = now_ns + self._interval_ns
        if now_ns >= self._test_ns and self._answer_by_ns is None:
            self.out.append(_TEST_REQUEST)
            self._answer_by_ns = now_ns + ANSWER_NS_MAX
            self._test_ns = now_ns + self._interval_ns + TEST_EXTRA_NS


def heartbeat_interval_s(params: Json) -> float | None:
    """Return the interval asked for, None when it is no number of at least 10 s."""
    interval = params.get("interval")
    if isinstance(interval, bool) or not isinstance(interval, int | float):
        return None
    return float(interval) if interval >= HEARTBEAT_S_MIN else None
