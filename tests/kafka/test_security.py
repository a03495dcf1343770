"""TLS, SASL/SCRAM and OAuth as configuration, against the real broker."""

import base64
import json
import subprocess
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from derivasys.bus.clients import Clients
from derivasys.bus.settings import BusError, BusSettings, from_environment
from derivasys.testing.kafka import Cluster
from derivasys.testing.kafka.broker import Listener
from tests.kafka.conftest import installation, need_own_kafka, read_topic

USER, PASSWORD = "derivasys", "correct-horse-battery"


def keys(folder) -> dict[str, str]:
    """Make a key and a certificate of 127.0.0.1 with Java's own tool; return the listener's settings."""
    store, ca = folder / "server.p12", folder / "ca.pem"
    common = ["-storetype", "PKCS12", "-keystore", str(store), "-storepass", "changeit", "-alias", "kafka"]
    subprocess.run(
        [
            "keytool",
            "-genkeypair",
            "-keyalg",
            "RSA",
            "-keysize",
            "2048",
            "-validity",
            "2",
            "-dname",
            "CN=127.0.0.1",
            "-ext",
            "SAN=ip:127.0.0.1",
            "-ext",
            "bc=ca:true",
            *common,
        ],
        check=True,
        capture_output=True,
    )
    subprocess.run(["keytool", "-exportcert", "-rfc", "-file", str(ca), *common], check=True, capture_output=True)
    return {
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(store),
        "ssl.keystore.password": "changeit",
        "ssl.key.password": "changeit",
    }


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    need_own_kafka("needs doors with TLS, SCRAM and OAuth")
    folder = tmp_path_factory.mktemp("secure")
    login = "org.apache.kafka.common.security"
    scram = Listener(
        name="SECURE",
        protocol="SASL_SSL",
        config=keys(folder)
        | {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        },
    )
    oauth = Listener(
        name="TOKENS",
        protocol="SASL_PLAINTEXT",
        config={
            "sasl.enabled.mechanisms": "OAUTHBEARER",
            "oauthbearer.connections.max.reauth.ms": "3600000",
            "oauthbearer.sasl.jaas.config": f'{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        },
    )
    with Cluster(folder / "kafka", extra=[scram, oauth], users={USER: PASSWORD}) as cluster:
        cluster.ca = str(folder / "ca.pem")
        yield cluster


def goes_round(clients):
    producer = clients.producer()
    producer.produce(clients.topic("raw.deribit"), b"there and back")
    assert producer.flush(20) == 0
    return [message.value() for message in read_topic(clients, "raw.deribit")] == [b"there and back"]


def test_tls_and_scram(secure):
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": secure.address("SECURE"), "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER, "KAFKA_SASL_PASSWORD": PASSWORD, "KAFKA_SSL_CA_FILE": secure.ca,
    }  # fmt: skip
    settings = from_environment(environ)
    assert PASSWORD not in repr(settings)
    assert goes_round(
        installation(
            secure.address("SECURE"), protocol="SASL_SSL", username=USER, password=settings.password, ca_file=secure.ca
        )
    )
    Clients(settings, "test").check()
    # A wrong password, and a certificate that nobody has vouched for, are told as what they are.
    wrong = from_environment(environ | {"KAFKA_SASL_PASSWORD": "wrong-horse"})
    with pytest.raises(BusError, match="[Aa]uthentication") as told:
        Clients(wrong, "test").check(5.0)
    assert "wrong-horse" not in str(told.value)
    with pytest.raises(BusError, match="SSL handshake failed|certificate verify failed"):
        Clients(from_environment({key: at for key, at in environ.items() if key != "KAFKA_SSL_CA_FILE"}), "test").check(
            5.0
        )


TOKENS = []


def token(lives_s: float = 600.0) -> tuple[str, float]:
    """An unsecured token as Kafka's own validator for tests takes it."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": USER, "iat": now, "exp": now + lives_s})
    TOKENS.append(now)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, ""]), now + lives_s


def brief_token() -> tuple[str, float]:
    return token(4.0)


def test_oauth_tokens_come_from_the_configured_provider(secure):
    clients = installation(
        secure.address("TOKENS"), protocol="SASL_PLAINTEXT", mechanism="OAUTHBEARER", oauth_provider=f"{__name__}:token"
    )
    assert goes_round(clients)
    assert TOKENS


def test_connections_outlive_their_tokens(secure):
    """The broker ends a connection with its token (KIP-368). The client renews it, or connects anew: nothing is lost by it."""
    clients = installation(
        secure.address("TOKENS"),
        protocol="SASL_PLAINTEXT",
        mechanism="OAUTHBEARER",
        oauth_provider=f"{__name__}:brief_token",
    )
    producer = clients.fenced_producer("brief")
    producer.init_transactions(10)
    producer.begin_transaction()
    name, failed, sent, before = clients.topic("raw.deribit"), [], 0, len(TOKENS)
    reader = clients.reader()
    reader.assign([TopicPartition(name, 0, OFFSET_BEGINNING)])
    read, until_s = 0, time.time() + 8.0
    while time.time() < until_s:
        producer.produce(name, b"on", on_delivery=lambda error, _: failed.append(error) if error else None)
        sent += 1
        producer.poll(0.05)
        read += sum(message.error() is None for message in reader.consume(100, 0.05))
    producer.commit_transaction(10)
    reader.close()
    assert failed == []
    assert read > sent / 2, "while it went on"
    assert len([message for message in read_topic(clients, "raw.deribit") if message.value() == b"on"]) == sent
    assert len(TOKENS) - before >= 2 * 3, "both clients' tokens were renewed twice"


@pytest.mark.parametrize(("more", "told"), [
    ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL 'TLS' is none of"),
    ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM 'GSSAPI' is none of"),
    ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed"),
    ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "OAUTHBEARER"}, "KAFKA_OAUTH_PROVIDER is needed"),
    ({"KAFKA_SASL_PASSWORD_FILE": "/no/such"}, "KAFKA_SASL_PASSWORD_FILE /no/such: No such file"),
    ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "no broker is named"),
])  # fmt: skip
def test_settings_that_cannot_be(more, told):
    with pytest.raises(BusError, match=told):
        from_environment({"KAFKA_BOOTSTRAP_SERVERS": "localhost:1"} | more)


def test_a_provider_that_is_not_there():
    settings = BusSettings(
        bootstrap="x:1", protocol="SASL_SSL", mechanism="OAUTHBEARER", oauth_provider="no.such:thing"
    )
    with pytest.raises(BusError, match="not found"):
        settings.client()
