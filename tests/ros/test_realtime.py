"""What the threads of commands are asked to be, and what becomes of it where the system does not permit that."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hebbian_locomotion.msg import PlasticityState

from conftest import POLICY, PROGRAMS, ROBOT, SIMULATION, Process

PRIORITY = 40


def thread_called(process, name):
    """The id of a policy node's thread of that name."""
    threads = Path(f"/proc/{process.popen.pid}/task").iterdir()
    [found] = [thread for thread in threads if (thread / "comm").read_text().strip() == name]
    return int(found.name)


def test_the_threads_of_commands_alone_get_their_priority_and_their_processor(world):
    permitted = subprocess.run(["chrt", "--fifo", str(PRIORITY), "true"], capture_output=True, text=True, check=False)
    if permitted.returncode != 0:
        pytest.skip(f"SCHED_FIFO is not permitted here: {permitted.stderr.strip()}")
    processor = max(os.sched_getaffinity(0))
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    node = world.start_policy(realtime__priority=PRIORITY, realtime__processors=f"'{processor}'")
    world.spin_until(lambda: len(states) > 20, "control steps")
    assert "no real-time priority" not in node.output()
    chosen = {
        thread_called(node, name): priority for name, priority in [("control", PRIORITY), ("command", PRIORITY + 1)]
    }
    for thread, priority in chosen.items():
        assert os.sched_getscheduler(thread) == os.SCHED_FIFO
        assert os.sched_getparam(thread).sched_priority == priority
        assert os.sched_getaffinity(thread) == {processor}
    others = {int(thread) for thread in os.listdir(f"/proc/{node.popen.pid}/task")} - chosen.keys()
    assert {os.sched_getscheduler(thread) for thread in others} == {os.SCHED_OTHER}


def start_without(world, right, limit, parameters):
    """A policy node without the limit and, for root, without the right to be above it."""
    unprivileged = ["prlimit", limit]
    if os.geteuid() == 0:
        unprivileged += ["setpriv", f"--bounding-set=-{right}"]
    given = {"policy": POLICY, "robot": ROBOT, "autostart": "true", **parameters}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    command = [*unprivileged, PROGRAMS / "policy", "--ros-args", "--params-file", SIMULATION, *words]
    node = Process(command, world.environment(), world.folder / "unprivileged.log")
    world.processes.append(node)
    return node


def locked_kib(process):
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return int(re.search(r"^VmLck:\s+(\d+) kB$", status, re.MULTILINE).group(1))


def test_a_priority_that_is_not_permitted_is_a_warning_with_a_remedy_and_the_robot_walks(world):
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    node = start_without(world, "sys_nice", "--rtprio=0:0", {"realtime.priority": PRIORITY})
    world.spin_until(lambda: len(states) > 20, "control steps")
    assert f"no real-time priority {PRIORITY}" in node.output() and "limits.conf" in node.output(), node.output()
    assert os.sched_getscheduler(thread_called(node, "control")) == os.SCHED_OTHER


def test_memory_is_locked_where_that_is_permitted(world):
    lock = "import ctypes, sys; sys.exit(ctypes.CDLL(None).mlockall(3))"
    limited = ["prlimit", "--memlock=65536:65536"]
    if subprocess.run([*limited, sys.executable, "-c", lock], capture_output=True, check=False).returncode != 0:
        pytest.skip("the capability CAP_IPC_LOCK is not to be had here")
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    node = start_without(world, "sys_nice", limited[1], {"realtime.lock_memory": "true"})
    world.spin_until(lambda: len(states) > 20, "control steps")
    assert "memory is not locked" not in node.output() and locked_kib(node) > 10_000, node.output()


def test_memory_that_may_not_be_locked_is_a_warning_with_a_remedy_and_the_robot_walks(world):
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    node = start_without(world, "ipc_lock", "--memlock=65536:65536", {"realtime.lock_memory": "true"})
    world.spin_until(lambda: len(states) > 20, "control steps")
    assert "memory is not locked" in node.output() and "CAP_IPC_LOCK" in node.output(), node.output()
    assert locked_kib(node) == 0
