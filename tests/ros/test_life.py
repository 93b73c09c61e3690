"""How nodes live and end: signals, resets, pauses, modes."""

import signal
import time

import pytest
from hebbian_locomotion.msg import FootContacts, SimulatorStatus
from hebbian_locomotion.srv import Reset
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from conftest import stamp


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_both_nodes_with_exit_code_0_while_they_work_and_while_they_wait(world, with_signal):
    commands = world.collect(JointState, "joint_commands")
    simulator, policy = world.start_simulator(), world.start_policy()
    world.spin_until(lambda: len(commands) > 5, "commands")
    assert simulator.stop(with_signal) == 0, simulator.output()
    # The policy now waits for sensors that never come.
    assert policy.stop(with_signal) == 0, policy.output()
    waiting = world.start_simulator(mode="lockstep")
    joints = world.collect(JointState, "joint_states")
    world.spin_until(lambda: joints, "sensor values")
    assert waiting.stop(with_signal) == 0, waiting.output()


def test_a_reset_puts_the_robot_back_and_time_goes_on(world):
    odometry = world.collect(Odometry, "odom")
    joints = world.collect(JointState, "joint_states")
    world.start_simulator(seed=3)
    world.spin_until(lambda: joints and odometry, "the start pose, which is sent until a command comes")
    world.start_policy(seed=3)
    world.spin_until(lambda: odometry and abs(odometry[-1].pose.pose.position.x) > 0.05, "a robot that moved")
    start, before = list(joints[0].position), stamp(odometry[-1])
    moved, gone = len(joints), len(odometry)
    answer = world.call(Reset, "simulator/reset", Reset.Request(keep_seed=True))
    assert answer.success and answer.seed == 3, answer
    world.spin_until(lambda: any(list(message.position) == start for message in joints[moved:]), "repeated start pose")
    world.spin_until(
        lambda: any(abs(message.pose.pose.position.x) < 0.02 for message in odometry[gone:]), "robot at its start"
    )
    stamps = [stamp(message) for message in odometry]
    assert stamps == sorted(stamps) and stamps[-1] > before, "time went back"
    answer = world.call(Reset, "simulator/reset", Reset.Request(seed=8))
    assert answer.success and answer.seed == 8, answer


def test_a_pause_stops_simulated_time(world):
    status = world.collect(SimulatorStatus, "simulator/status")
    joints = world.collect(JointState, "joint_states")
    world.start_simulator(wait_for_command=False)
    world.spin_until(lambda: len(status) > 10, "steps")
    assert world.call(SetBool, "simulator/pause", SetBool.Request(data=True)).success
    world.spin_for(0.3)
    before = stamp(joints[-1])
    world.spin_for(0.5)
    assert stamp(joints[-1]) == before
    assert world.call(SetBool, "simulator/pause", SetBool.Request(data=False)).success
    world.spin_until(lambda: stamp(joints[-1]) > before, "steps after the pause")


def test_free_running_is_faster_than_real_time_and_a_factor_is_kept(world):
    status = world.collect(SimulatorStatus, "simulator/status")
    simulator = world.start_simulator(mode="free_running", wait_for_command=False)
    world.spin_until(lambda: status and status[-1].real_time_factor > 0, "measured factor")
    assert status[-1].real_time_factor > 2, status[-1]
    simulator.stop()
    world.start_simulator(speed_factor=2.0, wait_for_command=False)
    world.spin_until(
        lambda: status[-1].mode == "real_time" and abs(status[-1].real_time_factor - 2) < 0.2,
        "measured factor of about 2",
        lambda: status[-1],
    )


def test_the_feet_of_a_suspended_robot_touch_nothing(world):
    contacts = world.collect(FootContacts, "foot_contacts")
    world.start_simulator(suspended=True, mode="lockstep")
    world.start_policy()
    world.spin_until(lambda: len(contacts) > 100, "steps")
    assert not any(touches for message in contacts for touches in message.in_contact)


def test_the_world_holds_still_until_the_first_command(world):
    odometry = world.collect(Odometry, "odom")
    world.start_simulator()
    world.spin_until(lambda: len(odometry) > 3, "repeated sensor values")
    assert len({stamp(message) for message in odometry}) == 1
    began = time.monotonic()
    world.start_policy()
    world.spin_until(lambda: stamp(odometry[-1]) > stamp(odometry[0]), "steps after the first command")
    assert time.monotonic() - began < 10
