"""Writes docs/images, by `make screenshots`: the dashboard at desk and phone width, dark and light, seeded."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.service.conftest import Up

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SETTLE_MS = 4_000


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    up = Up("--source", "simulated", "--seed", "1")
    try:
        up.until(lambda: len(up.get("/surface/latest?ccy=BTC").json()["smiles"]) == 12)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for width, height in ((1600, 1000), (390, 844)):
                for scheme in ("dark", "light"):
                    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                    shoot(context.new_page(), up.url, f"{'market' if width > 400 else 'phone'}-{scheme}", width > 400)
                    context.close()
            browser.close()
    finally:
        up.stop()


def shoot(page: Page, url: str, name: str, whole: bool) -> None:
    page.goto(url)
    page.wait_for_selector('[data-testid="rr-grid"] tbody tr')
    # What lies below the fold is drawn when it comes into view.
    height = page.evaluate("() => document.documentElement.scrollHeight")
    for at in range(0, height, 500):
        page.evaluate("at => window.scrollTo(0, at)", at)
        page.wait_for_timeout(250)
    page.evaluate("() => window.scrollTo(0, 0)")
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=IMAGES / f"{name}.png", full_page=whole)
    squeeze(IMAGES / f"{name}.png")


def squeeze(path: Path) -> None:
    """Reduce a picture to 256 colours: a third of the size, and no visible difference on flat panels."""
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
