"""What stands before every HTTP request: limits, API keys, and the headers that tell browsers to be strict."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from derivasys.publish.access import Access, Header, Refusal, redact

BODY_BYTES_MAX = 1 << 20
"""A larger request body is answered with 413."""
OPEN_PATHS = ("/healthz", "/readyz")
"""A load balancer asks these, and it has no key."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-site"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class _TooLarge(Exception):  # noqa: N818 - an answer, not an error
    """The body goes on beyond its limit."""


class Guard:
    """ASGI middleware around the application; `is_tls` when the server itself speaks https."""

    def __init__(self, app: ASGIApp, access: Access, *, is_tls: bool = False) -> None:
        self._app = app
        self._access = access
        self._headers = [*_HEADERS, _HSTS] if is_tls else list(_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        header = _header(scope)
        extra = self._headers + self._cors(header("origin"))
        is_started = False

        async def sending(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        refusal = self._refusal(scope, header)
        if refusal is None:
            try:
                await self._app(scope, _bounded(receive), sending)
            except _TooLarge:
                if is_started:
                    raise
                refusal = _too_large()
        if refusal is not None:
            await _answer(sending, refusal)

    def _refusal(self, scope: Scope, header: Header) -> Refusal | None:
        peer = scope["client"][0] if scope.get("client") else ""
        is_open = scope["path"] in OPEN_PATHS
        refusal = self._access.check(header, self._access.address(peer, header), is_open=is_open)
        length = header("content-length")
        if refusal is None and length is not None and int(length) > BODY_BYTES_MAX:
            return _too_large()
        return refusal

    def _cors(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """Let the scripts of a listed origin read the answers; without a list nobody else's may."""
        origins = self._access.rules.origins
        if not origins:
            return []
        allowed = [(b"vary", b"Origin")]
        if origin is not None and (origin in origins or "*" in origins):
            allowed.append((b"access-control-allow-origin", origin.encode("latin-1", "replace")))
        return allowed


def _too_large() -> Refusal:
    return Refusal(413, "Body too large", f"more than {BODY_BYTES_MAX} bytes")


def _bounded(receive: Receive) -> Receive:
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > BODY_BYTES_MAX:
            raise _TooLarge
        return message

    return receiving


async def _answer(send: Send, refusal: Refusal) -> None:
    body = {"type": "about:blank", "title": refusal.title, "status": refusal.status, "detail": refusal.detail}
    content = redact(orjson.dumps(body))
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(content)).encode())]
    if refusal.status == 401:
        # Basic comes first: a browser asks for the key by itself, and sends it with the page's socket too.
        headers += [
            (b"www-authenticate", b'Basic realm="DerivaSys", charset="UTF-8"'),
            (b"www-authenticate", b"Bearer"),
        ]
    if refusal.status == 429:
        headers.append((b"retry-after", b"1"))
    if refusal.status == 413:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _header(scope: Scope) -> Header:
    headers: dict[str, str] = {}
    raw: list[tuple[bytes, bytes]] = scope["headers"]
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def get(name: str) -> Any:
        return headers.get(name)

    return get
