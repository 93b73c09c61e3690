"""The environment that scripts/setup made, as scripts/with_ros finds it."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT


def with_ros():
    return subprocess.run([ROOT / "scripts/with_ros", "true"], capture_output=True, text=True, timeout=60, check=False)


def test_messages_that_are_gone_are_noticed_and_setup_is_named():
    prefixes = [Path(prefix) for prefix in os.environ["AMENT_PREFIX_PATH"].split(":")]
    staged = [prefix for prefix in prefixes if prefix.is_relative_to(ROOT / ".ros/interfaces")]
    if not staged:
        pytest.skip("the messages come from a workspace, not from scripts/setup")
    assert with_ros().returncode == 0
    away = staged[0].with_name(staged[0].name + ".away")
    staged[0].rename(away)
    try:
        done = with_ros()
    finally:
        away.rename(staged[0])
    assert done.returncode == 1, done.stderr
    assert "run scripts/setup" in done.stderr
    assert with_ros().returncode == 0
