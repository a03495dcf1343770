"""Where and how a gateway listens, checked before it does."""

from __future__ import annotations

import socket
from pathlib import Path

from msgspec import Struct

from derivasys.publish.access import AccessRules, is_loopback


class ListenError(ValueError):
    """The address cannot be listened on; the message names it and the mend."""


class Binding(Struct, frozen=True, kw_only=True):
    """Where and how a gateway listens."""

    host: str = "127.0.0.1"
    port: int = 8080
    reuse_port: bool = False
    """Several processes may listen on the port: the kernel spreads connections over them."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """PEM files; both or, where the certificate's file holds the key too, only the first."""
    public: bool = False
    """Serve everybody, also bound to an address that other machines reach."""

    @property
    def scheme(self) -> str:
        return "http" if self.tls_cert is None else "https"

    def check(self, rules: AccessRules) -> None:
        """Raise ListenError where the settings would open more than was said, or cannot be."""
        if not self.public and rules.keys is None and not is_loopback(self.host):
            raise ListenError(
                f"--host {self.host} can be reached from other machines: give --api-keys FILE "
                "(`derivasys key NAME` makes one), or --public to serve everybody"
            )
        if self.tls_key is not None and self.tls_cert is None:
            raise ListenError("--tls-key needs --tls-cert")
        for flag, file in (("--tls-cert", self.tls_cert), ("--tls-key", self.tls_key)):
            if file is not None and not file.is_file():
                raise ListenError(f"{flag} {file}: no such file")
        if self.reuse_port and not hasattr(socket, "SO_REUSEPORT"):
            raise ListenError("--reuse-port: this system cannot share a port")
