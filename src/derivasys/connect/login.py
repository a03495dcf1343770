"""Exchange credentials, as a connector holds them: read when they are needed, signed with, never sent or shown."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from msgspec import Struct

WITHHELD = (b'"access_token"', b'"client_signature"')
"""A frame with one of these belongs to a login: it is neither handed on nor recorded, whichever way it goes."""


class Credentials(Struct, frozen=True):
    """An API key of a venue. Its text shows nothing."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "Credentials(•••)"


class Login:
    """One venue's credentials over the connector's life: those in force, and those that the venue refused."""

    def __init__(self, read: Callable[[], Credentials | None], nonce: Callable[[], str] | None = None) -> None:
        self._read = read
        self._nonce = nonce or (lambda: secrets.token_hex(8))
        self._refused: Credentials | None = None
        self.detail = ""
        """Why the public feed is used, '' while the credentials do."""

    @property
    def credentials(self) -> Credentials | None:
        """Those to log in with now; None when there are none, or the venue refused the present ones."""
        found = self._read()
        return None if found == self._refused else found

    def refuse(self, credentials: Credentials, why: str) -> None:
        """The venue does not take them: the public feed is used until they are replaced."""
        self._refused = credentials
        self.detail = f"login refused ({why}): public feed"

    def accept(self) -> None:
        self.detail = ""

    def signature(self, credentials: Credentials, now_ms: int) -> dict[str, object]:
        """Return the parameters of a `client_signature` grant: the secret signs and stays here.

        HMAC-SHA256 over timestamp, nonce and data, joined by line feeds.
        """
        nonce = self._nonce()
        text = f"{now_ms}\n{nonce}\n"
        signed = hmac.new(credentials.client_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {
            "grant_type": "client_signature", "client_id": credentials.client_id, "timestamp": now_ms,
            "signature": signed, "nonce": nonce, "data": "",
        }  # fmt: skip


def is_withheld(payload: bytes) -> bool:
    """Whether a frame belongs to a login."""
    return any(mark in payload for mark in WITHHELD)
