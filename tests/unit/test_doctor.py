from __future__ import annotations

import socket

from derivasys.doctor import Finding, _kafka, _settings
from derivasys.settings import load

SENTINEL = "sentinel-9b2e"


def found(environ: dict[str, str]) -> list[Finding]:
    return list(_settings(load(environ)))


def test_nothing_configured_is_nothing_told():
    assert found({}) == []


def test_what_is_configured_and_readable_is_told_without_values(tmp_path):
    (tmp_path / "client_id").write_text(f"{SENTINEL}-id")
    (tmp_path / "client_secret").write_text(f"{SENTINEL}-secret")
    (tmp_path / "keys").write_text(f"{SENTINEL}-keys")
    told = found(
        {
            "DERIVASYS_LOG": "json",
            "DERIVASYS_CREDENTIALS_DERIBIT": f"file:{tmp_path}",
            "DERIVASYS_API_KEYS": f"file:{tmp_path}/keys",
        }
    )
    texts = [each.what for each in told]
    assert "setting log: 'json', from DERIVASYS_LOG" in texts
    assert f"credentials of deribit: file:{tmp_path} can be read" in texts
    assert f"api_keys: file:{tmp_path}/keys can be read" in texts
    assert SENTINEL not in "".join(texts)
    assert {each.level for each in told} == {"ok"}


def test_an_unfilled_secret_is_a_note_and_an_unreadable_one_a_failure(tmp_path):
    (tmp_path / "unset.json").write_text('{"unset": true}')
    (note,) = found({"DERIVASYS_CREDENTIALS_DERIBIT": f"file:{tmp_path}/unset.json"})
    assert (note.level, "no client_id and no client_secret" in note.what) == ("note", True)
    (fail,) = found({"DERIVASYS_TLS": "file:/nowhere"})
    assert (fail.level, "No such file" in fail.what) == ("fail", True)


def test_a_collector_is_tried():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert [each.level for each in found({"DERIVASYS_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"})] == ["ok", "ok"]
    fails = [each for each in found({"DERIVASYS_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}) if each.level == "fail"]
    assert "does not answer" in fails[0].what


def test_a_broker_that_is_named_is_tried():
    assert list(_kafka({})) == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    sasl = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": SENTINEL}
    (fail,) = _kafka({"KAFKA_BOOTSTRAP_SERVERS": nobody, **sasl})
    assert (fail.level, nobody in fail.what) == ("fail", True)
    assert SENTINEL not in fail.what
    (fail,) = _kafka({"KAFKA_BOOTSTRAP_SERVERS": nobody, "KAFKA_SECURITY_PROTOCOL": "TELNET"})
    assert "KAFKA_SECURITY_PROTOCOL" in fail.what
