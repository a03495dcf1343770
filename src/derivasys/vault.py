"""Values that are kept elsewhere: read by reference at start, and again when they may have changed.

A reference is `secretsmanager:NAME`, `ssm:NAME` or `file:PATH` (a file, or a folder with one file a key, as Kubernetes
mounts a Secret). Whatever is read from here is concealed from the logs.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from derivasys.telemetry import logs

log = logging.getLogger("derivasys.vault")

KINDS = ("secretsmanager", "ssm", "file")
REFRESH_S = 300.0
"""How soon a rotated value is seen at the latest."""
VALUE_BYTES_MAX = 65_536
"""Secrets Manager's own bound."""
CONNECT_S, READ_S, ATTEMPTS = 3, 5, 3


class VaultError(RuntimeError):
    """A value cannot be read; the message names the reference and the reason, never a value."""


def is_reference(text: str) -> bool:
    """Whether `text` names a value kept elsewhere."""
    return text.partition(":")[0] in KINDS and ":" in text


class Vault:
    """Reads references and keeps what it read. `get` never waits once a value is there."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._clients: dict[str, Any] = {}
        self._changed: dict[str, list[Callable[[], None]]] = {}
        self.failures: dict[str, str] = {}
        """By reference, why its last reading failed; the value read before stays in use."""

    def get(self, reference: str) -> str:
        """Return a value. Raises VaultError when it was never read and cannot be now."""
        if reference not in self._values:
            self._values[reference] = self._read(reference)
        return self._values[reference]

    def fields(self, reference: str) -> dict[str, str]:
        """Return a value that is a JSON object of strings. Raises VaultError."""
        try:
            value = orjson.loads(self.get(reference))
        except orjson.JSONDecodeError:
            raise VaultError(f"{reference}: not a JSON object") from None
        if not isinstance(value, dict):
            raise VaultError(f"{reference}: not a JSON object")
        return {str(name): str(text) for name, text in value.items()}

    def as_file(self, reference: str, folder: Path, name: str, field: str = "") -> Path:
        """Return a file with a value, or one field of it, readable by this user alone, and kept as the value is.

        For those who read files again when they change. A reference to a plain file is that file.
        """
        kind, _, path = reference.partition(":")
        if kind == "file" and not field and Path(path).is_file():
            return Path(path)

        def write() -> None:
            value = self.fields(reference).get(field, "") if field else self.get(reference)
            made = folder / f".{name}.{os.getpid()}"
            made.touch(0o600)
            made.write_text(value)
            made.replace(folder / name)

        write()
        self.on_change(reference, write)
        return folder / name

    def on_change(self, reference: str, call: Callable[[], None]) -> None:
        """Call `call` (on the event loop) after each change of a value."""
        self._changed.setdefault(reference, []).append(call)

    async def watch(self, every_s: float = REFRESH_S) -> None:
        """Read everything again, every `every_s` seconds, until cancelled. A failure keeps what there is."""
        while True:
            await asyncio.sleep(every_s)
            await self.refresh()

    async def refresh(self) -> list[str]:
        """Read everything again beside the event loop; return the references whose values changed."""
        changed = []
        for reference, before in list(self._values.items()):
            try:
                value = await asyncio.to_thread(self._read, reference)
            except VaultError as error:
                self.failures[reference] = str(error)
                log.warning("kept the old value: %s", error)
                continue
            self.failures.pop(reference, None)
            if value != before:
                self._values[reference] = value
                changed.append(reference)
                log.warning("%s has changed: the new value is in use", reference)
                for call in self._changed.get(reference, ()):
                    call()
        return changed

    def _read(self, reference: str) -> str:
        kind, _, name = reference.partition(":")
        if kind not in KINDS or not name:
            listed = ", ".join(KINDS)
            raise VaultError(f"{reference[:80]}: not a reference; it begins with one of {listed}, and a colon")
        value = _from_file(Path(name), reference) if kind == "file" else self._from_aws(kind, name, reference)
        if len(value) > VALUE_BYTES_MAX:
            raise VaultError(f"{reference}: {len(value)} characters, more than {VALUE_BYTES_MAX}")
        _conceal(value)
        return value

    def _from_aws(self, kind: str, name: str, reference: str) -> str:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise VaultError(f"{reference}: boto3 is missing: install derivasys[aws]") from None
        try:
            if kind not in self._clients:
                retries: Any = {"total_max_attempts": ATTEMPTS}
                limits = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries=retries)
                self._clients[kind] = boto3.client(kind, config=limits)
            client = self._clients[kind]
            if kind == "ssm":
                return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
            return str(client.get_secret_value(SecretId=name)["SecretString"])
        except ClientError as error:
            raise VaultError(f"{reference}: {error.response['Error'].get('Code', 'refused')}") from None
        except KeyError:
            raise VaultError(f"{reference}: holds bytes, not text") from None
        except BotoCoreError as error:
            raise VaultError(f"{reference}: {type(error).__name__}") from None


def _from_file(path: Path, reference: str) -> str:
    try:
        if not path.is_dir():
            return path.read_text()
        # Kubernetes mounts a Secret as a folder; its own bookkeeping begins with two dots.
        files = [each for each in sorted(path.iterdir()) if each.is_file() and not each.name.startswith("..")]
        return orjson.dumps({each.name: each.read_text().strip() for each in files}).decode()
    except OSError as error:
        raise VaultError(f"{reference}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise VaultError(f"{reference}: not UTF-8 text") from None


def _conceal(value: str) -> None:
    """Hide a value from the logs, and if it is a JSON object each of its values too."""
    logs.conceal(value)
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        return
    if isinstance(parsed, dict):
        logs.conceal(*(str(each) for each in parsed.values()))
