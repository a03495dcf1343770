"""Tokens for MSK's IAM: a presigned request, whose signature is computed here a second time (AWS Signature Version 4)."""

import base64
import hashlib
import hmac
import time
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from msgspec import structs

from derivasys.bus.clients import Clients
from derivasys.bus.settings import BusError, BusSettings, token_provider

MSK = BusSettings(bootstrap="127.0.0.1:1", protocol="SASL_SSL", mechanism="OAUTHBEARER", oauth_provider="aws-msk-iam")


@pytest.fixture
def account(monkeypatch, tmp_path):
    """A task's role, as the SDK finds it, and nothing of this machine's own."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"), ("AWS_SESSION_TOKEN", "of/the+role="),
        ("AWS_DEFAULT_REGION", "eu-west-2"), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", str(tmp_path / "none")),
        ("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none")),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)


def signature(host, query, secret):
    """Return the signature of a presigned GET of `/`: AWS's guide, "Create a signed AWS API request"."""
    scope = query["X-Amz-Credential"].split("/")[1:]
    sorted_query = "&".join(f"{quote(key, safe='')}={quote(query[key], safe='')}" for key in sorted(query))
    request = "\n".join(["GET", "/", sorted_query, f"host:{host}", "", "host", hashlib.sha256(b"").hexdigest()])
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = b"AWS4" + secret
    for part in (*scope, "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], "/".join(scope), digest])):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def test_a_token_of_msk_iam_is_a_signed_connect(account):
    token, expires_s = token_provider("aws-msk-iam")()
    asked = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = dict(parse_qsl(asked.query, strict_parsing=True))
    assert (asked.scheme, asked.netloc, asked.path) == ("https", "kafka.eu-west-2.amazonaws.com", "/")
    assert query["Action"] == "kafka-cluster:Connect"
    assert query["X-Amz-Security-Token"] == "of/the+role="
    assert query["X-Amz-Credential"].startswith("AKIDEXAMPLE/")
    assert query["X-Amz-Credential"].endswith("/eu-west-2/kafka-cluster/aws4_request")
    assert query.pop("User-Agent"), "added after the signature: MSK logs it"
    assert query.pop("X-Amz-Signature") == signature(asked.netloc, query, b"wJalrXUtnFEMI")
    # Seconds, as librdkafka's binding wants them, not the signer's milliseconds.
    assert expires_s == pytest.approx(time.time() + int(query["X-Amz-Expires"]), abs=5)


def test_without_a_region_it_is_told(account, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(BusError, match="no region is configured"):
        MSK.client()


def test_without_credentials_it_is_told_before_a_client_waits_for_them(account, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(BusError, match="KAFKA_OAUTH_PROVIDER aws-msk-iam: no AWS credentials are found"):
        Clients(MSK, "test")


def expired():
    raise RuntimeError("the session has ended: log in again")


def test_what_a_provider_says_is_told_before_a_client_waits_for_it():
    settings = structs.replace(MSK, oauth_provider=f"{__name__}:expired")
    with pytest.raises(BusError, match="no token: the session has ended: log in again"):
        Clients(settings, "test")
