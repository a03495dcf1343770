"""What a deployment says to a process: one typed object from defaults, a file, the environment, and AWS.

In this order, the later winning: the defaults below; the TOML file that `DERIVASYS_SETTINGS` names; variables
`DERIVASYS_<NAME>` (`DERIVASYS_CREDENTIALS_<VENUE>` for one venue's credentials). A text may be a reference to a value
kept elsewhere (`derivasys.vault`); settings that are secret *must* be references, so that no file and no variable
holds one. What a person says on the command line is `derivasys.config`.
"""

from __future__ import annotations

import tempfile
import tomllib
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from derivasys.connect import VENUES
from derivasys.connect.login import Credentials, Login
from derivasys.vault import KINDS, Vault, VaultError, is_reference

PREFIX = "DERIVASYS_"
FILE = "DERIVASYS_SETTINGS"
SECRET = ("credentials", "api_keys", "tls")
"""Settings whose values are references, always."""
NOT_OURS = (
    "DERIVASYS_DATA",
    "DERIVASYS_FIXTURES",
    "DERIVASYS_EXAMPLES",
    "DERIVASYS_TOPIC_PREFIX",
    "DERIVASYS_PARTITIONS",
    "DERIVASYS_REPLICATION",
)
"""Variables with this prefix that others read: the tests' data, and the Kafka settings."""

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class SettingsError(ValueError):
    """A setting that cannot be; the message names where it stands and the mend, and shows no value of a secret."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One process's settings, checked."""

    environment: Annotated[str, Meta(pattern="^[a-z0-9-]{1,20}$")] = "local"
    """Name in logs, traces and metric namespaces."""
    service: str = ""
    """What this process is called there; empty: as its command."""
    log: Literal["text", "json"] = "text"
    log_level: Level = "WARNING"
    metrics: Literal["off", "emf"] = "off"
    """emf: CloudWatch's embedded metric format on standard output. /metrics is always there."""
    otlp_endpoint: Annotated[str, Meta(pattern="^(https?://.+)?$")] = ""
    """Where traces go, such as http://collector:4318; empty: nowhere."""
    credentials: dict[str, str] = {}
    """By venue, a reference to a JSON object with client_id and client_secret."""
    api_keys: str = ""
    """Reference to the gateway's keys, hashed, one a line."""
    tls: str = ""
    """Reference to a JSON object with cert and key, both PEM."""
    origins: str = ""
    """Pages that may open sockets, separated by commas; empty: any."""
    recordings: Annotated[str, Meta(pattern="^(s3://[a-z0-9.-]+(/.*)?)?$")] = ""
    """Where finished recordings are copied to."""
    refresh_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    """How often references are read again."""


class Loaded(Struct, frozen=True):
    """Settings, where each came from, and the vault that holds what they refer to."""

    settings: Settings
    sources: dict[str, str]
    """By setting: default, the file's name, or the variable's."""
    vault: Vault


def load(environ: Mapping[str, str], vault: Vault | None = None) -> Loaded:
    """Return the settings of this process. Raises SettingsError."""
    vault = vault or Vault()
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.__struct_fields__, "default")
    path = environ.get(FILE, "")
    if path:
        for name, value in _read(Path(path)).items():
            values[name], sources[name] = value, path
    for variable, name, value in _variables(environ):
        field, _, venue = name.partition(".")
        values[field] = {**values.get(field, {}), venue: value} if venue else value
        sources[field] = variable
    for name, value in values.items():
        if name not in SECRET and isinstance(value, str) and is_reference(value):
            try:
                values[name] = vault.get(value).strip()
            except VaultError as error:
                raise SettingsError(f"{sources.get(name, name)}: {error}") from None
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error} ({_where(values, sources, str(error))})") from None
    _check_secrets(settings, sources)
    return Loaded(settings, sources, vault)


def fill_access(options: Namespace, loaded: Loaded) -> None:
    """Fill what a command that serves was not told about access from the settings: keys, certificate, origins.

    Secrets become files of this user alone, which are rewritten when the secret is replaced. Raises VaultError.
    """
    settings, vault = loaded.settings, loaded.vault
    if not hasattr(options, "api_keys"):
        return
    if (settings.api_keys and not options.api_keys) or (settings.tls and not options.tls_cert):
        folder = Path(tempfile.mkdtemp(prefix="derivasys-"))
        if settings.api_keys and not options.api_keys:
            options.api_keys = vault.as_file(settings.api_keys, folder, "api-keys")
        if settings.tls and not options.tls_cert:
            options.tls_cert = vault.as_file(settings.tls, folder, "cert.pem", "cert")
            options.tls_key = vault.as_file(settings.tls, folder, "key.pem", "key")
    options.origin = options.origin or [each.strip() for each in settings.origins.split(",") if each.strip()]


def logins(loaded: Loaded) -> dict[str, Login]:
    """Return the credentials by venue, read from the vault whenever they are asked for. Raises VaultError."""

    def reader(reference: str) -> Callable[[], Credentials | None]:
        def read() -> Credentials | None:
            fields = loaded.vault.fields(reference)
            if not fields.get("client_id") or not fields.get("client_secret"):
                return None  # made, and not yet filled by hand
            return Credentials(fields["client_id"], fields["client_secret"])

        return read

    made = {venue: Login(reader(reference)) for venue, reference in loaded.settings.credentials.items()}
    for login in made.values():
        assert login.credentials is None or login.credentials.client_id  # read once, so that a fault is told at start
    return made


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{FILE}={path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None


def _variables(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (variable, setting, text) of the environment."""
    found = []
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable == FILE or variable in NOT_OURS:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name.startswith("credentials_"):
            name = "credentials." + name.removeprefix("credentials_")
        elif name not in Settings.__struct_fields__:
            known = ", ".join(PREFIX + field.upper() for field in Settings.__struct_fields__)
            raise SettingsError(f"{variable}: not known; there are {known}")
        found.append((variable, name, value))
    return found


def _where(values: dict[str, Any], sources: dict[str, str], told: str) -> str:
    """Return where the setting that a complaint names stands."""
    for name in values:
        if f"`$.{name}" in told or f"`{name}`" in told:
            return sources.get(name, "file")
    return "file or environment"


def _check_secrets(settings: Settings, sources: dict[str, str]) -> None:
    references = {f"credentials.{venue}": text for venue, text in settings.credentials.items()}
    kinds = ", ".join(f"{kind}:…" for kind in KINDS)
    references |= {name: getattr(settings, name) for name in ("api_keys", "tls")}
    for name, text in references.items():
        source = sources[name.partition(".")[0]]
        if text and not is_reference(text):
            raise SettingsError(f"{source}: {name} must be a reference ({kinds}), not the value itself")
    for venue in settings.credentials:
        if venue not in VENUES:
            raise SettingsError(f"{sources['credentials']}: {venue!r} is no venue; there are {', '.join(VENUES)}")
