"""The demo as a user runs it, with its JSON and its recording."""

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from std_msgs.msg import String

from conftest import POLICY, PROGRAMS, ROBOT, ROOT, Process, analyze, hebb
from policy_files import policy_at

KEYS = [
    "distance_m",
    "mean_speed_mps",
    "lateral_drift_m",
    "fell",
    "control_steps",
    "control_rate_hz",
    "missed_control_steps",
    "gate",
    "weights_max_abs",
    "weight_change_mean",
    "physics_steps",
    "seed",
    "policy",
]


DEMO = [sys.executable, ROOT / "scripts/lib/demo.py", "--headless"]


def run(world, *arguments):
    command = [str(word) for word in [*DEMO, *arguments]]
    environment = world.environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def is_running(process):
    return Path(f"/proc/{process}").exists()


def descendants(process):
    """What a process started, and what those started."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        # Some have ended by now.
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything; after it come the state and the parent.
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    found, new = [], [process]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def test_the_demo_walks_records_and_writes_its_figures(world):
    figures, bag = world.folder / "out.json", world.folder / "bag"
    done = run(world, "--duration", 4, "--seed", 11, "--json", figures, "--record", bag)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(figures.read_text())
    assert not [key for key in KEYS if key not in figures], figures
    assert figures["distance_m"] > 0.2 and not figures["fell"], figures
    assert figures["seed"] == 11 and figures["gate"] == 1.0 and figures["weights_max_abs"] <= 1.0
    # On a busy machine steps may be missed, but then they are counted.
    steps = figures["control_steps"] + figures["missed_control_steps"]
    assert 198 <= steps <= 204 + figures["missed_control_steps"], figures
    assert 0 < figures["control_rate_hz"] < 53, figures

    types = get_typestore(Stores.ROS2_JAZZY)
    for path in (ROOT / "msg").glob("*.msg"):
        types.register(get_types_from_msg(path.read_text(), f"hebbian_locomotion/msg/{path.stem}"))
    counts = {}
    with AnyReader([bag], default_typestore=types) as reader:
        for connection, _, data in reader.messages():
            reader.deserialize(data, connection.msgtype)
            counts[connection.topic] = counts.get(connection.topic, 0) + 1
    assert counts["/policy/plasticity"] >= figures["control_steps"] - 3, counts
    assert counts["/policy/weights"] >= 35 and counts["/robot_description"] == 1, counts


def test_the_demo_shows_a_policy_without_plastic_weights(world):
    figures, policy = world.folder / "out.json", ROOT / "config/policies/study/beetle_feed_forward_11.safetensors"
    done = run(world, "--duration", 2, "--policy", policy, "--json", figures)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(figures.read_text())
    assert (figures["weights_max_abs"], figures["weight_change_mean"]) == (0.0, 0.0), figures
    assert figures["control_steps"] + figures["missed_control_steps"] >= 98, figures


# For the second one the usual 100 physics steps per second are no whole multiple.
@pytest.mark.parametrize("rate", [25.0, 40.0])
def test_a_policy_of_another_rate_walks_in_lockstep_at_its_own(world, rate):
    """A simulator that is faster would wait for ever for the answer to a set that comes too early for the policy."""
    figures, policy = world.folder / "out.json", policy_at(world.folder, rate)
    done = run(world, "--duration", 4, "--mode", "lockstep", "--policy", policy, "--json", figures)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(figures.read_text())
    assert figures["control_steps"] == pytest.approx(rate * figures["simulated_time_s"], abs=2), figures
    assert (figures["missed_control_steps"], figures["rejected_messages"]) == (0, 0), figures


class InTerminal(Process):
    """A program in a terminal of its own, which closes before the program hears of it."""

    def __init__(self, command, environment, log):
        self.log, self.printed = log, ""
        self.terminal, inner = os.openpty()
        os.set_blocking(self.terminal, False)
        command = [str(word) for word in command]
        self.popen = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
        )
        os.close(inner)

    def output(self):
        # Nothing new, or nobody left who writes.
        with contextlib.suppress(OSError):
            while self.terminal is not None and (part := os.read(self.terminal, 4096)):
                self.printed += part.decode(errors="replace")
        return self.printed

    def stop(self, with_signal=signal.SIGHUP):
        terminal, self.terminal = self.terminal, None
        os.close(terminal)
        return super().stop(with_signal)


@contextlib.contextmanager
def hangups():
    """What is started meanwhile hears SIGHUP as in a terminal, even where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("number", "place"), [(signal.SIGHUP, InTerminal), (signal.SIGTERM, Process)], ids=["SIGHUP", "SIGTERM"]
)
def test_a_terminal_that_closes_or_a_kill_ends_the_nodes_with_the_figures(world, number, place):
    figures = world.folder / "out.json"
    with hangups():
        demo = place([*DEMO, "--duration", 600, "--json", figures], world.environment(), world.folder / "demo.log")
    world.processes.append(demo)
    nodes = []
    try:
        world.spin_until(lambda: " Hz" in demo.output(), "line of figures", demo.output)
        nodes = descendants(demo.popen.pid)
        assert len(nodes) >= 2, demo.output()
        code = demo.stop(number)
        assert [node for node in nodes if is_running(node)] == []
        assert json.loads(figures.read_text())["control_steps"] > 0
        if place is Process:
            assert code == 0 and "control steps" in demo.output(), demo.output()
    finally:
        for node in filter(is_running, {*nodes, *descendants(demo.popen.pid)}):
            os.kill(node, signal.SIGKILL)


