"""References to Secrets Manager and Parameter Store are read from a moto server, over HTTP, by the real SDK."""

from __future__ import annotations

import boto3
import orjson
import pytest
from tests.aws import served

from derivasys.settings import load
from derivasys.telemetry import logs
from derivasys.vault import Vault, VaultError


@pytest.fixture(scope="module")
def aws():
    with served():
        yield


@pytest.fixture
def secrets(aws):
    return boto3.client("secretsmanager")


async def test_a_secret_is_read_and_its_rotation_is_seen_without_a_restart(secrets):
    name = "derivasys-dev/exchange/rotated"
    secrets.create_secret(Name=name, SecretString='{"client_id": "first-id", "client_secret": "first-secret"}')
    vault, calls = Vault(), []
    reference = f"secretsmanager:{name}"
    assert vault.fields(reference)["client_id"] == "first-id"
    vault.on_change(reference, lambda: calls.append(vault.fields(reference)["client_id"]))
    assert await vault.refresh() == []
    secrets.put_secret_value(SecretId=name, SecretString='{"client_id": "second-id", "client_secret": "second-secret"}')
    assert vault.fields(reference)["client_id"] == "first-id"
    assert await vault.refresh() == [reference]
    assert calls == ["second-id"]


async def test_a_failing_reading_keeps_the_value_and_says_so(secrets):
    name = "derivasys-dev/gone"
    secrets.create_secret(Name=name, SecretString="kept-value")
    vault = Vault()
    assert vault.get(f"secretsmanager:{name}") == "kept-value"
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    assert await vault.refresh() == []
    assert vault.get(f"secretsmanager:{name}") == "kept-value"
    assert "ResourceNotFoundException" in vault.failures[f"secretsmanager:{name}"]


def test_settings_come_from_parameter_store(aws):
    boto3.client("ssm").put_parameter(Name="/derivasys-dev/log-level", Value="INFO", Type="String")
    boto3.client("ssm").put_parameter(Name="/derivasys-dev/otlp", Value="http://collector:4318", Type="SecureString")
    loaded = load(
        {"DERIVASYS_LOG_LEVEL": "ssm:/derivasys-dev/log-level", "DERIVASYS_OTLP_ENDPOINT": "ssm:/derivasys-dev/otlp"}
    )
    assert loaded.settings.log_level == "INFO"
    assert loaded.settings.otlp_endpoint == "http://collector:4318"


@pytest.mark.parametrize("reference", ["secretsmanager:nothing", "ssm:/nothing", "file:/nothing", "vault:x", "ssm:"])
def test_what_cannot_be_read_is_named(aws, reference):
    with pytest.raises(VaultError) as error:
        Vault().get(reference)
    assert str(error.value).startswith(reference)


def test_a_folder_is_a_secret_as_kubernetes_mounts_it(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "client_id").write_text("an-id\n")
    (tmp_path / "client_secret").write_text("a-secret")
    assert Vault().fields(f"file:{tmp_path}") == {"client_id": "an-id", "client_secret": "a-secret"}


def test_whatever_is_read_is_concealed_from_the_logs(secrets):
    value = orjson.dumps({"client_secret": "sentinel-in-json"}).decode()
    secrets.create_secret(Name="derivasys-dev/sentinel", SecretString=value)
    Vault().get("secretsmanager:derivasys-dev/sentinel")
    assert "sentinel" not in logs.concealed("the venue said sentinel-in-json is wrong")


@pytest.mark.parametrize("text", ["no json", "[1]", '"x"'])
def test_fields_of_what_is_no_object_are_an_error(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(VaultError, match="not a JSON object"):
        Vault().fields(f"file:{tmp_path}/x")


async def test_a_value_is_kept_in_a_file_for_those_who_read_files(secrets, tmp_path):
    name = "derivasys-dev/gateway/keys"
    secrets.create_secret(Name=name, SecretString="first-hash")
    vault = Vault()
    path = vault.as_file(f"secretsmanager:{name}", tmp_path, "api-keys")
    assert path.read_text() == "first-hash"
    assert path.stat().st_mode & 0o777 == 0o600
    secrets.put_secret_value(SecretId=name, SecretString="second-hash")
    await vault.refresh()
    assert path.read_text() == "second-hash"
    assert [each.name for each in tmp_path.iterdir()] == ["api-keys"]


def test_one_field_of_a_value_and_a_plain_file(tmp_path):
    (tmp_path / "tls.json").write_text('{"cert": "PEM one", "key": "PEM two"}')
    vault = Vault()
    assert vault.as_file(f"file:{tmp_path}/tls.json", tmp_path, "cert.pem", "cert").read_text() == "PEM one"
    assert vault.as_file(f"file:{tmp_path}/tls.json", tmp_path, "unused") == tmp_path / "tls.json"
