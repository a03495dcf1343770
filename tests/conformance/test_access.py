"""API keys, TLS, headers for browsers, and the sentinel: a key that went in must come out nowhere."""

import asyncio
import base64
import io
import logging
import re
import shutil
import ssl
import subprocess

import httpx
import numpy as np
import pytest
import websockets
from prometheus_client import CollectorRegistry, Gauge
from websockets.asyncio.client import connect

from derivasys.cli import main
from derivasys.publish import access
from derivasys.publish.access import Access, AccessError, AccessRules, Keys, key_line, new_key
from derivasys.publish.binding import Binding, ListenError
from derivasys.publish.gateway import Gateway
from derivasys.publish.rest import Rest
from derivasys.telemetry import logs
from derivasys.wire.feed import TABLES, State
from derivasys.wire.table import Field, Layout, Table
from tests.conformance.wire import CLOSE, TEXT, frame, served

KEY = new_key()


@pytest.fixture(autouse=True)
def _rules():
    """Log lines as the command line writes them."""
    before = logs._RULES[:]
    logs.conceal_like(lambda text: access.redact(text.encode(errors="replace")).decode())
    yield
    logs._RULES[:] = before


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# desk\n\n{key_line('desk', KEY)}  # rotated in May\n{key_line('other', new_key())}\n")
    return file


def gateway() -> Gateway:
    layout = Layout([Field(("vol",), 1)])
    table = Table(layout, (("x",),), np.array([[1.0]]))
    gateway = Gateway(lambda: 0.0, lambda: 7)
    gateway.add_feed("BTC", "e")
    gateway.publish(State("BTC", 1, 1000, {}, dict.fromkeys(TABLES, table), {"rmse": 1}))
    gateway.publish_status(b'{"type":"status"}')
    return gateway


def rest(of: Gateway, registry: CollectorRegistry, site) -> object:
    return Rest(of, source="replay", build="1", health=list, metrics=registry, site=site).app()


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"anyone:{key}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401), ({"x-api-key": KEY}, 200), ({"authorization": f"Bearer {KEY}"}, 200), (basic(KEY), 200),
        ({"x-api-key": KEY[:-1]}, 401), ({"x-api-key": KEY + "x"}, 401), ({"authorization": f"Bearer {new_key()}"}, 401),
        ({"authorization": "Basic !!!"}, 401), ({"authorization": "Digest x"}, 401), (basic(""), 401),
    ],
)  # fmt: skip
async def test_keys_over_http(keys, headers, status):
    async with served(AccessRules(keys=keys)) as running, httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{running.port}"
        reply = await http.get(f"{url}/status", headers=headers)
        assert reply.status_code == status
        assert (await http.get(f"{url}/healthz")).status_code == 200, "a load balancer has no key"
        if status == 401:
            assert reply.headers.get_list("www-authenticate")[0].startswith("Basic")
            assert reply.headers["content-type"] == "application/problem+json"
            assert running.access.refused["key"] == 1


async def test_keys_over_websocket_by_header_or_subprotocol(keys):
    async with served(AccessRules(keys=keys)) as running:
        url = f"ws://127.0.0.1:{running.port}/ws"
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 401
        async with connect(url, additional_headers={"authorization": f"Bearer {KEY}"}) as client:
            assert client.subprotocol is None
        async with connect(url, subprotocols=["derivasys", f"derivasys.key.{KEY}"]) as client:
            assert client.subprotocol == "derivasys"
        # An address is logged on its way, so a key in one opens nothing.
        with pytest.raises(websockets.InvalidStatus):
            await connect(f"{url}?key={KEY}&x-api-key={KEY}")


def test_a_key_is_added_and_taken_away_without_a_restart(keys):
    held, added = Keys(keys), new_key()
    assert held.owner(KEY, 0.0) == "desk"
    assert held.owner(added, 0.0) is None
    keys.write_text(key_line("new", added) + "\n")
    assert held.owner(KEY, access.REREAD_S + 0.1) is None
    assert held.owner(added, access.REREAD_S + 0.2) == "new"
    keys.write_text("half a li")
    assert held.owner(added, 2 * access.REREAD_S + 0.5) == "new", "a file being written does not lock everybody out"


def test_keys_are_compared_in_constant_time(keys, monkeypatch):
    seen = []
    real = access.hmac.compare_digest
    monkeypatch.setattr(access.hmac, "compare_digest", lambda a, b: seen.append(1) or real(a, b))
    held = Keys(keys)
    for key in (KEY, new_key(), ""):
        seen.clear()
        held.owner(key, 0.0)
        assert len(seen) == 2, "every digest is compared, whichever matches"


