"""What a person sees in a real Chromium, against what the server sent."""

import asyncio
import contextlib
import signal
from decimal import ROUND_HALF_UP, Decimal

import orjson
import pytest
from playwright.async_api import expect
from websockets.asyncio.client import connect

from derivasys.wire.table import merge
from tests.service.conftest import Up

TIMEOUT_MS = 30_000


class Listener:
    """A second client of the same rate class: it gets the very bytes that the page gets."""

    def __init__(self, url: str, conventions: dict[str, str]) -> None:
        self.url = url
        self.conventions = conventions
        self.smiles: dict[tuple[str, int], dict] = {}
        """State of the surface by currency and version."""

    async def run(self) -> None:
        state: dict = {}
        async with connect(self.url, max_size=None) as client:
            wanted = {"ccys": ["BTC", "ETH"], "channels": ["surface"], "conventions": self.conventions}
            await client.send(orjson.dumps({"type": "subscribe", **wanted}).decode())
            async for text in client:
                message = orjson.loads(text)
                if message["type"] == "svi_surface_snapshot":
                    state[message["ccy"]] = message
                elif message["type"] == "svi_surface_patch":
                    state[message["ccy"]] = merge(state[message["ccy"]], message)
                else:
                    continue
                self.smiles[message["ccy"], message["version"]] = state[message["ccy"]]["smiles"]


@contextlib.asynccontextmanager
async def listening(up: Up, **conventions: str):
    listener = Listener(up.ws, conventions)
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(scope="module")
def up():
    up = Up("--source", "replay")
    for ccy, count in (("BTC", 12), ("ETH", 11)):
        up.until(lambda ccy=ccy, count=count: len(up.get(f"/surface/latest?ccy={ccy}").json()["smiles"]) == count)
    yield up
    up.stop()


@pytest.fixture
async def page(browser, up):
    page = await browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    await page.goto(up.url)
    yield page
    assert page.faults == []
    await page.close()


def rows(page, kind: str = "rr"):
    return page.locator(f'[data-testid="{kind}-grid"] tbody tr')


async def cells(page, kind: str = "rr") -> list[dict]:
    """Return every cell of a grid, read in one moment."""
    found = await page.evaluate(
        """kind => [...document.querySelectorAll(`[data-testid="${kind}-grid"] td[data-cell]`)].map(cell => ({
            name: cell.dataset.cell, version: Number(cell.dataset.version), text: cell.textContent.trim()}))""",
        kind,
    )
    assert found
    return found


def shown(value: float, decimals: int, *, sign: bool = False) -> str:
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{rounded:{'+' if sign else ''},.{decimals}f}".replace("-", "−")


def expected(smile: dict, column: str) -> str:
    if column.startswith(("RR", "FLY")):
        return shown(smile["risk_reversals" if column.startswith("RR") else "flies"][column], 2, sign=True)
    return shown(smile["nodes"][column]["vol"], 2)


async def test_twelve_expiries_and_the_source_are_on_the_page(page):
    await expect(rows(page)).to_have_count(12)
    await expect(rows(page, "fly")).to_have_count(12)
    await expect(page.get_by_test_id("header-source")).to_contain_text("REPLAY")
    await expect(page.get_by_test_id("header-connection")).to_have_attribute("data-state", "live")
    await page.locator("#smiles").scroll_into_view_if_needed()
    await expect(page.locator('[data-testid^="smile-1"]')).to_have_count(12)
    await page.locator("#lower").scroll_into_view_if_needed()
    await expect(page.get_by_test_id("surface-3d")).to_have_count(1)


async def test_every_cell_shows_the_value_of_the_message_of_its_version(page, up):
    async with listening(up) as listener:
        await expect(rows(page)).to_have_count(12)
        compared = 0
        for _ in range(40):
            now = await cells(page)
            versions = {cell["version"] for cell in now}
            assert len(versions) == 1, "one version spans the grid"
            smiles = listener.smiles.get(("BTC", versions.pop()))
            if smiles is not None:
                for cell in now:
                    _, expiry, column = cell["name"].split(":")
                    if column.startswith("RR") or column in smiles[expiry]["nodes"]:
                        text = cell["text"].rstrip("*x†").strip()
                        assert text == expected(smiles[expiry], column), cell
                        compared += 1
                if compared > 3 * 12 * 25:
                    return
            await asyncio.sleep(0.1)
        raise AssertionError(f"only {compared} cells could be compared")


