"""Building in a colcon workspace once more: what cargo is told to forget before it builds, and which ROS it is shown.

CMake is real; the generators of messages, which take minutes, and cargo are not.
"""

import itertools
import os
import shutil
import subprocess

import pytest

from conftest import ROOT

# What CMakeLists.txt needs of ROS.
PACKAGES = {
    "ament_cmake": "macro(ament_package)\nendmacro()\nmacro(ament_export_dependencies)\nendmacro()\n",
    "rosidl_default_generators": "macro(rosidl_generate_interfaces name)\nadd_custom_target(${name})\nendmacro()\n",
    "std_msgs": "",
}
# Writes down what it was asked for, and which ROS it saw.
CARGO = """#!/bin/sh
[ "$1" != --version ] || { echo "cargo 99.0.0"; exit; }
echo "$*|$AMENT_PREFIX_PATH|$CMAKE_PREFIX_PATH" >>"${0%/*}/log"
"""


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Workspace:
    """A copy of what CMake reads of this package, and where it is built and installed."""

    def __init__(self, folder):
        self.source, self.build, self.installed = folder / "source", folder / "build", folder / "install"
        self.log = folder / "log"
        for part in ["msg", "srv", "scripts/ros"]:
            shutil.copytree(ROOT / part, self.source / part)
        for part in ["CMakeLists.txt", "Cargo.toml", "package.xml"]:
            shutil.copy(ROOT / part, self.source)
        write_program(self.source / "scripts/page", "#!/bin/sh\n")
        write_program(folder / "cargo", CARGO)
        for name, text in PACKAGES.items():
            config = folder / "ros/share" / name / "cmake" / f"{name}Config.cmake"
            config.parent.mkdir(parents=True)
            config.write_text(text)
        index = self.installed / "share/ament_index/resource_index/packages"
        index.mkdir(parents=True)
        (index / "hebbian_locomotion").touch()
        given = {"CMAKE_PREFIX_PATH": folder / "ros", "CMAKE_INSTALL_PREFIX": self.installed, "CARGO": folder / "cargo"}
        definitions = [f"-D{name}={value}" for name, value in given.items()]
        self.run("cmake", "-S", self.source, "-B", self.build, *definitions)

    def run(self, *command, **environment):
        done = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def make(self, *overlays):
        """Builds where `overlays` are sourced before ROS; returns cargo's arguments, and the path lists it saw."""
        self.log.unlink(missing_ok=True)
        prefixes = [str(prefix) for prefix in overlays]
        lists = {"AMENT_PREFIX_PATH": ":".join([*prefixes, "/ros"]), "CMAKE_PREFIX_PATH": ":".join(prefixes)}
        self.run("cmake", "--build", self.build, **lists)
        lines = [line.split("|") for line in self.log.read_text().splitlines()]
        return [line[0].split() for line in lines], {tuple(line[1:]) for line in lines}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def test_what_r2r_made_of_messages_is_forgotten_when_one_has_changed(workspace):
    [clean, build], _ = workspace.make()
    assert clean[0] == "clean" and build[0] == "build"
    packages = [name for option, name in itertools.pairwise(clean) if option == "--package"]
    assert sorted(packages) == ["r2r", "r2r_msg_gen"]
    target = clean[clean.index("--target-dir") + 1]
    assert target == build[build.index("--target-dir") + 1]
    assert [arguments[0] for arguments in workspace.make()[0]] == ["build"]
    message = workspace.source / "msg/PlasticityState.msg"
    message.write_text(message.read_text() + "float32 more\n")
    assert [arguments[0] for arguments in workspace.make()[0]] == ["clean", "build"]


def test_r2r_makes_its_code_anew_for_folders_that_it_was_built_for_before(workspace):
    marks = [
        workspace.build / "cargo/release/build/r2r-0123/out/4567/done",
        workspace.build / "cargo/release/build/r2r_msg_gen-0123/out/4567/done",
        workspace.build / "cargo/x86_64-unknown-linux-gnu/release/build/r2r-0123/out/4567/done",
        workspace.build / "cargo/release/build/r2r/0123/out/4567/done",
    ]
    others = [marks[0].with_name("files.txt"), workspace.build / "cargo/release/build/other-0123/out/4567/done"]
    for file in [*marks, *others]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    workspace.make()
    assert [file for file in marks if file.exists()] == []
    assert [file for file in others if not file.exists()] == []


def test_it_is_the_same_ros_whether_or_not_the_last_build_of_this_package_was_sourced(workspace):
    _, clean = workspace.make()
    stage = workspace.build / "stage"
    assert clean == {(f"{stage}:/ros", str(stage))}
    assert workspace.make(workspace.installed)[1] == clean
    assert workspace.make("/overlay", workspace.installed)[1] == {(f"{stage}:/overlay:/ros", f"{stage}:/overlay")}
    # Where all packages of a workspace are installed into one folder, the others are needed.
    (workspace.installed / "share/ament_index/resource_index/packages/other").touch()
    shared = workspace.installed
    assert workspace.make(shared)[1] == {(f"{stage}:{shared}:/ros", f"{stage}:{shared}")}
