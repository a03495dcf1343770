"""Deribit's login for raw feeds, alone and against the local server; and that nothing of it leaves the connector."""

from __future__ import annotations

import asyncio
import logging
import random

import orjson
import pytest

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.deribit import DeribitSession
from derivasys.connect.login import Credentials, Login
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint, Reconnect
from derivasys.testing.deribit.server import DeribitServer
from derivasys.testing.market import ReplayMarket
from derivasys.testing.recordings import load_shipped

SECRET = "sentinel-secret-5d1c"
GOOD = Credentials("local-id", SECRET)
LISTING = orjson.dumps({"result": [{"instrument_name": "BTC-1JAN30-100-C", "kind": "option", "base_currency": "BTC"}]})


def test_credentials_show_nothing():
    assert SECRET not in f"{GOOD!r} {GOOD} {[GOOD]}"


def test_the_signature_is_the_documented_one():
    """HMAC-SHA256 of "1576074319000\\n1iqt2wls\\n" under AMANDASECRECT: computed with openssl dgst -sha256 -hmac."""
    login = Login(lambda: None, lambda: "1iqt2wls")
    signed = login.signature(Credentials("AMANDA", "AMANDASECRECT"), 1_576_074_319_000)
    assert signed["signature"] == "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1"


def opened(login: Login) -> tuple[DeribitSession, list[dict]]:
    session = DeribitSession(("BTC",), 0)
    session.login = login
    for path in list(session.relisting):
        session.relisting.remove(path)
        session.listed(path, LISTING, 0)
    return session, [orjson.loads(each) for each in session.opened(0)]


def answer(session: DeribitSession, call: dict, now_ns: int = 0, **body: object) -> list[dict]:
    reply = orjson.dumps({"jsonrpc": "2.0", "id": call["id"], **body})
    return [orjson.loads(each) for each in session.received(reply, now_ns)]


def test_subscriptions_to_raw_channels_wait_for_the_login():
    session, (_heartbeat, auth) = opened(Login(lambda: GOOD))
    assert auth["method"] == "public/auth"
    assert SECRET not in str(auth)
    assert session.tick(1) == []
    (subscribe,) = answer(session, auth, result={"access_token": "t", "expires_in": 900})
    assert subscribe["method"] == "public/subscribe"
    assert "ticker.BTC-1JAN30-100-C.raw" in subscribe["params"]["channels"]


def test_a_login_is_renewed_before_it_ends():
    session, (_, auth) = opened(Login(lambda: GOOD))
    answer(session, auth, result={"access_token": "t", "expires_in": 40})
    session._pending.clear()
    session.received(b'{"jsonrpc":"2.0","id":99,"result":1}', 19 * 10**9)
    assert not [m for m in session.tick(19 * 10**9) if b"public/auth" in m]
    assert [m for m in session.tick(20 * 10**9) if b"public/auth" in m]


def test_replaced_credentials_are_used_on_the_same_connection():
    held = [GOOD]
    session, (_, auth) = opened(Login(lambda: held[0]))
    answer(session, auth, result={"access_token": "t", "expires_in": 900})
    held[0] = Credentials("second-id", "second-secret")
    (again,) = [orjson.loads(m) for m in session.tick(1) if b"public/auth" in m]
    assert again["params"]["client_id"] == "second-id"


def test_refused_credentials_mean_the_public_feed_until_they_are_replaced():
    held = [GOOD]
    login = Login(lambda: held[0])
    session, (_, auth) = opened(login)
    with pytest.raises(Reconnect, match="13004 invalid_credentials"):
        answer(session, auth, error={"code": 13004, "message": "invalid_credentials"})
    assert "public feed" in login.detail
    session, (_, subscribe) = opened(login)
    assert "ticker.BTC-1JAN30-100-C.100ms" in subscribe["params"]["channels"]
    held[0] = Credentials("second-id", "second-secret")
    with pytest.raises(Reconnect, match="credentials have come"):
        session.tick(1)
    session, (_, auth) = opened(login)
    assert auth["method"] == "public/auth"


class Tap:
    """Records everything that a recording would."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def opened(self, now_ns: int) -> None: ...
    def listing(self, payload: bytes, now_ns: int) -> None: ...
    def received(self, payload: bytes, now_ns: int) -> None:
        self.kept.append(payload)

    def sent(self, payload: bytes, now_ns: int) -> None:
        self.kept.append(payload)


async def test_raw_quotes_come_after_a_login_and_nothing_of_it_leaves_the_connector(caplog):
    """The real socket against the local server, which checks the signature."""
    caplog.set_level(logging.DEBUG)
    chain = load_shipped("BTC")
    clock = RecordedClock(chain.instant_ns)
    server = DeribitServer([ReplayMarket(chain)], clock)
    server.venue.accounts["local-id"] = SECRET
    await server.start()
    login, frames, tap = Login(lambda: GOOD), [], Tap()

    def session(now_ns):
        made = VENUES["deribit"].sessions(("BTC",), now_ns)[0]
        VENUES["deribit"].use_login(made, login)
        return made

    endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
    connector = Connector("deribit", endpoint, session, clock, lambda _, p, n: frames.append(p) or (), random.Random(1))
    connector.tap = tap
    task = asyncio.create_task(connector.run())
    try:
        async with asyncio.timeout(60):
            while not any(b'.raw"' in frame and b'"ticker.' in frame for frame in frames):
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.stop()
    assert server.venue.logins == 1
    everything = b"".join(frames + tap.kept) + caplog.text.encode()
    for sentinel in (SECRET, "local-id", "local-token", "client_signature"):
        assert sentinel.encode() not in everything, sentinel
    assert any(b"public/subscribe" in payload for payload in tap.kept)


async def test_a_wrong_secret_is_refused_by_the_local_server_and_the_public_feed_follows():
    chain = load_shipped("BTC")
    clock = RecordedClock(chain.instant_ns)
    server = DeribitServer([ReplayMarket(chain)], clock)
    server.venue.accounts["local-id"] = "another"
    await server.start()
    login, frames = Login(lambda: GOOD), []

    def session(now_ns):
        made = VENUES["deribit"].sessions(("BTC",), now_ns)[0]
        VENUES["deribit"].use_login(made, login)
        return made

    endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
    connector = Connector("deribit", endpoint, session, clock, lambda _, p, n: frames.append(p) or (), random.Random(1))
    task = asyncio.create_task(connector.run())
    try:
        async with asyncio.timeout(60):
            while not any(b'.100ms"' in frame and b'"ticker.' in frame for frame in frames):
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.stop()
    assert "13004" in login.detail
    assert server.venue.logins == 0
