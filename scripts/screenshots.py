"""Writes docs/images, by `make screenshots`: the dashboard at desk and phone width, dark and light.

All but one show the seeded replay of still_replay.py and come out the same each time; what may differ is what the page
itself measures (its own latency, the ages in its header, the clock times under its half-hour charts) and the browser's
fonts. `system-dark` shows the running service on a simulated market: its numbers are measured on this machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.service.conftest import Served, Up

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SETTLE_MS = 4_000
TIMEOUT_MS = 60_000


EXACT = 160
"""Colours of a picture that are kept as they are."""
DESK, PHONE = (1600, 1000), (390, 844)
PICTURES = (
    ("market-dark", DESK, "dark", "", True),
    ("market-light", DESK, "light", "", True),
    ("fit-dark", DESK, "dark", "#/fit", True),
    ("fit-light", DESK, "light", "#/fit", True),
    ("system-dark", DESK, "dark", "#/system", True),
    ("expiry-dark", DESK, "dark", "focus", False),
    ("phone-dark", PHONE, "dark", "", False),
    ("phone-light", PHONE, "light", "", False),
)
"""Name, window, theme, where (a page, or `focus`: the front expiry opened), and whether the whole page is taken."""
LIVE = '[data-testid="header-connection"][data-state="live"]'
DRAWN = """() => [...document.querySelectorAll('[data-chart], [data-testid^="smile-1"] [data-plot]')]
    .every(chart => chart.dataset.version)"""


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    still = Served([sys.executable, str(Path(__file__).with_name("still_replay.py"))])
    running = Up("--source", "simulated", "--seed", "1")
    try:
        running.until(lambda: len(running.get("/surface/latest?ccy=BTC").json()["smiles"]) == 12)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for name, (width, height), scheme, where, whole in PICTURES:
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                context.set_default_timeout(TIMEOUT_MS)
                served = running if where == "#/system" else still
                shoot(context.new_page(), served.url, name, where, whole)
                context.close()
            browser.close()
    finally:
        running.stop()
        still.stop()


def shoot(page: Page, url: str, name: str, where: str, whole: bool) -> None:
    page.goto(url + (where if where != "focus" else ""))
    page.wait_for_selector(LIVE)
    page.wait_for_selector("main [data-panel]")
    if where == "focus":
        page.click('[data-testid="rr-grid"] tbody th button')
        page.wait_for_selector('[data-testid="checks"]')
    elif whole:
        # What lies below the fold is loaded and drawn when it comes into view: a window as tall as the page shows all.
        page.wait_for_timeout(SETTLE_MS)
        size = page.viewport_size
        assert size is not None
        for _ in range(3):
            tall = page.evaluate("() => document.documentElement.scrollHeight")
            page.set_viewport_size({"width": size["width"], "height": tall})
            page.wait_for_timeout(SETTLE_MS)
        page.wait_for_function(DRAWN)
    page.wait_for_timeout(SETTLE_MS)
    page.wait_for_selector(LIVE)
    page.screenshot(path=IMAGES / f"{name}.png")
    squeeze(IMAGES / f"{name}.png")


def squeeze(path: Path) -> None:
    """Reduce a picture to 256 colours, a third of the size: the commonest exactly, the others to what is nearest."""
    image = Image.open(path).convert("RGB")
    codes = np.asarray(image, np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    unique, of_pixel, counts = np.unique(codes, return_inverse=True, return_counts=True)
    colours = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=1)
    spread = image.quantize(256 - EXACT, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = np.vstack([colours[np.argsort(-counts, kind="stable")[:EXACT]], np.reshape(spread, (-1, 3))])
    distance = ((colours[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2)
    few = Image.fromarray(distance.argmin(axis=1).astype(np.uint8)[of_pixel].reshape(image.height, image.width))
    few.putpalette(palette.astype(np.uint8).tobytes())
    few.save(path, optimize=True)


if __name__ == "__main__":
    main()
