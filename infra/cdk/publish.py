"""Puts the built page into the site's bucket: `publish.py ENVIRONMENT BUCKET`. Old assets stay, for pages still open.

Hashed assets come first and index.html last, so that no page names a file that is not there yet.
"""

from __future__ import annotations

import json
import mimetypes
import sys
from importlib.util import find_spec
from pathlib import Path

from derivasys_infra.config import Config, ConfigError, load

PAGE = Path(__file__).resolve().parents[2] / "dashboard" / "dist"
FOREVER = "public, max-age=31536000, immutable"
NEVER = "no-cache"
FRESH = ("index.html", "config.json")


def site_config(config: Config, build: str) -> bytes:
    """Return config.json: where the page finds its socket."""
    return json.dumps({"ws_path": "/ws", "ws_url": f"wss://{config.names.live}/ws", "build": build}).encode()


def uploads(config: Config, page: Path, build: str) -> list[tuple[str, bytes, str, str]]:
    """Return (key, content, content type, cache-control) in the order in which they go up."""
    found = []
    for path in sorted(each for each in page.rglob("*") if each.is_file()):
        key = path.relative_to(page).as_posix()
        if key == "config.json":
            continue
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        kind = f"{kind}; charset=utf-8" if kind.startswith("text/") or kind.endswith("javascript") else kind
        found.append((key, path.read_bytes(), kind, FOREVER if key.startswith("assets/") else NEVER))
    found.append(("config.json", site_config(config, build), "application/json", NEVER))
    return sorted(found, key=lambda each: (each[0] == "index.html", each[0] in FRESH))


def main(environment: str, bucket: str, page: Path = PAGE, build: str = "0.1.0") -> int:
    try:
        config = load(environment)
    except ConfigError as error:
        print(f"infra: {error}", file=sys.stderr)
        return 2
    if not (page / "index.html").is_file():
        print(f"infra: {page} holds no index.html: run `make setup` first", file=sys.stderr)
        return 2
    assert find_spec("boto3") is not None
    import boto3

    s3 = boto3.client("s3", region_name=config.region)
    counts: dict[str, int] = {}
    for key, content, kind, cache in uploads(config, page, build):
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind, CacheControl=cache)
        counts[cache] = counts.get(cache, 0) + 1
    for cache, count in sorted(counts.items()):
        print(f"{count} files: {cache}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: publish.py ENVIRONMENT BUCKET")
    sys.exit(main(sys.argv[1], sys.argv[2]))