def test_the_file_holds_no_key(keys, capsys):
    assert KEY not in keys.read_text()
    assert main(["key", "desk"]) == 0
    told = capsys.readouterr()
    key = re.search(r"dsk_\S+", told.err)[0]
    assert key not in told.out
    assert told.out == key_line("desk", key) + "\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [("desk nothash\n", "line 1: not `NAME SHA256`"), (None, "No such file")],
)
def test_a_bad_key_file_is_one_clear_line(tmp_path, text, says):
    file = tmp_path / "keys"
    if text is not None:
        file.write_text(text)
    with pytest.raises(AccessError, match=re.escape(says)):
        Keys(file)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "give --api-keys FILE (`derivasys key NAME` makes one), or --public"),
        (["--host", "0.0.0.0", "--api-keys", "nowhere"], "--api-keys nowhere: No such file"),
        (["--tls-cert", "nowhere.pem"], "--tls-cert nowhere.pem: no such file"),
        (["--tls-key", "nowhere.pem"], "--tls-key needs --tls-cert"),
        (["--origin", "desk.example"], "--origin desk.example is not an origin"),
        (["--trusted-proxy", "10.0.0.0/99"], "--trusted-proxy 10.0.0.0/99"),
    ],
)  # fmt: skip
def test_what_would_open_too_much_or_cannot_be_is_refused_at_start(arguments, says, capsys):
    assert main(["up", "--source", "replay", "--port", "0", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_on_loopback_no_key_is_needed(host):
    Binding(host=host).check(AccessRules())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway.example"])
def test_elsewhere_one_is(host, keys):
    with pytest.raises(ListenError):
        Binding(host=host).check(AccessRules())
    Binding(host=host, public=True).check(AccessRules())
    Binding(host=host).check(AccessRules(keys=keys))


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def make_certificate(folder):
    folder.mkdir(exist_ok=True)
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")], capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"openssl cannot make a certificate here: {made.stderr.decode()[-200:]}")
    return folder


async def test_https_and_wss_on_one_port(certificate):
    trust = ssl.create_default_context(cafile=certificate / "cert.pem")
    where = {"tls_cert": certificate / "cert.pem", "tls_key": certificate / "key.pem"}
    async with served(**where) as running, httpx.AsyncClient(verify=trust) as http:
        reply = await http.get(f"https://127.0.0.1:{running.port}/")
        assert reply.headers["strict-transport-security"] == "max-age=31536000"
        async with connect(f"wss://127.0.0.1:{running.port}/ws", ssl=trust) as client:
            for text in ("secret", "x" * 50_000):
                await client.send(text)
                assert await client.recv() == text
        plain = await running.dial()
        plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await plain.at_end(), "plain text is not spoken on a TLS port"


async def test_a_replaced_certificate_is_served_without_a_restart(certificate, tmp_path):
    here = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    old, new = certificate, make_certificate(tmp_path / "new")
    for name in ("cert.pem", "key.pem"):
        shutil.copy(old / name, tmp_path / name)

    async def serves(running, folder) -> bool:
        trust = ssl.create_default_context(cafile=folder / "cert.pem")
        try:
            async with connect(f"wss://127.0.0.1:{running.port}/ws", ssl=trust):
                return True
        except ssl.SSLCertVerificationError:
            return False

    async with served(**here) as running:
        trust = ssl.create_default_context(cafile=old / "cert.pem")
        async with connect(f"wss://127.0.0.1:{running.port}/ws", ssl=trust) as client:
            (new / "cert.pem").replace(tmp_path / "cert.pem")
            running.server._renew_certificate()  # its key is still to come
            assert await serves(running, old)
            shutil.copy(tmp_path / "cert.pem", new / "cert.pem")
            (new / "key.pem").replace(tmp_path / "key.pem")
            async with asyncio.timeout(10):
                while not await serves(running, new):
                    pass
            assert not await serves(running, old)
            await client.send("still here")
            assert await client.recv() == "still here"


async def test_a_certificate_that_is_none_is_one_clear_line(tmp_path):
    (tmp_path / "c.pem").write_text("nothing of the kind")
    with pytest.raises(ListenError, match="--tls-cert"):
        async with served(tls_cert=tmp_path / "c.pem"):
            pass


# --- headers ---


async def test_every_answer_tells_the_browser_to_be_strict(tmp_path):
    (tmp_path / "index.html").write_text("<html>")
    application = rest(gateway(), CollectorRegistry(), tmp_path)
    async with served(application=application) as running, httpx.AsyncClient() as http:
        for path in ("/", "/status", "/surface/latest", "/nothing.js", "/metrics"):
            headers = (await http.get(f"http://127.0.0.1:{running.port}{path}")).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-frame-options"] == "DENY"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers


async def test_only_listed_origins_may_read_answers():
    async with served(AccessRules(origins=("https://desk.example",))) as running, httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{running.port}/"
        allowed = await http.get(url, headers={"origin": "https://desk.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://desk.example"
        assert allowed.headers["vary"] == "Origin"
        assert (
            "access-control-allow-origin"
            not in (await http.get(url, headers={"origin": "https://evil.example"})).headers
        )


# --- the sentinel ---


async def test_a_key_comes_out_nowhere(keys, tmp_path):
    """One key put into every place that takes anything: no frame, answer, header, metric or log line shows it."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logs.TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    registry, seen = CollectorRegistry(), []
    refused = Gauge("refused", "x", ["cause"], registry=registry)
    hub = gateway()
    try:
        async with served(AccessRules(keys=keys), hub, rest(hub, registry, tmp_path)) as running:
            for cause, count in running.access.refused.items():
                refused.labels(cause).set(count)
            seen += await _over_http(running.port)
            seen += await _over_sockets(running)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert len(seen) > 25
    for text in [*seen, log.getvalue()]:
        assert KEY not in text
        assert KEY[:12] not in text, "nor a piece of it"
    assert log.getvalue(), "the log was on"


async def _over_http(port: int) -> list[str]:
    seen = []
    async with httpx.AsyncClient(headers={"x-api-key": KEY}, base_url=f"http://127.0.0.1:{port}") as http:
        for path in (
            "/", "/status", "/metrics", "/openapi.json", "/config.json", "/healthz", "/readyz", f"/{KEY}", f"/{KEY}.js",
            f"/surface/latest?ccy={KEY}", f"/surface/latest?{KEY}=1", f"/surface/latest?ccy=BTC&at={KEY}",
        ):  # fmt: skip
            reply = await http.get(path, headers={"if-none-match": KEY, "x-forwarded-for": KEY, "referer": KEY})
            seen.append(str(reply.headers) + reply.text)
        for method in ("POST", "PUT", "OPTIONS", KEY.replace("_", "-").replace("dsk-", "M")):
            reply = await http.request(method, "/price", content=KEY)
            seen.append(str(reply.headers) + reply.text)
        reply = await http.get("/status", headers={"x-api-key": f"{KEY}x", "cookie": KEY})
        seen.append(str(reply.headers) + reply.text)
    return seen


async def _over_sockets(running) -> list[str]:
    seen = []
    messages = [
        f'{{"type":"select_currency","ccy":"{KEY}"}}', f'{{"type":"{KEY}"}}', f'{{"type":"subscribe","channels":["{KEY}"]}}',
        f'{{"type":"subscribe","ccys":["{KEY}"]}}', f'{{"type":"ping","{KEY}":1}}', f'{{"{KEY}":1}}',
        f'{{"type":"resync","channel":"surface","ccy":"{KEY}"}}', f'{{"type":"subscribe","rate_ms":"{KEY}"}}', KEY,
    ]  # fmt: skip
    for message in messages:
        client = await running.client(
            f"/ws?ccy={KEY}", extra=[f"X-API-Key: {KEY}", f"Sec-WebSocket-Protocol: derivasys, derivasys.key.{KEY}"]
        )
        client.send(frame(TEXT, message.encode()))
        client.send(frame(TEXT, b'{"type":"ping","id":"end"}'))
        heard = b""
        try:
            while b'"end"' not in heard:
                opcode, payload, _ = await client.frame()
                heard += payload
                if opcode == CLOSE:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        seen.append(heard.decode(errors="replace"))
    refused = await running.dial()
    _, headers = await refused.handshake(
        f"/{KEY}", extra=[f"X-API-Key: {KEY}x", f"Origin: https://{KEY}", f"Sec-WebSocket-Extensions: {KEY}"]
    )
    seen.append(str(headers) + (await refused.reader.read(4096)).decode(errors="replace"))
    return seen


@pytest.mark.parametrize("formatter", [logs.TextFormatter(), logs.JsonFormatter("up", "test", "1")])
def test_a_key_in_a_traceback_is_taken_out(formatter):
    try:
        raise ValueError(KEY)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed with %s", (KEY,), __import__("sys").exc_info())
    text = formatter.format(record)
    assert KEY not in text
    assert text.count("[key]") == 2


def test_limits_forget_the_address_longest_unseen(monkeypatch):
    monkeypatch.setattr(access, "ADDRESSES_MAX", 3)
    rules = Access(AccessRules(requests_per_s=1.0), lambda: 0.0)
    for at in range(10):
        assert rules.check(lambda _: None, f"10.0.0.{at}") is None
    assert len(rules._spent) == 3


def test_a_household_of_ipv6_is_one_address():
    rules = Access(AccessRules(), lambda: 0.0)
    assert rules.address("2001:db8::1", lambda _: None) == rules.address("2001:db8::ffff:2", lambda _: None)
    assert rules.address("2001:db8:0:1::1", lambda _: None) != rules.address("2001:db8::1", lambda _: None)
    assert rules.address("::ffff:10.1.2.3", lambda _: None) == "10.1.2.3"
