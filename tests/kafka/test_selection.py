"""Which Kafka the tests use: that of KAFKA_BOOTSTRAP_SERVERS, one of our own, or none, and then they say why."""

import os
import subprocess
import sys

import pytest

from derivasys.testing.kafka import KafkaUnavailable, jars


def run_tests(tmp_path, *which, **environ):
    """Run these tests with neither Java nor Maven on the PATH; return the exit code and what was told."""
    kept = {name: text for name, text in os.environ.items() if name not in {"CI", "KAFKA_BOOTSTRAP_SERVERS"}}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "no:cacheprovider",
        *(f"tests/kafka/{each}" for each in which),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=kept | {"PATH": str(tmp_path)} | environ
    )
    return done.returncode, done.stdout


def test_without_java_they_are_skipped_and_say_so(tmp_path):
    code, told = run_tests(tmp_path, "test_gateway.py", "test_outages.py")
    assert code == 0, told
    assert "5 skipped" in told
    assert "Kafka tests are skipped: java is missing (Debian: apt-get install" in told


def test_without_java_they_are_errors_under_ci(tmp_path):
    code, told = run_tests(tmp_path, "test_gateway.py", "test_outages.py", CI="true")
    assert code == 1, told
    assert "5 errors" in told
    assert "under CI=true the Kafka tests must run: java is missing" in told


def test_a_given_broker_is_used_and_those_that_need_their_own_say_why(tmp_path, bootstrap):
    given = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "CI": "true"}
    code, told = run_tests(
        tmp_path, "test_outages.py", "test_topics.py::test_the_doctor_finds_the_broker",
        "test_security.py::test_tls_and_scram", **given,
    )  # fmt: skip
    assert code == 0, told
    assert "1 passed, 3 skipped" in told
    for why in ("stops its broker", "needs three nodes", "needs doors with TLS"):
        assert f"not with the broker of KAFKA_BOOTSTRAP_SERVERS: this test {why}" in told


@pytest.mark.parametrize(("java", "told"), [
    ("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", "Java 17 or newer is needed, not 11.0.2"),
    ("echo 'java version \"1.8.0_202\"' >&2", "Java 17 or newer is needed, not 1.8.0"),
    ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "java does not run: Unable to locate a Java Runtime."),
    ("echo 'openjdk version \"17.0.1\" 2021-10-19' >&2", "mvn is missing"),
])  # fmt: skip
def test_what_is_missing_is_told(tmp_path, monkeypatch, java, told):
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\n{java}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(KafkaUnavailable, match=told):
        jars()
