"""Switches that make the local venue misbehave the ways the real one does."""

from __future__ import annotations

from msgspec import Struct, field


class Faults(Struct):
    """All off by default; set at any time. Channels are named by prefix: "ticker." means all."""

    drop_every: int = 0
    """Lose every n-th notification."""
    repeat_every: int = 0
    """Send every n-th notification twice."""
    stalled: set[str] = field(default_factory=set)
    """Channels that fall silent while their subscription stands."""
    refused: set[str] = field(default_factory=set)
    """Channels left out of acknowledgements, without an error."""
    maintenance: bool = False
    """Every method but public/test and public/status answers 11051."""
    locked: set[str] = field(default_factory=set)
    """Indices whose contracts are locked: public/status and platform_state say so."""
    rate_limited: bool = False
    """Every subscribe call answers 10028 and closes."""
    sent: int = 0
    """Notifications counted so far, over all channels."""

    def copies(self, channel: str) -> int:
        """Return how often the next notification of `channel` is to be sent: 0, 1 or 2."""
        if self.stalled and is_named(channel, self.stalled):
            return 0
        self.sent += 1
        if self.drop_every and self.sent % self.drop_every == 0:
            return 0
        return 2 if self.repeat_every and self.sent % self.repeat_every == 0 else 1


def is_named(channel: str, prefixes: set[str]) -> bool:
    """Tell whether a channel begins with one of the prefixes."""
    return any(channel.startswith(prefix) for prefix in prefixes)
