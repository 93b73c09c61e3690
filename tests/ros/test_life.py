"""How nodes live and end: signals, resets, pauses, modes."""

import signal
import time

import pytest
from hebbian_locomotion.msg import FootContacts, SimulatorStatus
from hebbian_locomotion.srv import Reset
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from conftest import PROGRAMS, ROBOT, Process, stamp


@pytest.fixture
def in_terminal():
    """Nodes that are started hear of a terminal that closes, even where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("in_terminal")
@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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


def test_a_node_under_nohup_outlives_its_terminal(world):
    joints = world.collect(JointState, "joint_states")
    command = ["nohup", PROGRAMS / "simulator", "--ros-args", "-p", f"robot:={ROBOT}", "-p", "wait_for_command:=false"]
    simulator = Process(command, world.environment(), world.folder / "nohup.log")
    world.processes.append(simulator)
    world.spin_until(lambda: joints, "sensor values", simulator.output)
    simulator.popen.send_signal(signal.SIGHUP)
    world.spin_for(0.5)
    before = len(joints)
    world.spin_until(lambda: len(joints) > before + 20, "sensor values after the hangup", simulator.output)
    assert simulator.stop() == 0, simulator.output()


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


def test_the_status_tells_of_a_pause_and_goes_on_while_time_stands_still(world):
    status = world.collect(SimulatorStatus, "simulator/status")
    world.start_simulator(wait_for_command=False, seed=3)
    world.spin_until(lambda: status and status[-1].real_time_factor > 0, "steps")

    def pause(paused):
        assert world.call(SetBool, "simulator/pause", SetBool.Request(data=paused)).success
        world.spin_until(lambda: status[-1].paused == paused, f"status with paused: {paused}", lambda: status[-1])

    pause(True)
    heard, steps = len(status), status[-1].control_steps
    world.spin_until(lambda: len(status) >= heard + 3, "status once a second", lambda: len(status) - heard)
    last = status[-1]
    assert last.paused and last.control_steps == steps and last.real_time_factor == 0.0, last
    # What a request changes during the pause is told, with the stamp of the sensor values that it made new.
    assert world.call(Reset, "simulator/reset", Reset.Request(seed=8)).success
    world.spin_until(lambda: status[-1].seed == 8, "status with the new seed", lambda: status[-1])
    assert status[-1].paused and status[-1].control_steps == steps and stamp(status[-1]) > stamp(last), status[-1]
    pause(False)
    world.spin_until(lambda: status[-1].control_steps > steps, "steps after the pause", lambda: status[-1])
    assert {message.seed for message in status} == {3, 8}


@pytest.mark.parametrize("mode", ["real_time", "lockstep"])
def test_a_simulator_that_waits_for_a_command_has_a_status(world, mode):
    status = world.collect(SimulatorStatus, "simulator/status")
    world.start_simulator(mode=mode, seed=3)
    world.spin_until(lambda: len(status) >= 3, "status while it waits", lambda: len(status))
    for message in status:
        assert (message.seed, message.mode, message.paused, message.control_steps) == (3, mode, False, 0), message


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


def first_command(world, mode, seconds):
    """A waiting simulator, and a commander whose stamp is that of no sensor value."""
    status = world.collect(SimulatorStatus, "simulator/status")
    joints = world.collect(JointState, "joint_states")
    commander = world.client.create_publisher(JointState, "joint_commands", 1)
    still = {"start_noise__position": 0.0, "start_noise__velocity": 0.0, "suspended": True}
    simulator = world.start_simulator(mode=mode, **still)
    world.spin_until(lambda: status and joints and commander.get_subscription_count(), "a simulator that waits")
    assert status[-1].control_steps == 0, status[-1]
    command = JointState(name=["CF1"], position=[-0.5])
    command.header.stamp.sec = seconds
    return simulator, status, joints, commander, command


@pytest.mark.parametrize("mode", ["real_time", "free_running"])
@pytest.mark.parametrize("seconds", [0, 1_750_000_000])
def test_the_first_command_starts_the_world_and_is_obeyed_whatever_its_stamp(world, mode, seconds):
    _, status, joints, commander, command = first_command(world, mode, seconds)

    def angle():
        return joints[-1].position[list(joints[-1].name).index("CF1")]

    world.send_until(commander, command, lambda: abs(angle() + 0.5) < 0.05, "its way", lambda: (angle(), status[-1]))
    world.spin_until(lambda: status[-1].control_steps > 50, "steps", lambda: status[-1])
    # The first step had a command, whatever the later ones had.
    assert status[-1].unanswered_steps < status[-1].control_steps, status[-1]
    assert all(message.unanswered_steps == 0 for message in status if message.control_steps == 1)


def test_lockstep_takes_no_command_with_another_stamp(world):
    simulator, status, joints, commander, command = first_command(world, "lockstep", 0)
    sent = 0

    def waits():
        nonlocal sent
        sent += 1
        return sent > 20 and "answers the sensor values" in simulator.output()

    world.send_until(commander, command, waits, "warning")
    assert status[-1].control_steps == 0 and len({stamp(message) for message in joints}) == 1, status[-1]
    command.header.stamp = joints[-1].header.stamp
    world.send_until(commander, command, lambda: status[-1].control_steps == 1, "step", lambda: status[-1])


def test_of_two_simulators_one_gives_the_time(world):
    clock = world.collect(Clock, "/clock")
    joints = {name: world.collect(JointState, f"/{name}/joint_states") for name in ("silent", "timed")}
    given = {"robot": ROBOT, "wait_for_command": False}
    world.start("simulator", "--ros-args", "-r", "__ns:=/silent", **given, publish_clock=False)
    world.spin_until(lambda: len(joints["silent"]) > 20, "steps of the one without /clock")
    assert not clock and world.client.count_publishers("/clock") == 0
    world.start("simulator", "--ros-args", "-r", "__ns:=/timed", **given)
    world.spin_until(lambda: len(joints["timed"]) > 20 and len(clock) > 20, "time of the other")
    assert world.client.count_publishers("/clock") == 1
    stamps = [message.clock.sec * 1_000_000_000 + message.clock.nanosec for message in clock]
    # Two unrelated times would jump back and forth.
    assert stamps == sorted(stamps)