def test_a_recorder_whose_terminal_closes_ends_well(world):
    """It says at its end what it lacks, where nobody reads any more."""
    notes = world.client.create_publisher(String, "/lab/notes", 10)
    given = [f"output:={world.folder / 'bag'}", "topics:=[/lab/notes,/lab/typo]"]
    command = [PROGRAMS / "recorder", "--ros-args", *(word for each in given for word in ("-p", each))]
    with hangups():
        recorder = InTerminal(command, world.environment(), world.folder / "recorder.log")
    world.processes.append(recorder)
    world.spin_until(lambda: notes.get_subscription_count() == 1, "subscription", recorder.output)
    assert recorder.stop() == 0
    assert (world.folder / "bag/metadata.yaml").is_file()


def record_in_lockstep(world, seed):
    """A recording of the demo in which no weights are missing, and its steps.

    As fast as it can, on few cores, the policy may be ahead of the recorder by more than its history; nobody waits.
    """
    for attempt in range(4):
        bag = world.folder / f"bag{attempt}"
        done = run(world, "--duration", 6, "--seed", seed, "--mode", "lockstep", "--record", bag)
        assert done.returncode == 0, done.stdout + done.stderr
        with AnyReader([bag]) as reader:
            connections = [one for one in reader.connections if one.topic == "/policy/weights"]
            messages = reader.messages(connections)
            steps = [reader.deserialize(data, one.msgtype).step for one, _, data in messages]
        if steps and steps == list(range(len(steps))):
            return bag, len(steps)
    raise AssertionError("weights are missing in each of four recordings")


def test_a_recording_of_the_demo_has_the_components_of_the_same_episode_in_process(world):
    bag, steps = record_in_lockstep(world, seed=21)
    assert steps >= 300
    trace = world.folder / "trace.safetensors"
    done = hebb("trace", POLICY, trace, "--robot", ROBOT, "--seed", 21, "--duration", steps * 0.02, "--weights")
    assert done.returncode == 0, done.stderr
    of_bag, of_trace = analyze(bag), analyze(trace)
    assert of_bag["explained"] == of_trace["explained"] and of_bag["fitted"] == of_trace["fitted"]
    assert of_bag["recordings"][0]["components"] == of_trace["recordings"][0]["components"]


