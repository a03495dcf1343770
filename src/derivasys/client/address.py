"""Where a gateway's socket and documents are, from the one address that a user gives."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

_SOCKET = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HTTP = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def socket_url(url: str, query: dict[str, object]) -> str:
    """Return the socket's address: `/ws` unless a path is given; parameters that are None are left out."""
    parts = urlsplit(url)
    text = urlencode({name: value for name, value in query.items() if value is not None})
    return urlunsplit((_scheme(url, parts.scheme, _SOCKET), parts.netloc, parts.path.rstrip("/") or "/ws", text, ""))


def document_url(url: str, path: str) -> str:
    """Return the address of a REST document."""
    parts = urlsplit(url)
    base = parts.path.rstrip("/").removesuffix("/ws")
    return urlunsplit((_scheme(url, parts.scheme, _HTTP), parts.netloc, base + path, "", ""))


def key_headers(api_key: str | None) -> dict[str, str]:
    """Return the headers that carry an API key."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def _scheme(url: str, scheme: str, known: dict[str, str]) -> str:
    if scheme not in known:
        raise ValueError(f"{url!r} is no address of a gateway: give http://HOST:PORT or ws://HOST:PORT/ws")
    return known[scheme]
