"""Who may read: API keys, origins, and limits by address. Without I/O but for the key file; time is an argument.

A key travels in a header (`Authorization: Bearer KEY`, `X-API-Key: KEY`, or as the password of HTTP Basic, which
browsers ask for by themselves) or, from a page's script, as the subprotocol `derivasys.key.KEY` beside `derivasys`.
Never in an address: addresses are logged on their way.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

KEY_PREFIX = "dsk_"
SUBPROTOCOL = "derivasys"
KEY_SUBPROTOCOL = "derivasys.key."
KEYS_MAX = 1000
ADDRESSES_MAX = 65_536
"""Addresses whose spending is remembered; the one longest unseen goes."""
REREAD_S = 1.0
_KEY = re.compile(rb"dsk_[A-Za-z0-9_-]+")
_LINE = re.compile(r"(\S{1,64})\s+([0-9a-f]{64})\s*(?:#.*)?")
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

Header = Callable[[str], str | None]
"""Name in lower case → value; None when absent."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AccessError(ValueError):
    """A rule or key file that cannot be; the message names it and the mend."""


class Refusal(Struct, frozen=True):
    """Why a request is not served."""

    status: int
    title: str
    detail: str


class AccessRules(Struct, frozen=True, kw_only=True):
    """What may be set about access."""

    keys: Path | None = None
    """File of hashed keys; None serves everybody."""
    origins: tuple[str, ...] = ()
    """Origins of pages allowed besides the server's own, as `https://host[:port]`; `*` allows all."""
    connections_per_address: int = 0
    """0 sets no limit."""
    requests_per_s: float = 0.0
    """HTTP requests and handshakes of one address, after a burst of ten seconds' worth; 0 sets no limit."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose `X-Forwarded-For` is believed."""

    def __post_init__(self) -> None:
        for origin in self.origins:
            parts = urlsplit(origin)
            if origin != "*" and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path):
                raise AccessError(f"--origin {origin} is not an origin (https://host or https://host:port)")
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise AccessError(f"--trusted-proxy {network}: {error}") from None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK_NAMES


# --- keys ----------------------------------------------------------------------------------------


def new_key() -> str:
    """Return a new random key of 256 bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def key_line(name: str, key: str) -> str:
    """Return the key file's line for a key: its owner and its SHA-256 (a random key needs no slow hash)."""
    return f"{name} {hashlib.sha256(key.encode()).hexdigest()}"


def redact(text: bytes) -> bytes:
    """Return `text` with everything that looks like a key replaced."""
    return _KEY.sub(b"[key]", text) if KEY_PREFIX.encode() in text else text


class Keys:
    """The hashed keys of a file, read again when it changes: a key is added or taken away without a restart."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._read_s = 0.0
        self._owners: dict[str, str] = {}
        self._refresh()

    def owner(self, key: str, now_s: float) -> str | None:
        """Return whose key this is; None for nobody's. Takes the same time whichever key matches, or none."""
        if now_s - self._read_s >= REREAD_S:
            self._read_s = now_s
            self._refresh()
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
        found = None
        for known, owner in self._owners.items():
            if hmac.compare_digest(known, digest):
                found = owner
        return found

    def _refresh(self) -> None:
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == self._stamp:
                return
            lines = self._file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            if self._stamp is not None:
                return  # a file being replaced: the last good keys stay
            raise AccessError(f"--api-keys {self._file}: {getattr(error, 'strerror', None) or error}") from None
        owners: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = _LINE.fullmatch(line.strip())
            if match is None:
                if self._stamp is not None:
                    return
                raise AccessError(f"--api-keys {self._file} line {number}: not `NAME SHA256` (see `derivasys key`)")
            owners[match[2]] = match[1]
        if len(owners) > KEYS_MAX:
            raise AccessError(f"--api-keys {self._file}: more than {KEYS_MAX} keys")
        self._stamp, self._owners = stamp, owners


def presented_key(header: Header) -> str | None:
    """Return the key that a request carries, from whichever place."""
    direct = header("x-api-key")
    if direct:
        return direct.strip()
    kind, _, credentials = (header("authorization") or "").partition(" ")
    if kind.lower() == "bearer":
        return credentials.strip() or None
    if kind.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[2] or None
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
    for offered in (header("sec-websocket-protocol") or "").split(","):
        if offered.strip().startswith(KEY_SUBPROTOCOL):
            return offered.strip().removeprefix(KEY_SUBPROTOCOL)
    return None


