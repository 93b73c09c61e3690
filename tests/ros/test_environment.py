"""The environment that scripts/setup made, as scripts/with_ros finds it."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT


def with_ros(*command, **environment):
    return subprocess.run(
        [ROOT / "scripts/with_ros", *(command or ["true"])],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def staged():
    """Where scripts/setup put the messages in use."""
    prefixes = [Path(prefix) for prefix in os.environ["AMENT_PREFIX_PATH"].split(":")]
    folders = [prefix for prefix in prefixes if prefix.is_relative_to(ROOT / ".ros/interfaces")]
    if not folders:
        pytest.skip("the messages come from a workspace, not from scripts/setup")
    return folders[0]


@pytest.mark.usefixtures("staged")
def test_programs_are_looked_for_where_cargo_puts_them(tmp_path, monkeypatch):
    monkeypatch.delenv("HEBB_PROGRAMS", raising=False)
    for given in [str(tmp_path), "elsewhere"]:
        found = with_ros("printenv", "HEBB_PROGRAMS", CARGO_TARGET_DIR=given)
        assert found.stdout.strip() == f"{ROOT / given}/release", found.stderr
    chosen = with_ros("printenv", "HEBB_PROGRAMS", CARGO_TARGET_DIR=str(tmp_path), HEBB_PROGRAMS="/opt/mine")
    assert chosen.stdout.strip() == "/opt/mine", chosen.stderr


def test_ros2_run_finds_the_programs_where_cargo_puts_them_now(tmp_path):
    script = 'root=$1; for part in ros interfaces; do source "$root/scripts/lib/$part.sh"; done; link_programs "$2"'
    for target in ["first", "second"]:
        command = ["bash", "-euc", script, "bash", str(ROOT), str(tmp_path / "prefix")]
        subprocess.run(command, env={**os.environ, "CARGO_TARGET_DIR": str(tmp_path / target)}, timeout=60, check=True)
        links = sorted((tmp_path / "prefix/lib/hebbian_locomotion").iterdir())
        assert {"hebb", "policy", "simulator"} <= {link.name for link in links}
        assert [link.readlink() for link in links] == [tmp_path / target / "release" / link.name for link in links]


@pytest.mark.usefixtures("staged")
def test_r2r_makes_its_code_anew_for_folders_that_it_was_built_for_before(tmp_path):
    mark = tmp_path / "debug/build/r2r-0123/out/4567/done"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert with_ros(CARGO_TARGET_DIR=str(tmp_path)).returncode == 0
    assert not mark.exists()


def test_messages_that_are_gone_are_noticed_and_setup_is_named(staged):
    assert with_ros().returncode == 0
    away = staged.with_name(staged.name + ".away")
    staged.rename(away)
    try:
        done = with_ros()
    finally:
        away.rename(staged)
    assert done.returncode == 1, done.stderr
    assert "run scripts/setup" in done.stderr
    assert with_ros().returncode == 0
