"""The page in a real Chromium under its content security policy, and behind an API key."""

import asyncio
import re

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import expect

from derivasys.cli import main
from tests.service.conftest import Up

TIMEOUT_MS = 30_000


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A service that wants a key, on loopback; yields it and the key."""
    import contextlib
    import io

    said, line = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(line):
        assert main(["key", "desk"]) == 0
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(line.getvalue())
    up = Up("--source", "replay", "--ccy", "ETH", "--api-keys", str(file))
    yield up, re.search(r"dsk_\S+", said.getvalue())[0]
    up.stop()


async def test_the_page_runs_under_its_policy_and_its_socket_is_compressed(browser, guarded):
    up, key = guarded
    context = await browser.new_context(http_credentials={"username": "desk", "password": key})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    reply = await page.goto(up.url)
    assert "unsafe" not in reply.headers["content-security-policy"]
    await expect(page.locator("text=/RR25|25Δ|Risk reversals/i").first).to_be_visible(timeout=TIMEOUT_MS)
    async with asyncio.timeout(30):
        while (await asyncio.to_thread(_status, up, key))["clients"] == 0:
            await asyncio.sleep(0.1)
    assert [line for line in complaints if "Content Security Policy" in line or "Refused" in line] == []
    # The policy is in force: a script that the page did not bring with it does not run.
    ran = await page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.__ran = true';
                   document.body.append(s); return window.__ran === true }"""
    )
    assert not ran
    await context.close()


async def test_without_the_key_there_is_no_page(browser, guarded):
    up, _ = guarded
    context = await browser.new_context()
    page = await context.new_page()
    with pytest.raises(PlaywrightError, match="ERR_INVALID_AUTH_CREDENTIALS"):
        await page.goto(up.url)
    await context.close()


async def test_chromium_speaks_to_the_socket(browser, guarded):
    """What the browser's own WebSocket sees: extension agreed, text whole, close codes as sent."""
    up, key = guarded
    context = await browser.new_context(http_credentials={"username": "desk", "password": key})
    page = await context.new_page()
    await page.goto(f"{up.url}healthz")
    seen = await page.evaluate(
        """([key]) => new Promise((resolve, reject) => {
            const socket = new WebSocket(`ws://${location.host}/ws?ccy=ETH`, ['derivasys', `derivasys.key.${key}`])
            const types = []
            socket.onmessage = ({ data }) => {
              types.push(JSON.parse(data).type)
              if (types.at(-1) === 'pong') socket.send('no json')
            }
            socket.onopen = () => socket.send('{"type":"ping"}')
            socket.onclose = ({ code, reason }) => resolve({ code, reason, types, protocol: socket.protocol, extensions: socket.extensions })
            setTimeout(() => reject(new Error('no close')), 20000)
        })""",
        [key],
    )
    assert (seen["code"], seen["reason"]) == (1007, "not JSON")
    assert "pong" in seen["types"]
    assert seen["protocol"] == "derivasys"
    assert "permessage-deflate" in seen["extensions"]
    await context.close()


def _status(up: Up, key: str) -> dict:
    import httpx

    return httpx.get(f"{up.url}status", headers={"x-api-key": key}, timeout=10).json()
