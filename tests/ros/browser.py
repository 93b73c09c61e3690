"""The system's Chromium, driven by Playwright: what the viewer's tests and its picture use."""

import shutil
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

# No graphics card: three.js draws in software, and flat canvases are faster without it.
ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-accelerated-2d-canvas",
]


def executable():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise FileNotFoundError("there is no Chromium on PATH; Debian: apt-get install chromium")


@contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()
