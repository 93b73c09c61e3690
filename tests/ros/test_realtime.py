"""What the control thread is asked to be, and what becomes of it where the system does not permit that."""

import os
import subprocess
from pathlib import Path

import pytest
from hebbian_locomotion.msg import PlasticityState

from conftest import POLICY, PROGRAMS, ROBOT, SIMULATION, Process

PRIORITY = 40


def control_thread(process):
    """The thread id of a policy node's control thread."""
    threads = Path(f"/proc/{process.popen.pid}/task").iterdir()
    [control] = [thread for thread in threads if (thread / "comm").read_text().strip() == "control"]
    return int(control.name)


def test_the_control_thread_alone_gets_its_priority_and_its_processor(world):
    permitted = subprocess.run(["chrt", "--fifo", str(PRIORITY), "true"], capture_output=True, text=True, check=False)
    if permitted.returncode != 0:
        pytest.skip(f"SCHED_FIFO is not permitted here: {permitted.stderr.strip()}")
    processor = max(os.sched_getaffinity(0))
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    node = world.start_policy(realtime__priority=PRIORITY, realtime__processors=f"'{processor}'")
    world.spin_until(lambda: len(states) > 20, "control steps")
    assert "no real-time priority" not in node.output()
    control = control_thread(node)
    assert os.sched_getscheduler(control) == os.SCHED_FIFO
    assert os.sched_getparam(control).sched_priority == PRIORITY
    assert os.sched_getaffinity(control) == {processor}
    others = {int(thread) for thread in os.listdir(f"/proc/{node.popen.pid}/task")} - {control}
    assert {os.sched_getscheduler(thread) for thread in others} == {os.SCHED_OTHER}


def test_a_priority_that_is_not_permitted_is_a_warning_with_a_remedy_and_the_robot_walks(world):
    # Without the limit and, for root, without the right to be above it.
    unprivileged = ["prlimit", "--rtprio=0:0"]
    if os.geteuid() == 0:
        unprivileged += ["setpriv", "--bounding-set=-sys_nice"]
    given = {"policy": POLICY, "robot": ROBOT, "autostart": "true", "realtime.priority": PRIORITY}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    command = [*unprivileged, PROGRAMS / "policy", "--ros-args", "--params-file", SIMULATION, *words]
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    node = Process(command, world.environment(), world.folder / "unprivileged.log")
    world.processes.append(node)
    world.spin_until(lambda: len(states) > 20, "control steps")
    assert f"no real-time priority {PRIORITY}" in node.output() and "limits.conf" in node.output(), node.output()
    assert os.sched_getscheduler(control_thread(node)) == os.SCHED_OTHER
