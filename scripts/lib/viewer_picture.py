"""Runs the beetle with the viewer and takes pictures of the page in Chromium.

One picture for the documentation, or with --all one for each width and theme that the page is designed for.
"""

import argparse
import os
import sys
import tempfile
from contextlib import closing
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(TESTS / "ros"), str(TESTS / "reference")]

from browser import chromium  # noqa: E402
from conftest import POLICY, ROBOT, World  # noqa: E402

SIZES = {"wide": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
THEMES = ("light", "dark")
PAGE_TIMEOUT = 60_000


def take(browser, url, file, size, theme, seconds):
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
    page = context.new_page()
    page.set_default_timeout(PAGE_TIMEOUT)
    # With all that a graphics card would draw, also where there is none.
    page.goto(f"{url}?quality=full")
    page.locator("#waiting").wait_for(state="hidden")
    page.wait_for_timeout(1000 * seconds)
    page.screenshot(path=file, full_page=size[0] < 1000, timeout=PAGE_TIMEOUT)
    context.close()
    print(f"{file}: {file.stat().st_size // 1000} kB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="PNG to write; with --all a folder")
    parser.add_argument("--all", action="store_true", help="every width in both themes")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the robot walks before (default: 20)")
    arguments = parser.parse_args()
    domain = int(os.environ.get("ROS_DOMAIN_ID", "88"))
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(World(Path(folder), domain)) as world,
        chromium() as browser,
    ):
        world.start_simulator()
        world.start_policy()
        _, url = world.start_viewer(policy=POLICY, robot=ROBOT)
        if not arguments.all:
            take(browser, url, arguments.file, SIZES["wide"], "light", arguments.seconds)
            return
        arguments.file.mkdir(parents=True, exist_ok=True)
        for name, size in SIZES.items():
            for theme in THEMES:
                take(browser, url, arguments.file / f"{name}-{theme}.png", size, theme, arguments.seconds)


if __name__ == "__main__":
    main()