@pytest.fixture
def script():
    """The demo's script as a module."""
    spec = importlib.util.spec_from_file_location("demo_script", ROOT / "scripts/lib/demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_where_there_is_ros2_launch_it_starts_the_nodes_unless_they_are_recorded(script, tmp_path, monkeypatch):
    ros2 = tmp_path / "ros2"
    ros2.write_text("#!/bin/sh\n")
    ros2.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    given = {"seed": 1, "robot": ROBOT, "policy": POLICY, "mode": "real_time", "suspended": False, "gate": 1.0}
    arguments = argparse.Namespace(**given, port=0, headless=False, record=None)
    _, _, launches = script.commands(arguments)
    assert len(launches) == 2
    # In a terminal it would take a SIGINT for one that the nodes have had as well, and wait until they are killed.
    for launch in launches:
        assert launch[:4] == ["ros2", "launch", "--noninteractive", "hebbian_locomotion"]
    # The recorder must come first, and every step is worth keeping.
    arguments.record = tmp_path / "bag"
    [[recorder], [policy], _] = script.commands(arguments)
    assert recorder[0].name == "recorder" and policy[0].name == "policy" and "weights_every:=1" in policy


def test_the_demo_gives_the_simulator_the_control_rate_of_the_policy(script, tmp_path, monkeypatch):
    given = {"seed": 1, "robot": ROBOT, "mode": "lockstep", "suspended": False, "gate": 1.0, "port": 0}

    def rates(policy, **more):
        commands = script.commands(argparse.Namespace(**given, policy=policy, headless=True, **more))
        words = [str(word) for command in itertools.chain(*commands) for word in command]
        return [word for word in words if "_rate:=" in word]

    monkeypatch.setattr(script.shutil, "which", lambda _: None)
    for record in [None, tmp_path / "bag"]:
        # As a ROS parameter a whole number would be of another type.
        for rate, given_rate in [(25.0, "25.0"), (33.333332, "33.333332"), (100, "100.0"), (40, "40.0")]:
            assert rates(policy_at(tmp_path, rate), record=record) == [f"control_rate:={given_rate}"]
        # What is wrong with a policy its node says.
        broken = tmp_path / "broken.safetensors"
        broken.write_bytes(POLICY.read_bytes()[:100])
        assert [rates(policy, record=record) for policy in [broken, tmp_path, tmp_path / "none"]] == [[], [], []]
    # The launch file takes it from the policy by itself.
    monkeypatch.setattr(script.shutil, "which", lambda _: "ros2")
    assert rates(policy_at(tmp_path, 40.0), record=None) == []


@pytest.fixture
def scripts(tmp_path):
    """Runs scripts/demo and scripts/test beside idle stand-ins for set-up, with_ros and cargo; tells which ran."""
    root, programs, log = tmp_path / "repository", tmp_path / "bin", tmp_path / "log"
    (root / "scripts/lib").mkdir(parents=True)
    programs.mkdir()
    for name in ["demo", "test", "lib/demo.py"]:
        shutil.copy(ROOT / "scripts" / name, root / "scripts" / name)
    for program in [root / "scripts/setup", root / "scripts/with_ros", programs / "cargo"]:
        program.write_text(f'#!/bin/sh\necho "${{0##*/}}" "$@" >>"{log}"\n')
        program.chmod(0o755)

    def run(name, *arguments):
        log.unlink(missing_ok=True)
        command, path = [root / "scripts" / name, *arguments], f"{programs}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return done, log.read_text().splitlines() if log.exists() else []

    return run


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--gate", "2"], "from 0 to 1"),
        (["--seeed", "1"], "--seeed"),
        (["--port", "70000"], "from 0 to 65535"),
        (["--record", "/"], "/ exists already"),
        (["--json", "/no/such/out.json"], "--json"),
        (["headless"], "headless"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_options_of_the_demo_are_named_before_anything_is_set_up_or_built(scripts, arguments, expected):
    done, ran = scripts("demo", *arguments)
    assert (done.returncode, ran) == (2, []), done.stdout + done.stderr
    assert expected in done.stderr and "usage: scripts/demo" in done.stderr, done.stderr


def test_the_demo_sets_up_builds_and_begins_with_its_options(scripts):
    done, ran = scripts("demo", "--headless", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in ran] == [["setup"], ["with_ros", "cargo"], ["with_ros", "python3"]]
    assert ran[-1].endswith("/scripts/lib/demo.py --headless --seed 3")
    for argument in ["--help", "-h", "--hel"]:
        done, ran = scripts("demo", argument)
        assert (done.returncode, ran) == (0, []) and "--suspended" in done.stdout, done.stdout + done.stderr


def test_the_tests_begin_with_options_that_they_know_alone(scripts):
    for arguments in [["quick"], ["--quik"], ["--quick", "tests/ros"]]:
        done, ran = scripts("test", *arguments)
        assert (done.returncode, ran) == (2, []) and f"no option {arguments[-1]}." in done.stderr, done.stderr
    for argument in ["--help", "-h"]:
        done, ran = scripts("test", argument)
        assert (done.returncode, ran) == (0, []) and "Usage: scripts/test [--quick]" in done.stdout, done.stderr
    done, ran = scripts("test", "--quick")
    assert done.returncode == 0 and ran[0] == "cargo fmt --check", done.stderr
    assert {line.split()[0] for line in ran} == {"cargo"}, "it sets nothing up"


@pytest.mark.parametrize(
    ("publishers", "message"),
    [
        ({"simulator/status": 1}, "no policy"),
        ({"policy/plasticity": 1}, "no simulator"),
        ({}, "no policy and no simulator"),
    ],
)
def test_the_demo_ends_when_a_node_is_gone_whose_process_is_not_its_own(script, monkeypatch, publishers, message):
    monkeypatch.setattr(script, "spin", lambda *_: None)
    node = SimpleNamespace(count_publishers=lambda topic: publishers.get(topic, 0))
    with pytest.raises(RuntimeError, match=f"and {message} any more"):
        script.watch(node, silent_monitor(), [], shown(), 10.0)


def test_the_demo_waits_for_nodes_that_stand_still(script, monkeypatch):
    """A simulator that was paused in the viewer, or a policy that was deactivated, still offers its topics."""
    monitor, spins = silent_monitor(), []

    def spin(*_):
        spins.append(None)
        if len(spins) == 5:
            monitor.simulated_time = lambda: 10.0

    monkeypatch.setattr(script, "spin", spin)
    script.watch(SimpleNamespace(count_publishers=lambda _: 1), monitor, [], shown(), 10.0)
    assert len(spins) == 5


def test_a_short_demo_waits_until_it_has_heard_all_that_it_sums_up(script, monkeypatch):
    monitor, complete = silent_monitor(), iter([False, False, True])
    monitor.is_complete = lambda: next(complete)
    monitor.last_step_at = time.monotonic()
    monkeypatch.setattr(script, "spin", lambda *_: None)
    script.watch(SimpleNamespace(count_publishers=lambda _: 1), monitor, [], shown(), 1.0)
    assert next(complete, None) is None, "it ended before"


def silent_monitor():
    """What the demo has heard of a walk whose last step is a minute old."""
    silent_since = time.monotonic() - 60.0
    said = {"is_complete": lambda: True, "simulated_time": lambda: 2.0, "line": lambda: "line"}
    return SimpleNamespace(steps=100, last_step_at=silent_since, **said)


def shown():
    return SimpleNamespace(show=lambda *_, **__: None)


def test_wrong_options_are_refused_before_anything_starts(world):
    for arguments, expected in [
        (["--gate", 2], "from 0 to 1"),
        (["--duration", 0], "more than 0"),
        (["--seeed", 1], "--seeed"),
    ]:
        done = run(world, *arguments)
        assert done.returncode == 2 and expected in done.stderr, done.stderr


def test_a_node_that_cannot_start_ends_the_demo_with_its_message(world):
    done = run(world, "--policy", "/no/such.safetensors")
    # What a node prints, `ros2 launch` prints among its own lines.
    printed = done.stdout + done.stderr
    assert done.returncode == 1 and "cannot read the policy /no/such.safetensors" in printed, printed
