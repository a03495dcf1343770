"""RFC 9457 problem details: every error of REST says what is wrong, where, and how to mend it."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from derivasys.publish.access import redact

PROBLEM = "application/problem+json"


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is answered with a problem document."""

    def __init__(
        self, status: int, title: str, detail: str = "", path: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.path, self.headers = status, title, detail, path, headers


def problem(
    status: int, title: str, detail: str = "", path: str = "", headers: dict[str, str] | None = None
) -> Response:
    """Return a problem document; `path` names the parameter, header or field."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if path:
        body["path"] = path
    return Response(redact(orjson.dumps(body)), status, headers, PROBLEM)


async def on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error.status, error.title, error.detail, error.path, error.headers)


async def on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = ""
    if error.status_code == 405 and error.headers is not None:
        detail = f"{request.method} is not allowed here; allowed: {error.headers.get('Allow', '')}"
    return problem(error.status_code, str(error.detail), detail, headers=dict(error.headers or {}))


async def on_fault(request: Request, error: Exception) -> Response:
    return problem(500, "Internal error", "the error has been logged")
