"""What a reply depends on besides its content: Accept, If-None-Match, compression; and the parameters of a query."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from derivasys.publish.problems import Refusal

JSON = "application/json"
GZIP_BYTES_MIN = 1024
GZIP_LEVEL = 4


class Body:
    """One document's bytes, made when first asked for and compressed once."""

    __slots__ = ("_content", "_gzip", "_make", "etag")

    def __init__(self, make: Callable[[], bytes], tag: str) -> None:
        """`tag` differs whenever the content does."""
        self._make = make
        self._content: bytes | None = None
        self._gzip: bytes | None = None
        # Weak: the compressed bytes have the same tag.
        self.etag = f'W/"{hashlib.blake2b(tag.encode(), digest_size=12).hexdigest()}"'

    @property
    def content(self) -> bytes:
        if self._content is None:
            self._content = self._make()
        return self._content

    @property
    def compressed(self) -> bytes:
        if self._gzip is None:
            self._gzip = gzip.compress(self.content, GZIP_LEVEL, mtime=0)
        return self._gzip


def of_bytes(content: bytes) -> Body:
    """Return the body of ready bytes."""
    return Body(lambda: content, hashlib.blake2b(content, digest_size=12).hexdigest())


def reply(request: Request, body: Body) -> Response:
    """Return the document, or 304 where the client has it, compressed where it may be. Raises Refusal (406)."""
    require_json_accepted(request)
    headers = {"etag": body.etag, "cache-control": "no-cache", "vary": "Accept-Encoding"}
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {body.etag, body.etag.removeprefix("W/"), "*"}:
        return Response(status_code=304, headers=headers)
    if len(body.content) >= GZIP_BYTES_MIN and _takes(request.headers.get("accept-encoding", ""), "gzip"):
        return Response(body.compressed, media_type=JSON, headers={**headers, "content-encoding": "gzip"})
    return Response(body.content, media_type=JSON, headers=headers)


def require_json_accepted(request: Request) -> None:
    """Raise Refusal (406) when the client's Accept leaves no JSON."""
    accept = ",".join(request.headers.getlist("accept"))
    if accept and not _takes(accept, JSON, "application/*", "*/*"):
        raise Refusal(406, "Not acceptable", f"this is {JSON}; Accept asks for {accept[:80]!r}", "Accept")


def _takes(header: str, *names: str) -> bool:
    """Return whether a header of weighted names has one of `names` at a weight above 0."""
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in names and not any(p.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for p in parameters):
            return True
    return False


def parameters(request: Request, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the query's parameters as the types of `known`. Raises Refusal (400) that names the parameter."""
    values: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name not in known:
            listed = ", ".join(known) or "none"
            raise Refusal(400, "Unknown parameter", f"{name[:32]!r} is not known here; known: {listed}", name[:32])
        if name in values:
            raise Refusal(400, "Bad parameter", f"{name} is given twice", name)
        try:
            values[name] = msgspec.convert(text, known[name], strict=False)
        except msgspec.ValidationError as error:
            raise Refusal(400, "Bad parameter", str(error), name) from None
    return values


async def json_body(request: Request, decoder: msgspec.json.Decoder[Any], bytes_max: int) -> Any:
    """Return the request's body as `decoder` reads it. Raises Refusal (400, 413, 415, 422) that names the field."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refusal(415, "Unsupported media type", f"send {JSON}, not {kind[:64] or 'nothing'!r}", "Content-Type")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise Refusal(415, "Unsupported encoding", "send the body uncompressed", "Content-Encoding")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise Refusal(413, "Too large", f"at most {bytes_max} bytes")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `")
        raise Refusal(422, "Bad field", detail, path.rstrip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "Not JSON", str(error)[:120], "$") from None
