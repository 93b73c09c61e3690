"""The system's Chromium, driven by Playwright: what the viewer's tests and its picture use."""

import re
import time
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

from find_browser import find_browser

# No graphics card: three.js draws in software, and flat canvases are faster without it.
ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-accelerated-2d-canvas",
]
# Waits of the page, in ms; generous, as the machine may draw three dimensions in software on one busy core.
PAGE_TIMEOUT = 60_000


def executable():
    if path := find_browser():
        return path
    raise FileNotFoundError("there is no Chromium on PATH or in CHROMIUM; Debian: apt-get install chromium")


@contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


class Page:
    """One open page, and what it should not do."""

    def __init__(self, browser, url):
        self.problems = []
        self.context = browser.new_context(viewport={"width": 760, "height": 560}, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.page.set_default_timeout(PAGE_TIMEOUT)
        own = re.match(r"http://[^/]+/", url).group()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "console", lambda message: message.type == "error" and self.problems.append(f"console: {message.text}")
        )
        foreign = ("data:", "blob:", own, own.replace("http", "ws"))
        self.page.on(
            "request", lambda request: request.url.startswith(foreign) or self.problems.append(f"asks {request.url}")
        )
        self.page.goto(url)

    def wait(self, expression):
        # Playwright's own wait_for_function evaluates text within the page, which the page's content policy forbids.
        deadline = time.monotonic() + PAGE_TIMEOUT / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}; notice: {self.notice()}; {self.problems}"
            self.page.wait_for_timeout(50)

    def notice(self):
        return self.text("#notice")

    def wait_for_node(self, name, presence):
        self.wait(f"document.querySelector('[data-node={name}]')?.dataset.presence === '{presence}'")

    def picture(self):
        # Of the page, not of the element: Playwright would wait until an element no longer moves.
        box = self.page.locator("#stage").bounding_box()
        return self.page.screenshot(clip=box, timeout=PAGE_TIMEOUT)

    def text(self, selector):
        return self.page.locator(selector).text_content()

    def presence(self, name):
        return self.page.evaluate(f"document.querySelector('[data-node={name}]')?.dataset.presence")

    def joint_angle(self):
        return self.page.locator("#part-detail").inner_text()