async def test_other_conventions_are_the_server_s_numbers_in_them_without_a_reload(page, up):
    await expect(rows(page)).to_have_count(12)
    await page.keyboard.press(",")
    for name in ("premium-adjusted", "market strangle − ATM"):
        await page.get_by_test_id("settings").get_by_role("button", name=name, exact=True).click()
    await page.keyboard.press("Escape")
    await expect(page.locator('[data-testid="fly-grid"] thead')).to_contain_text(
        "market strangle − ATM, premium-adjusted delta"
    )
    async with listening(up, delta="premium_adjusted", fly="market_strangle") as listener:
        for kind, spreads in (("rr", "risk_reversals"), ("fly", "flies")):
            compared = 0
            for _ in range(40):
                now = await cells(page, kind)
                smiles = listener.smiles.get(("BTC", now[0]["version"]))
                if smiles is not None and len({cell["version"] for cell in now}) == 1:
                    for cell in now:
                        _, expiry, column = cell["name"].split(":")
                        smile = smiles[expiry]
                        if column in smile[spreads] or column in smile["nodes"]:
                            assert cell["text"] == expected(smile, column), cell
                            compared += 1
                    break
                await asyncio.sleep(0.1)
            assert compared > 12 * 20, f"only {compared} cells of {kind} could be compared"


async def test_every_panel_shows_the_same_version(page):
    await expect(rows(page)).to_have_count(12)
    versions = await page.evaluate(
        "() => [document.querySelector('[data-testid=header-version]').dataset.version,"
        " ...new Set([...document.querySelectorAll('td[data-cell]')].map(cell => cell.dataset.version))]"
    )
    assert len(set(versions)) <= 2, "the header may be one frame ahead of the grids"


async def test_switching_to_eth(page, up):
    await expect(rows(page)).to_have_count(12)
    await page.get_by_test_id("ccy-ETH").click()
    await expect(rows(page)).to_have_count(11)
    labels = await rows(page).locator("th").all_text_contents()
    assert labels[0].startswith("9JAN24")
    assert "ETH" in page.url, "the view is in the address"
    async with listening(up) as listener:
        for _ in range(40):
            now = await cells(page)
            smiles = listener.smiles.get(("ETH", now[0]["version"]))
            if smiles is not None:
                break
            await asyncio.sleep(0.1)
        cell = next(cell for cell in now if cell["name"].endswith(":RR25"))
        assert cell["text"] == expected(smiles[cell["name"].split(":")[1]], "RR25")


async def test_fixed_tenors(page):
    await expect(rows(page)).to_have_count(12)
    await (
        page.get_by_test_id("panel-rr")
        .get_by_role("radio", name="Tenor")
        .or_(page.get_by_test_id("panel-rr").get_by_role("button", name="Tenor"))
        .first.click()
    )
    await expect(rows(page).first.locator("th")).to_contain_text("1D")
    await expect(rows(page)).to_have_count(12)


async def test_a_killed_server_is_told_and_a_new_one_recovers(browser):
    first = Up("--source", "replay", "--ccy", "BTC")
    port = first.port
    second = None
    try:
        first.until(lambda: len(first.get("/surface/latest?ccy=BTC").json()["smiles"]) == 12)
        page = await browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(first.url)
        await expect(rows(page)).to_have_count(12, timeout=TIMEOUT_MS)
        connection = page.get_by_test_id("header-connection")
        await expect(connection).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        first.stop(signal.SIGKILL)
        await expect(connection).not_to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        state = await connection.get_attribute("data-state")
        assert state in ("reconnecting", "disconnected")
        await expect(rows(page)).to_have_count(12)
        before = int(await page.get_by_test_id("header-version").get_attribute("data-version"))
        assert before > 0
        second = Up("--source", "replay", "--ccy", "BTC", port=port)
        await expect(connection).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
        epoch = await page.evaluate("() => window.__derivasys.state().cut.surface?.epoch ?? null")
        served = second.until(lambda: second.get("/surface/latest?ccy=BTC").json())
        assert epoch in (served["epoch"], None)
        version = int(await page.get_by_test_id("header-version").get_attribute("data-version"))
        async with asyncio.timeout(30):
            while int(await page.get_by_test_id("header-version").get_attribute("data-version")) == version:
                await asyncio.sleep(0.05)
        await page.close()
    finally:
        first.stop(signal.SIGKILL)
        if second is not None:
            second.stop()


@pytest.mark.parametrize("width", [1600, 390])
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_nothing_hangs_over_the_edge(browser, up, width, scheme):
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = await context.new_page()
    await page.goto(up.url)
    await expect(rows(page)).to_have_count(12, timeout=TIMEOUT_MS)
    overflow = await page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    await context.close()
