"""The flags of every command that serves clients, and what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path

from derivasys.publish.access import AccessError, AccessRules, is_loopback
from derivasys.publish.binding import Binding, ListenError

CONNECTIONS_PER_ADDRESS = 100
REQUESTS_PER_S = 50.0
"""Limits of one address where other machines can connect."""


def add_serving(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every command that serves clients (docs/gateway.md)."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 for any free one")
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other processes")
    access = parser.add_argument_group("access", "bound beyond loopback, --api-keys or --public is needed")
    access.add_argument("--api-keys", type=Path, metavar="FILE", help="hashed keys, made by `derivasys key`")
    access.add_argument("--public", action="store_true", help="serve everybody")
    access.add_argument("--origin", action="append", default=[], metavar="URL", help="pages allowed to connect")
    access.add_argument("--tls-cert", type=Path, metavar="PEM", help="serve https and wss")
    access.add_argument("--tls-key", type=Path, metavar="PEM", help="when it is not in --tls-cert")
    access.add_argument("--connections-per-address", type=int, metavar="N", help="0: no limit")
    access.add_argument("--requests-per-s", type=float, metavar="N", help="of one address; 0: no limit")
    access.add_argument("--trusted-proxy", action="append", default=[], metavar="NET",
                        help="believe its X-Forwarded-For")  # fmt: skip


def binding_of(options: argparse.Namespace) -> Binding:
    return Binding(
        host=options.host,
        port=options.port,
        reuse_port=options.reuse_port,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        public=options.public,
    )


def access_rules_of(options: argparse.Namespace) -> AccessRules:
    """Return the rules: limits are on by default where other machines can connect."""
    is_local = is_loopback(options.host)
    connections = options.connections_per_address
    if connections is None:
        connections = 0 if is_local else CONNECTIONS_PER_ADDRESS
    requests = options.requests_per_s
    if requests is None:
        requests = 0.0 if is_local else REQUESTS_PER_S
    try:
        return AccessRules(
            keys=options.api_keys,
            origins=tuple(options.origin),
            connections_per_address=connections,
            requests_per_s=requests,
            trusted_proxies=tuple(options.trusted_proxy),
        )
    except AccessError as error:
        raise ListenError(str(error)) from None
