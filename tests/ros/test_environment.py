"""The environment that scripts/setup made, as scripts/with_ros finds it."""

import os
import subprocess
import sys
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
    yield folders[0]
    # It links the programs of this run again, whichever folder a test named.
    with_ros()


def programs_of(file, **environment):
    """Where a script looks for the programs in that environment."""
    script = "import runpy, sys; sys.path += sys.argv[2:]; print(runpy.run_path(sys.argv[1])['PROGRAMS'])"
    modules = [ROOT / "tests/reference", ROOT / "tests/chaos"]
    others = {name: value for name, value in os.environ.items() if name not in ("HEBB_PROGRAMS", "CARGO_TARGET_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", script, ROOT / file, *modules],
        env={**others, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.mark.parametrize(
    "file", ["scripts/lib/demo.py", "tests/ros/conftest.py", "tests/chaos/chaos.py", "benches/latency.py"]
)
def test_programs_are_looked_for_where_cargo_puts_them_unless_somebody_says_where(file, tmp_path):
    assert programs_of(file) == ROOT / "target/release"
    assert programs_of(file, CARGO_TARGET_DIR="elsewhere") == ROOT / "elsewhere/release"
    assert programs_of(file, CARGO_TARGET_DIR=str(tmp_path)) == tmp_path / "release"
    assert programs_of(file, CARGO_TARGET_DIR=str(tmp_path), HEBB_PROGRAMS="/opt/mine") == Path("/opt/mine")


def test_ros2_launch_starts_what_cargo_builds_now_whatever_was_built_elsewhere_before(staged, tmp_path, monkeypatch):
    monkeypatch.delenv("HEBB_PROGRAMS", raising=False)
    link = staged / "lib/hebbian_locomotion/policy"
    before = link.readlink()
    done = with_ros("printenv", "HEBB_PROGRAMS", CARGO_TARGET_DIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert link.readlink() == tmp_path / "release/policy"
    assert with_ros().returncode == 0
    assert link.readlink() == before


def test_ros2_run_finds_the_programs_where_cargo_puts_them_now(tmp_path):
    script = 'root=$1; for part in ros interfaces; do source "$root/scripts/lib/$part.sh"; done; link_programs "$2"'
    for target in ["first", "second"]:
        command = ["bash", "-euc", script, "bash", str(ROOT), str(tmp_path / "prefix")]
        subprocess.run(command, env={**os.environ, "CARGO_TARGET_DIR": str(tmp_path / target)}, timeout=60, check=True)
        links = sorted((tmp_path / "prefix/lib/hebbian_locomotion").iterdir())
        assert {"hebb", "policy", "simulator"} <= {link.name for link in links}
        assert [link.readlink() for link in links] == [tmp_path / target / "release" / link.name for link in links]


LAUNCH_FILES = {file.name for file in (ROOT / "launch").glob("*.launch.py")}


def files_below(share):
    """The files that `ros2 launch` finds: it does not look into linked folders."""
    return {name for _, _, names in os.walk(share) for name in names}


def test_ros2_launch_finds_every_launch_file(staged):
    assert with_ros().returncode == 0
    assert files_below(staged / "share/hebbian_locomotion") >= LAUNCH_FILES


def test_launch_files_are_linked_one_by_one_also_where_the_folder_was_linked_or_some_have_gone(tmp_path):
    share = tmp_path / "prefix/share/hebbian_locomotion"
    script = 'root=$1; for part in ros interfaces; do source "$root/scripts/lib/$part.sh"; done; link_working_copy "$2"'

    def link():
        command = ["bash", "-euc", script, "bash", str(ROOT), str(tmp_path / "prefix")]
        own = {"CARGO_TARGET_DIR": str(tmp_path / "target")}
        subprocess.run(command, env={**os.environ, **own}, timeout=60, check=True)
        links = {link.name: link for link in (share / "launch").iterdir()}
        assert {name: link.resolve() for name, link in links.items()} == {
            name: ROOT / "launch" / name for name in LAUNCH_FILES
        }
        assert files_below(share) >= LAUNCH_FILES and (share / "config").resolve() == ROOT / "config"

    share.mkdir(parents=True)
    (share / "launch").symlink_to(ROOT / "launch")
    link()
    (share / "launch/of_before.launch.py").symlink_to(tmp_path / "of_before.launch.py")
    link()
    link()
    # Nothing of that was done to the folder that the link led to.
    assert {file.name for file in (ROOT / "launch").glob("*.launch.py")} == LAUNCH_FILES


def test_setup_forgets_the_rust_code_of_old_messages_in_each_folder_that_cargo_builds_into(tmp_path):
    script = """
        root=$1 folder=$2 record=$2/environment/made.sh log=/dev/null
        for part in console ros interfaces; do source "$root/scripts/lib/$part.sh"; done
        messages_fingerprint() { cat "$folder/messages"; }
        forget_rust_messages
    """
    log, cargo, messages = tmp_path / "log", tmp_path / "bin/cargo", tmp_path / "messages"
    cargo.parent.mkdir()
    cargo.write_text(f'#!/bin/sh\necho "$*" >>{log}\n')
    cargo.chmod(0o755)

    def cleanings(target):
        log.unlink(missing_ok=True)
        own = {"PATH": f"{cargo.parent}:{os.environ['PATH']}", "CARGO_TARGET_DIR": str(tmp_path / target)}
        command = ["bash", "-euc", script, "bash", ROOT, tmp_path]
        subprocess.run(command, env={**os.environ, **own}, capture_output=True, timeout=60, check=True)
        return len(log.read_text().splitlines()) if log.exists() else 0

    def build(target, profile):
        (tmp_path / target / profile / "build/r2r_msg_gen-0123").mkdir(parents=True)

    messages.write_text("first")
    assert [cleanings("one"), cleanings("two")] == [0, 0]
    build("one", "release")
    build("two", "debug")
    assert [cleanings("one"), cleanings("two")] == [0, 0]
    messages.write_text("second")
    assert [cleanings("one"), cleanings("one")] == [1, 0]
    assert [cleanings("two"), cleanings("two")] == [1, 0]
    # Of which messages such a folder is, nobody knows.
    build("without_note", "release")
    assert [cleanings("without_note"), cleanings("without_note")] == [1, 0]


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
