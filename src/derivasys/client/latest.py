"""One surface by REST, without a stream."""

from __future__ import annotations

from typing import Any

import httpx

from derivasys.client.address import document_url, key_headers
from derivasys.client.published import PublishedSurface
from derivasys.client.refusal import ClientError
from derivasys.smiles import DeltaConvention, FlyConvention

TRIES_MAX = 5
"""Two documents are asked for until they are of one version."""


def latest(
    url: str,
    ccy: str = "BTC",
    *,
    delta: DeltaConvention | None = None,
    fly: FlyConvention | None = None,
    api_key: str | None = None,
    timeout_s: float = 10.0,
) -> PublishedSurface:
    """Return the newest surface of a currency with its tenors, from the gateway at `url` (http://HOST:PORT). Blocks.

    Raises ClientError, with the server's own words where it has answered.
    """
    query = {name: value for name, value in (("ccy", ccy), ("delta", delta), ("fly", fly)) if value is not None}
    try:
        with httpx.Client(headers=key_headers(api_key), timeout=timeout_s) as client:
            for _ in range(TRIES_MAX):
                surface, tenors = (
                    _document(client.get(document_url(url, path), params=query))
                    for path in ("/surface/latest", "/tenors/latest")
                )
                if surface["version"] == tenors["version"]:
                    break
    except httpx.HTTPError as error:
        raise ClientError(f"{url}: {error or type(error).__name__}") from None
    surface["smiles"] = {str(smile["expiry"]): smile for smile in surface["smiles"]}
    tenors["tenors"] = {row["label"]: row for row in tenors["tenors"]}
    return PublishedSurface({"surface": surface, "tenors": tenors})


def _document(reply: httpx.Response) -> Any:
    if reply.status_code == 200:
        return reply.json()
    if reply.headers.get("content-type") == "application/problem+json":
        body = reply.json()
        raise ClientError(f"{reply.status_code} {body.get('title')}: {body.get('detail', '')}")
    raise ClientError(f"{reply.url}: HTTP {reply.status_code}, not a gateway of DerivaSys?")
