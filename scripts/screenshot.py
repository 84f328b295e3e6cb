"""Take the picture in the README: a question, its answer, and a footnote's quoted words."""

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

QUESTION = "How many days of annual leave does a part-time officer get?"
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""No sandbox, since in a container Chromium cannot make one: only our own pages are opened."""
ANSWER_MS = 120_000


def find_chromium() -> str | None:
    """Return where Chromium is: FOOTNOTE_CHROMIUM, or the first found on the path."""
    found = (shutil.which(name) for name in NAMES)
    return os.environ.get("FOOTNOTE_CHROMIUM") or next(filter(None, found), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium that speaks to nobody but the pages it opens."""
    path = find_chromium()
    if path is None:
        raise SystemExit("There is no Chromium. Install it, or name it in FOOTNOTE_CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


def take(browser: Browser, url: str, out: Path) -> None:
    """Ask the question, wait for the answer, show the first footnote's card, save a picture."""
    page = browser.new_page(viewport={"width": 1200, "height": 800}, device_scale_factor=2)
    page.goto(url)
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator(".turn footer").wait_for(timeout=ANSWER_MS)
    page.locator(".note").first.hover()
    page.locator("#card").wait_for()
    out.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=out)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshot.png"))
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    chosen = parser.parse_args()
    with chromium() as browser:
        take(browser, chosen.url, chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
