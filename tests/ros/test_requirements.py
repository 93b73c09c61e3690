"""What the scripts do where the machine lacks something: Node.js, Debian packages, a browser."""

import os
import shutil
import subprocess

import pytest

from conftest import ROOT

BASH = shutil.which("bash")


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(command, environment):
    command = [str(word) for word in command]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("18.20.8", False),
        ("20.18.3", False),
        ("20.19.0", True),
        ("20.20.1", True),
        ("21.7.3", False),
        ("22.11.0", False),
        ("22.12.0", True),
        ("24.1.0", True),
        ("100.0.0", True),
    ],
)
def test_the_page_is_built_with_the_versions_of_node_that_its_packages_take_and_left_out_with_others(
    tmp_path, version, fits
):
    shutil.copytree(ROOT / "viewer", tmp_path / "viewer", ignore=shutil.ignore_patterns("node_modules", "dist"))
    (tmp_path / "viewer/dist").mkdir()
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/page", tmp_path / "scripts")
    write_program(tmp_path / "bin/node", f"echo v{version}")
    write_program(tmp_path / "bin/npm", f'echo "$*" >>{tmp_path}/log')
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    done = run([tmp_path / "scripts/page"], {**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").exists() == fits
    said = f"Node.js ^20.19.0 || >=22.12.0 is needed; this is {version}"
    assert (said in done.stdout) != fits, done.stdout


def test_debian_packages_are_installed_unless_somebody_forbids_it(tmp_path):
    script = """
        root=$1 log=/dev/null
        for part in console tools; do source "$root/scripts/lib/$part.sh"; done
        install_packages "a compiler" g++ make
    """
    write_program(tmp_path / "bin/apt-get", f'echo "$*" >>{tmp_path}/log')
    # sudo -n COMMAND...
    write_program(tmp_path / "bin/sudo", 'shift; exec "$@"')
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}

    done = run([BASH, "-euc", script, "setup", ROOT], {**environment, "HEBB_NO_APT": "1"})
    assert done.returncode == 1 and "a compiler is missing" in done.stderr, done.stderr
    assert "apt-get install -y --no-install-recommends g++ make" in done.stderr, done.stderr
    assert not (tmp_path / "log").exists()

    environment.pop("HEBB_NO_APT", None)
    done = run([BASH, "-euc", script, "setup", ROOT], environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text() == "install -y --no-install-recommends g++ make\n"


class Machine:
    """One that has no programs but those in `bin`, and where a script asks for the browser as scripts/test does."""

    def __init__(self, folder):
        self.bin = folder / "bin"
        self.bin.mkdir()

    def run(self, *options, **environment):
        script = 'set -eu; source "$1/scripts/lib/test_tools.sh"; shift; install_browser "$@"; echo went on'
        return run([BASH, "-c", script, "test", ROOT, *options], {"PATH": str(self.bin), **environment})


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_without_a_browser_the_other_tests_run_and_the_last_line_says_what_was_left_out(machine):
    done = machine.run()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "went on"), done.stderr
    assert "were SKIPPED" in done.stderr.splitlines()[-1], done.stderr


def test_without_a_browser_a_ci_and_who_needs_one_fail(machine):
    for done in [machine.run(CI="true"), machine.run("--required"), machine.run(CHROMIUM="/nowhere/chromium")]:
        assert done.returncode == 1 and "went on" not in done.stdout, done.stderr
        assert "CHROMIUM" in done.stderr and "SKIPPED" not in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"])
def test_a_browser_is_found_by_any_of_its_names_and_none_is_installed(machine, name):
    write_program(machine.bin / name, "")
    write_program(machine.bin / "apt-get", "exit 1")
    done = machine.run(CI="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_the_browser_in_the_variable_is_enough(machine):
    done = machine.run(CI="true", CHROMIUM="/bin/sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_a_browser_is_installed_unless_somebody_forbids_it(machine):
    write_program(machine.bin / "apt-get", '/bin/ln -s /bin/sh "${0%/*}/chromium"')
    write_program(machine.bin / "sudo", 'shift; exec "$@"')
    done = machine.run(HEBB_NO_APT="1", CI="true")
    assert done.returncode == 1 and not (machine.bin / "chromium").exists(), done.stdout
    done = machine.run(CI="true")
    assert done.returncode == 0 and (machine.bin / "chromium").exists(), done.stderr
    assert "SKIPPED" not in done.stderr
