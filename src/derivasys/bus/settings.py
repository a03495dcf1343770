"""How to reach Kafka, as configuration: address, security, topic prefix. One place, read once at the edge."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
TokenProvider = Callable[[], tuple[str, float]]
"""Returns (token, seconds since the epoch when it expires)."""


class BusError(ValueError):
    """A setting of Kafka that cannot be, or a broker that refuses; the message names it and the mend."""


class Secret(str):
    """A string that no representation shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class BusSettings(Struct, frozen=True, kw_only=True):
    """Address and credentials of Kafka, and the name before every topic and group of this installation."""

    bootstrap: str
    """host:port, several with commas."""
    prefix: str = ""
    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    """Read with the SASL protocols only."""
    username: str = ""
    password: Secret = Secret()
    ca_file: str = ""
    """PEM; empty takes the machine's own authorities."""
    oauth_provider: str = ""
    """`aws-msk-iam`, or `package.module:function`, a TokenProvider."""

    def __post_init__(self) -> None:
        if not self.bootstrap:
            raise BusError("no broker is named: give --bootstrap host:port or set KAFKA_BOOTSTRAP_SERVERS")
        if self.protocol not in PROTOCOLS:
            raise BusError(f"KAFKA_SECURITY_PROTOCOL {self.protocol!r} is none of {', '.join(PROTOCOLS)}")
        if not self.uses_sasl:
            return
        if self.mechanism not in MECHANISMS:
            raise BusError(f"KAFKA_SASL_MECHANISM {self.mechanism!r} is none of {', '.join(MECHANISMS)}")
        if self.mechanism == "OAUTHBEARER":
            if not self.oauth_provider:
                raise BusError(
                    "KAFKA_OAUTH_PROVIDER is needed with OAUTHBEARER: aws-msk-iam or package.module:function"
                )
        elif not (self.username and self.password):
            raise BusError(f"KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed with {self.mechanism}")

    @property
    def uses_sasl(self) -> bool:
        return self.protocol.startswith("SASL_")

    def client(self) -> dict[str, Any]:
        """Return what librdkafka needs of this for any client."""
        config: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "security.protocol": self.protocol}
        if self.ca_file:
            config["ssl.ca.location"] = self.ca_file
        if self.uses_sasl:
            config["sasl.mechanism"] = self.mechanism
            if self.mechanism == "OAUTHBEARER":
                provide = token_provider(self.oauth_provider)
                try:
                    provide()
                except Exception as error:  # noqa: BLE001 - its own words; the client would only say timeout
                    raise BusError(f"KAFKA_OAUTH_PROVIDER {self.oauth_provider}: no token: {error}") from None
                config["oauth_cb"] = lambda _: provide()
            else:
                config |= {"sasl.username": self.username, "sasl.password": str(self.password)}
        return config


def from_environment(
    environ: Mapping[str, str], bootstrap: str | None = None, prefix: str | None = None
) -> BusSettings:
    """Return the settings of KAFKA_* and DERIVASYS_TOPIC_PREFIX; arguments win over them. Raises BusError."""
    password = environ.get("KAFKA_SASL_PASSWORD", "")
    file = environ.get("KAFKA_SASL_PASSWORD_FILE")
    if file and not password:
        try:
            password = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BusError(f"KAFKA_SASL_PASSWORD_FILE {file}: {error.strerror}") from None
    return BusSettings(
        bootstrap=bootstrap or environ.get("KAFKA_BOOTSTRAP_SERVERS", ""),
        prefix=environ.get("DERIVASYS_TOPIC_PREFIX", "") if prefix is None else prefix,
        protocol=environ.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
        mechanism=environ.get("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
        username=environ.get("KAFKA_SASL_USERNAME", ""),
        password=Secret(password),
        ca_file=environ.get("KAFKA_SSL_CA_FILE", ""),
        oauth_provider=environ.get("KAFKA_OAUTH_PROVIDER", ""),
    )


def token_provider(name: str) -> TokenProvider:
    """Return the function that fetches OAuth tokens. Raises BusError when it cannot be found."""
    if name == "aws-msk-iam":
        return _aws_msk_iam()
    module, _, function = name.partition(":")
    try:
        provide = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError):
        raise BusError(f"KAFKA_OAUTH_PROVIDER {name!r}: not found; it is package.module:function") from None

    def checked() -> tuple[str, float]:
        token, expires_s = provide()
        assert isinstance(token, str)
        assert math.isfinite(expires_s)
        return token, float(expires_s)

    return checked


def _aws_msk_iam() -> TokenProvider:
    """Return a signer of the task role's credentials. See MSK's developer guide, IAM access control, OAUTHBEARER."""
    try:
        signer = importlib.import_module("aws_msk_iam_sasl_signer.MSKAuthTokenProvider")
        session = importlib.import_module("botocore.session").get_session()
    except ImportError:
        raise BusError("KAFKA_OAUTH_PROVIDER aws-msk-iam needs the package aws-msk-iam-sasl-signer-python") from None
    region = session.get_config_variable("region")
    if not region:
        raise BusError("KAFKA_OAUTH_PROVIDER aws-msk-iam: no region is configured (AWS_DEFAULT_REGION)")
    if session.get_credentials() is None:
        raise BusError("KAFKA_OAUTH_PROVIDER aws-msk-iam: no AWS credentials are found")

    def provide() -> tuple[str, float]:
        token, expires_ms = signer.generate_auth_token(region)
        return token, expires_ms / 1000

    return provide
