"""Where the browser is that tests use, and what becomes of them where there is none."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser():
    """The program that CHROMIUM names, else the first that is on PATH; None where there is none."""
    name = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [name] if name else NAMES)), None)


def browser_or_skip():
    """The browser; without one the test is skipped. On a CI, where nobody would see that, it fails."""
    path = find_browser()
    if path is None and os.environ.get("CI"):
        pytest.fail("there is no Chromium, and CI is set: no test may be left out")
    if path is None:
        pytest.skip("there is no Chromium on PATH or in CHROMIUM; Debian: apt-get install chromium")
    return path