# --- limits --------------------------------------------------------------------------------------


class Bucket:
    """Tokens that refill at `per_s` up to `burst`. Costs are charged afterwards: one dear request may go into debt."""

    __slots__ = ("at_s", "tokens")

    def __init__(self, burst: float, now_s: float) -> None:
        self.tokens = burst
        self.at_s = now_s

    def take(self, per_s: float, burst: float, now_s: float, cost: float = 1.0) -> bool:
        """Charge `cost` if a whole token is left; return whether it was."""
        self.tokens = min(burst, self.tokens + per_s * max(0.0, now_s - self.at_s))
        self.at_s = now_s
        if self.tokens < 1.0:
            return False
        self.tokens -= cost
        return True


class Access:
    """The rules at work. `monotonic_s` is the edge's clock."""

    def __init__(self, rules: AccessRules, monotonic_s: Callable[[], float]) -> None:
        self.rules = rules
        self.refused: Counter[str] = Counter()
        """Refusals since start by cause: connections, rate, origin, key."""
        self._monotonic_s = monotonic_s
        self._keys = None if rules.keys is None else Keys(rules.keys)
        self._proxies: Sequence[Network] = [ipaddress.ip_network(network) for network in rules.trusted_proxies]
        self._open: Counter[str] = Counter()
        self._spent: OrderedDict[str, Bucket] = OrderedDict()

    @property
    def needs_key(self) -> bool:
        return self._keys is not None

    def is_proxy(self, peer: str) -> bool:
        """Return whether a peer's word about its client's address is believed."""
        if not self._proxies:
            return False
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address.version == network.version and address in network for network in self._proxies)

    def address(self, peer: str, header: Header) -> str:
        """Return whose limits a request counts towards: the nearest address that is no proxy of ours."""
        hops = [hop.strip() for hop in (header("x-forwarded-for") or "").split(",") if hop.strip()]
        while hops and self.is_proxy(peer):
            peer = hops.pop()
        return _household(peer)

    def connect(self, address: str) -> bool:
        """Count a connection of an address; False when it has too many."""
        limit = self.rules.connections_per_address
        if limit and self._open[address] >= limit:
            self.refused["connections"] += 1
            return False
        self._open[address] += 1
        return True

    def disconnect(self, address: str) -> None:
        """Forget a connection that `connect` counted."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    def check(self, header: Header, address: str, *, is_socket: bool = False, is_open: bool = False) -> Refusal | None:
        """Return why a request is refused, None when it may be served.

        `is_socket`: a handshake, whose origin counts, because browsers let any page open one. `is_open`: needs no key.
        """
        if not self._within_rate(address):
            self.refused["rate"] += 1
            return Refusal(429, "Too many requests", f"more than {self.rules.requests_per_s:g} a second")
        if is_socket and not self.allows_origin(header("origin"), header("host")):
            self.refused["origin"] += 1
            return Refusal(403, "Origin not allowed", "the server's --origin does not list this page's origin")
        if is_open or self._keys is None:
            return None
        key = presented_key(header)
        if key is None or self._keys.owner(key, self._monotonic_s()) is None:
            self.refused["key"] += 1
            return Refusal(401, "Unauthorized", "no API key" if key is None else "not a key of this server")
        return None

    def allows_origin(self, origin: str | None, host: str | None) -> bool:
        """Return whether a page of `origin` may open a socket: the server's own, a listed one, or no page at all."""
        if origin is None or "*" in self.rules.origins or origin in self.rules.origins:
            return True
        return host is not None and urlsplit(origin).netloc.lower() == host.lower()

    def _within_rate(self, address: str) -> bool:
        per_s = self.rules.requests_per_s
        if not per_s:
            return True
        now_s = self._monotonic_s()
        bucket = self._spent.get(address)
        if bucket is None:
            bucket = self._spent[address] = Bucket(10 * per_s, now_s)
            if len(self._spent) > ADDRESSES_MAX:
                self._spent.popitem(last=False)
        else:
            self._spent.move_to_end(address)
        return bucket.take(per_s, 10 * per_s, now_s)


def _household(address: str) -> str:
    """Return an address, of IPv6 its /64: one subscriber has all of that."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((parsed, 64), strict=False))
