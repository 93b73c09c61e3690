"""Emergency stops, by all ways and in all phases, and their release."""

import time

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from conftest import POLICY
from fake_robot import JOINTS, PERIOD, SAFETY, FakeRobot, print_reaction, release, silent, start


@pytest.fixture
def robot(world):
    robot = FakeRobot(world)
    yield robot
    robot.close()


def emergency_stop(world, way):
    if way == "service":
        assert world.call(Trigger, "policy/emergency_stop", Trigger.Request()).success
    elif way == "topic":
        sender = world.client.create_publisher(Bool, "policy/emergency_stop", 1)
        world.spin_until(lambda: sender.get_subscription_count() > 0, "listener of the emergency stop")
        sender.publish(Bool(data=True))
    elif way == "best effort topic":
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        sender = world.client.create_publisher(Bool, "policy/emergency_stop", best_effort)
        # What is sent before the node knows of the publisher, which nobody sees, is lost.
        for _ in range(20):
            sender.publish(Bool(data=True))
            world.spin_for(0.05)
    else:
        set_stop_parameter(world, True)


def set_stop_parameter(world, is_stopped):
    value = ParameterValue(type=1, bool_value=is_stopped)
    request = SetParameters.Request(parameters=[Parameter(name="emergency_stop", value=value)])
    assert world.call(SetParameters, "policy/set_parameters", request).results[0].successful


@pytest.mark.parametrize(
    ("phase", "way"),
    [
        ("positioning", "service"),
        ("fade_in", "topic"),
        ("active", "parameter"),
        ("fallback", "service"),
        ("active", "best effort topic"),
        ("stopped", "topic"),
    ],
)
def test_an_emergency_stop_holds_in_every_phase(world, robot, phase, way):
    slow = {"positioning": {"safety__positioning_speed": 0.001}, "fade_in": {"safety__fade_in": 60.0}}.get(phase, {})
    if phase == "positioning":
        robot.position.update(dict.fromkeys(JOINTS, 0.1))
    if phase == "fallback":
        start(world, robot)
        robot.spoil = {"imu/data": silent}
        world.spin_until(lambda: robot.phase() == "fallback", "fallback", robot.seen)
    elif phase == "stopped":
        start(world, robot, phase=phase, safety__weight_limit=0.5)
        assert robot.safety[-1].fault == "weights", robot.seen()
    else:
        start(world, robot, phase=phase, **slow)
    begin = time.monotonic()
    emergency_stop(world, way)
    world.spin_until(lambda: robot.safety[-1].fault == "emergency_stop", "stop", robot.seen)
    print_reaction(f"emergency stop by {way}, with the discovery of it", begin, robot)
    assert robot.phase() == "stopped", robot.seen()
    robot.spoil = {}
    world.spin_for(0.5)
    assert robot.phase() == "stopped", robot.seen()
    assert len({tuple(command) for _, command in robot.commands[-10:]}) == 1, "a stopped robot moves"


def test_an_empty_request_stops_or_releases_as_the_service_is_called(world, robot):
    start(world, robot)
    # A robot that walks is not released: it walks on.
    answer = world.call(Trigger, "policy/release", Trigger.Request())
    assert not answer.success and "it was not stopped; nothing changed" in answer.message, answer
    before = len(robot.commands)
    world.spin_until(lambda: len(robot.commands) > before + 20, "commands after a release of nothing", robot.seen)
    assert robot.phase() == "active", robot.seen()
    # To stop one that is stopped is no release.
    for _ in range(2):
        answer = world.call(Trigger, "policy/emergency_stop", Trigger.Request())
        assert answer.success and answer.message == "stopped until it is released", answer
        world.spin_until(lambda: robot.safety[-1].fault == "emergency_stop", "stop", robot.seen)
        world.spin_for(0.5)
        assert robot.phase() == "stopped", robot.seen()
        assert len({tuple(command) for _, command in robot.commands[-10:]}) == 1, "a stopped robot moves"
    # Nor does the topic release.
    sender = world.client.create_publisher(Bool, "policy/emergency_stop", 10)
    world.spin_until(lambda: sender.get_subscription_count() > 0, "listener of the emergency stop")
    sender.publish(Bool(data=False))
    world.spin_for(0.5)
    assert robot.phase() == "stopped", robot.seen()
    release(world)
    world.spin_until(lambda: robot.phase() == "active", "walking after the release", robot.seen)


def test_a_stop_by_parameter_counts_every_time_it_is_set(world, robot):
    start(world, robot)
    for _ in range(2):
        # The second time the parameter is true already: the release was the service's.
        emergency_stop(world, "parameter")
        world.spin_until(lambda: robot.phase() == "stopped", "stop", robot.seen)
        release(world)
        world.spin_until(lambda: robot.phase() == "active", "walking after the release", robot.seen)


def test_a_parameter_releases_no_stop_but_its_own(world, robot):
    start(world, robot)
    emergency_stop(world, "parameter")
    world.spin_until(lambda: robot.phase() == "stopped", "stop", robot.seen)
    # The parameter stays true.
    release(world)
    world.spin_until(lambda: robot.phase() == "active", "walking after the release", robot.seen)
    emergency_stop(world, "topic")
    world.spin_until(lambda: robot.phase() == "stopped", "stop by somebody else", robot.seen)
    # As a file of defaults does.
    set_stop_parameter(world, False)
    world.spin_for(0.5)
    assert robot.phase() == "stopped", robot.seen()
    # Nor does a stop by the parameter on top of the other one.
    emergency_stop(world, "parameter")
    set_stop_parameter(world, False)
    world.spin_for(0.5)
    assert robot.phase() == "stopped", robot.seen()
    release(world)
    world.spin_until(lambda: robot.phase() == "active", "walking after the release", robot.seen)
    emergency_stop(world, "parameter")
    set_stop_parameter(world, False)
    world.spin_until(lambda: robot.phase() == "active", "walking after the parameter's own stop", robot.seen)


def test_a_stop_that_is_said_many_times_moves_nothing(world, robot):
    start(world, robot, safety__fallback="damp")
    emergency_stop(world, "topic")
    world.spin_until(lambda: robot.phase() == "stopped", "stop", robot.seen)
    sender = world.client.create_publisher(Bool, "policy/emergency_stop", 10)
    before, begin = len(robot.commands), time.monotonic()
    while time.monotonic() - begin < 1.0:
        sender.publish(Bool(data=True))
        world.spin_for(0.002)
    # One command a control period, each within the limits of one.
    assert len(robot.commands) - before < 1.3 * (time.monotonic() - begin) / PERIOD


def test_an_emergency_stop_before_the_walk_prevents_it(world, robot):
    node = world.start("policy", policy=POLICY, **SAFETY)
    emergency_stop(world, "service")
    for label in ["configure", "activate"]:
        request = ChangeState.Request(transition=Transition(label=label))
        assert world.call(ChangeState, "policy/change_state", request).success, node.output()
    world.spin_until(lambda: robot.phase() == "stopped", "stop", robot.seen)
    world.spin_for(0.5)
    assert not robot.commands
    release(world)
    world.spin_until(lambda: robot.phase() == "active", "walking after the release", robot.seen)
