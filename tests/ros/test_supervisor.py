"""What can go wrong on a robot, one thing after the other, and what the node makes of it."""

import itertools
import json
import math
import re
import signal
import statistics
import time
import xml.etree.ElementTree as xml

import numpy
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from hebbian_locomotion.msg import LoopTiming, PlasticityState, SafetyState
from hebbian_locomotion.srv import LoadPolicy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import Imu, JointState
from std_srvs.srv import Trigger

import tensors
from conftest import LATCHED, POLICY, ROBOT, ROOT
from fake_robot import FEET, JOINTS, PERIOD, SAFETY, FakeRobot, print_reaction, release, silent, start


@pytest.fixture
def robot(world):
    robot = FakeRobot(world)
    yield robot
    robot.close()


def limits(share=1.0):
    """The lower and upper end of each joint's range, or so much of it around 0, where the beetle stands."""
    joints = xml.parse(ROOT / "config/robots/beetle.urdf").getroot().iter("joint")
    bounds = {joint.get("name"): joint.find("limit") for joint in joints}
    return [tuple(share * float(bounds[name].get(end)) for end in ("lower", "upper")) for name in JOINTS]


def assert_commands_within_limits(robot, share=1.0):
    assert robot.commands, "no commands"
    ranges = limits(share)
    for _, command in robot.commands:
        for value, (lower, upper), name in zip(command, ranges, JOINTS, strict=True):
            assert math.isfinite(value) and lower - 1e-6 <= value <= upper + 1e-6, f"{name} at {value}"


def spoiled(change):
    def spoil(message):
        change(message)
        return True

    return spoil


def half(message):
    message.name, message.position, message.velocity = message.name[:9], message.position[:9], message.velocity[:9]


def put(path, index, value):
    """Sets one number of a message."""

    def change(message):
        *way, last = path.split(".")
        for step in way:
            message = getattr(message, step)
        if index is None:
            setattr(message, last, value)
        else:
            getattr(message, last)[index] = value

    return change


NAN = float("nan")
# What is spoiled, how, the fault that follows and a word of its description.
RECOVERABLE = [
    ("joints stop", "joint_states", silent, "stale", "joints"),
    ("imu stops", "imu/data", silent, "stale", "imu"),
    ("contacts stop", "foot_contacts", silent, "stale", "contacts"),
    ("half the joints vanish", "joint_states", spoiled(half), "stale", "joints"),
    ("too few positions", "joint_states", spoiled(lambda message: message.position.pop()), "stale", "joints"),
    ("too few speeds", "joint_states", spoiled(lambda message: message.velocity.pop()), "stale", "joints"),
    ("too few contacts", "foot_contacts", spoiled(lambda message: message.in_contact.pop()), "stale", "contacts"),
    ("too many forces", "foot_contacts", spoiled(lambda message: message.force.append(1.0)), "stale", "contacts"),
    ("unknown joints", "joint_states", spoiled(lambda message: message.name.__setitem__(0, "tail")), "stale", "joints"),
    (
        "unknown feet",
        "foot_contacts",
        spoiled(lambda message: message.names.__setitem__(0, "hand")),
        "stale",
        "contacts",
    ),
]
# Every number that a message brings.
NUMBERS = [
    ("joint_states", "position", 3),
    *(("imu/data", f"orientation.{axis}", None) for axis in "xyzw"),
    *(("imu/data", f"angular_velocity.{axis}", None) for axis in "xyz"),
    *(("imu/data", f"linear_acceleration.{axis}", None) for axis in "xyz"),
    ("foot_contacts", "force", 2),
]
RECOVERABLE += [
    (f"{value} as {field}", topic, spoiled(put(field, index, value)), "not_finite", "finite")
    for topic, field, index in NUMBERS
    for value in ([NAN, math.inf] if field in ("position", "force") else [NAN])
]


# The second waits for no silence, so that a busy machine's own silences need not disturb it.
@pytest.mark.parametrize(("kind", "timeout", "count"), [("stale", 0.3, "refused"), ("not_finite", 5.0, "not_finite")])
def test_a_robot_with_spoiled_sensors_holds_still_and_walks_on_when_they_are_well(world, robot, kind, timeout, count):
    node = start(world, robot, safety__sensor_timeout=timeout)
    for what, topic, spoil, fault, word in [entry for entry in RECOVERABLE if entry[3] == kind]:
        robot.spoil = {topic: spoil}
        begin = time.monotonic()
        world.spin_until(lambda: robot.phase() == "fallback", f"fallback after: {what}", robot.seen)
        print_reaction(what, begin, robot)
        assert (robot.safety[-1].fault, word in robot.safety[-1].fault_detail) == (fault, True), robot.seen()
        # The robot stands still: what was commanded last is commanded again.
        world.spin_for(0.1)
        still = {tuple(command) for _, command in robot.commands[-3:]}
        assert len(still) == 1, f"{what}: the robot moves"
        robot.spoil = {}
        world.spin_until(lambda: robot.phase() == "active", f"walking after: {what}", robot.seen)
    assert_commands_within_limits(robot)
    assert robot.count(count) > 5, robot.seen()
    assert "panicked" not in node.output()


def repeated():
    """As a driver does whose read loop has died: the stamp of the first message that it gets is that of all."""
    stamps = []

    def spoil(message):
        stamps.append(message.header.stamp)
        message.header.stamp = stamps[0]
        return True

    return spoil


def test_a_sensor_that_repeats_one_message_is_silent(world, robot):
    start(world, robot)
    for topic, word in [("imu/data", "imu"), ("joint_states", "joints")]:
        robot.spoil = {topic: repeated()}
        begin = time.monotonic()
        world.spin_until(lambda: robot.phase() == "fallback", f"fallback after repetitions on {topic}", robot.seen)
        print_reaction(f"repetitions on {topic}", begin, robot)
        assert (robot.safety[-1].fault, word in robot.safety[-1].fault_detail) == ("stale", True), robot.seen()
        robot.spoil = {}
        world.spin_until(lambda: robot.phase() == "active", f"walking after repetitions on {topic}", robot.seen)


def test_values_that_arrive_late_at_their_full_rate_are_stale_until_the_lag_is_gone(world, robot):
    node = start(world, robot)
    robot.lag = 0.5
    world.spin_until(lambda: robot.phase() == "fallback", "fallback while nothing comes", robot.seen)
    # From here on they come again, 50 times a second, and half a second old.
    world.spin_for(2.0)
    assert (robot.phase(), robot.safety[-1].fault) == ("fallback", "stale"), robot.seen()
    assert "joint_states: messages arrive 0." in node.output(), node.output()
    robot.lag = 0.0
    world.spin_until(lambda: robot.phase() == "active", "walking on values of now", robot.seen)


def policy_without_contacts(world):
    """The shipped policy with other observations in the place of contacts; its path."""
    values, metadata = tensors.read(POLICY)
    description = json.loads(metadata["hebbian_locomotion"])
    # As many values as before: six more of the orientation in the place of six feet.
    orientation = {"roll_pitch_yaw": {"scale": 1.0}}
    description["observation"] = [description["observation"][0], orientation, orientation, orientation]
    path = world.folder / "blind.safetensors"
    tensors.write(path, values, {"hebbian_locomotion": json.dumps(description)})
    return path


def test_a_policy_that_needs_contacts_does_not_take_over_a_robot_that_measures_no_efforts(world, robot):
    driver = world.folder / "driver.yaml"
    feet = ", ".join(f"{foot}: {{joint: FT{leg}, threshold: 0.15}}" for leg, foot in enumerate(FEET))
    driver.write_text(f"contacts: {{effort: {{feet: {{{feet}}}}}}}\n")
    start(world, robot, policy=policy_without_contacts(world), driver=driver)

    def load_with(efforts):
        robot.spoil = {"joint_states": spoiled(put("effort", None, efforts))}
        world.spin_for(0.5)
        return world.call(LoadPolicy, "policy/load_policy", LoadPolicy.Request(path=str(POLICY)))

    # joint_state_broadcaster writes NaN for what a joint does not measure.
    for efforts in [[], [NAN] * 18]:
        answer = load_with(efforts)
        assert not answer.success and "needs foot contacts" in answer.message, answer
        before = len(robot.commands)
        world.spin_until(lambda before=before: len(robot.commands) > before + 20, "commands", robot.seen)
        assert robot.phase() == "active", robot.seen()
    answer = load_with([0.2] * 18)
    assert answer.success, answer


@pytest.mark.parametrize("trigger", ["timer", "sensors"])
def test_a_policy_that_does_not_look_at_contacts_walks_without_them(world, robot, trigger):
    robot.spoil = {"foot_contacts": silent}
    start(world, robot, policy=policy_without_contacts(world), trigger=trigger)
    before = len(robot.commands)
    world.spin_until(lambda: len(robot.commands) > before + 20, "commands", robot.seen)
    answer = world.call(LoadPolicy, "policy/load_policy", LoadPolicy.Request(path=str(POLICY)))
    assert not answer.success and "needs foot contacts" in answer.message, answer
    # Nor does it miss them once they have spoken.
    robot.spoil = {}
    world.spin_for(0.3)
    robot.spoil = {"foot_contacts": silent}
    world.spin_for(3 * SAFETY["safety__sensor_timeout"])
    before = len(robot.commands)
    world.spin_until(lambda: len(robot.commands) > before + 20, "commands after contacts", robot.seen)
    world.spin_for(1.0)
    answer = world.call(LoadPolicy, "policy/load_policy", LoadPolicy.Request(path=str(POLICY)))
    assert not answer.success and "needs foot contacts" in answer.message, answer
    assert not [state for state in robot.safety if "contacts" in state.fault_detail], robot.seen()


@pytest.mark.parametrize("trigger", ["timer", "sensors"])
def test_by_default_silence_is_a_fallback_within_two_control_periods(world, robot, trigger):
    states = world.collect(PlasticityState, "policy/plasticity", 5000)
    safety = world.collect(SafetyState, "policy/safety")
    quick = {"safety__positioning_speed": 0.0, "safety__fade_in": 0.0, "safety__recovery_time": 0.04}
    node = start(world, robot, trigger=trigger, safety__sensor_timeout=0.0, realtime__priority=50, **quick)
    for topic in ["joint_states", "imu/data", "foot_contacts"] * 5:
        world.spin_until(lambda: robot.phase() == "active", "walking", robot.seen)
        robot.spoil = {topic: silent}
        world.spin_until(lambda: robot.phase() == "fallback", f"fallback without {topic}", robot.seen)
        robot.spoil = {}
    # By the node's own clock; on a busy machine the robot may fall silent by itself, too.
    begins = [new for old, new in itertools.pairwise(safety) if (old.phase, new.phase) == ("active", "fallback")]
    silences = [float(re.search(r"for ([\d.]+) s;", state.fault_detail)[1]) / PERIOD for state in begins]
    median = statistics.median(silences)
    print(f"{len(silences)} silences; a fallback after {median:.2f} control periods, at most {max(silences):.2f}")
    assert len(silences) >= 10 and {state.fault for state in begins} == {"stale"}
    # Where other programs may hold up the control thread, its lateness is theirs.
    assert median >= 1.5 and (median <= 2.0 or "no real-time priority" in node.output())
    # However busy the machine is: no step is made on older values.
    assert max(state.sensor_age for state in states) <= 1.5 * PERIOD + 1e-6


def test_clocks_that_jump_are_a_fallback_and_overtaken_messages_are_ignored(world, robot):
    start(world, robot)
    for offset in [100.0, -50.0]:
        robot.clock_offset = offset
        begin = time.monotonic()
        world.spin_until(lambda: robot.phase() == "fallback", f"fallback after a jump to {offset} s", robot.seen)
        print_reaction(f"a clock that jumps to {offset} s", begin, robot)
        assert robot.safety[-1].fault == "clock_jump", robot.seen()
        world.spin_until(lambda: robot.phase() == "active", "walking in the new time", robot.seen)

    def overtaken(message):
        seconds, nanosec = divmod(message.header.stamp.nanosec - 200_000_000, 1_000_000_000)
        message.header.stamp.sec += seconds
        message.header.stamp.nanosec = nanosec
        robot.spoil = {}
        return True

    before = robot.count("reordered")
    robot.spoil = {"imu/data": overtaken}
    world.spin_until(lambda: robot.count("reordered") > before, "counted reordering", robot.seen)
    assert robot.phase() == "active", robot.seen()


def test_a_burst_and_a_gone_listener_change_nothing(world, robot):
    states = world.collect(PlasticityState, "policy/plasticity")
    start(world, robot)
    robot.copies, before, begin = 10, len(states), time.monotonic()
    world.spin_for(1.0)
    robot.copies = 1
    assert robot.phase() == "active", robot.seen()
    # Control steps keep their period.
    assert len(states) - before < 1.2 * (time.monotonic() - begin) / PERIOD
    world.client.destroy_subscription(robot.subscription)
    before = states[-1].step
    world.spin_until(lambda: states[-1].step > before + 20, "steps without a listener", robot.seen)
    assert robot.phase() == "active", robot.seen()


def test_a_robot_that_leans_or_whose_weights_grow_stays_stopped_until_it_is_released(world, robot):
    start(world, robot, safety__weight_limit=2.0)

    def lean(message):
        message.orientation.x, message.orientation.w = math.sin(0.7), math.cos(0.7)

    robot.spoil = {"imu/data": spoiled(lean)}
    begin = time.monotonic()
    world.spin_until(lambda: robot.phase() == "stopped", "stop of a robot that leans", robot.seen)
    print_reaction("tilt", begin, robot)
    assert robot.safety[-1].fault == "tilt", robot.seen()
    robot.spoil = {}
    world.spin_for(0.6)
    assert robot.phase() == "stopped", "it went on by itself"
    release(world)
    world.spin_until(lambda: robot.phase() == "active", "walking after the release", robot.seen)
    assert_commands_within_limits(robot)


def test_weights_beyond_their_limit_stop_the_robot(world, robot):
    # The policy's normalisation makes the largest weight 1.
    start(world, robot, phase="stopped", safety__weight_limit=0.5)
    assert robot.safety[-1].fault == "weights", robot.seen()


def test_weights_that_diverge_stop_the_robot_in_the_step_that_takes_them_beyond_their_limit(world, robot):
    values, metadata = tensors.read(POLICY)
    description = json.loads(metadata["hebbian_locomotion"])
    # Every step adds 1 to every weight.
    description["network"]["plastic"]["normalisation"] = "none"
    ones = {name: numpy.ones_like(tensor) * name.endswith((".D", ".eta")) for name, tensor in values.items()}
    diverging = world.folder / "diverging.safetensors"
    tensors.write(diverging, ones, {"hebbian_locomotion": json.dumps(description)})
    states = world.collect(PlasticityState, "policy/plasticity")
    start(world, robot, policy=diverging)
    world.spin_until(lambda: robot.phase() == "stopped", "stop of a policy that diverges", robot.seen)
    assert robot.safety[-1].fault == "weights", robot.seen()
    world.spin_for(0.3)
    sizes = [max(state.weights_max_abs) for state in states]
    print(f"{robot.safety[-1].fault_detail}; stopped within the control step, {len(sizes)} steps in all")
    assert [size > 100 for size in sizes] == [False] * (len(sizes) - 1) + [True], sizes[-3:]
    assert_commands_within_limits(robot)


def test_late_control_steps_are_an_overrun(world, robot):
    node = start(world, robot, safety__overruns=1, safety__reactions__overrun="stop", safety__reactions__stale="off")
    node.popen.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    node.popen.send_signal(signal.SIGCONT)
    begin = time.monotonic()
    world.spin_until(lambda: any(state.fault == "overrun" for state in robot.safety), "overrun", robot.seen)
    print_reaction("overrun, since the node runs again", begin, robot)
    world.spin_until(lambda: robot.phase() == "active", "walking after the overrun", robot.seen)


def test_sensors_that_no_longer_speak_of_one_instant_are_stale(world, robot):
    start(world, robot, trigger="sensors")

    def shift(message):
        message.header.stamp.nanosec = (message.header.stamp.nanosec + 1000) % 1_000_000_000

    robot.spoil = {"imu/data": spoiled(shift)}
    world.spin_until(lambda: robot.phase() == "fallback", "fallback", robot.seen)
    assert robot.safety[-1].fault == "stale", robot.seen()
    robot.spoil = {}
    world.spin_until(lambda: robot.phase() == "active", "walking after the fallback", robot.seen)


def test_sensors_without_stamps_are_refused_where_their_messages_make_the_steps(world, robot):
    def unstamp(message):
        message.header.stamp.sec = message.header.stamp.nanosec = 0

    robot.spoil = dict.fromkeys(["joint_states", "imu/data", "foot_contacts"], spoiled(unstamp))
    node = start(world, robot, phase="passive", trigger="sensors")
    world.spin_until(lambda: "set trigger to `timer`" in node.output(), "warning", node.output)
    assert robot.phase() == "passive" and not robot.commands, robot.seen()


def test_a_node_that_was_shut_down_leaves_no_walking_robot_in_what_is_latched(world, robot):
    start(world, robot)
    request = ChangeState.Request(transition=Transition(label="shutdown"))
    assert world.call(ChangeState, "policy/change_state", request).success
    late = world.collect(SafetyState, "policy/safety", LATCHED)
    world.spin_until(lambda: late, "the latched state", robot.seen)
    world.spin_until(lambda: late[-1].phase == "passive", "a passive robot", robot.seen)


def test_an_inactive_node_does_not_answer_sensors_that_repeat_themselves(world, robot):
    start(world, robot, trigger="sensors", safety__reactions__clock_jump="off")
    # Late enough after the last values for a control step.
    robot.frozen = time.time() + PERIOD
    world.spin_for(0.3)
    before = len(robot.commands)
    world.spin_until(lambda: len(robot.commands) > before + 5, "commands that are sent again", robot.seen)
    request = ChangeState.Request(transition=Transition(label="deactivate"))
    assert world.call(ChangeState, "policy/change_state", request).success
    # What was on its way to this client when the answer was.
    world.spin_for(0.2)
    before = len(robot.commands)
    world.spin_for(0.5)
    assert len(robot.commands) == before, "commands of an inactive node"


def test_a_robot_does_not_begin_without_one_of_its_sensors(world, robot):
    robot.spoil = {"imu/data": silent}
    start(world, robot, phase="passive")
    world.spin_until(lambda: "imu" in robot.safety[-1].fault_detail, "what is missing", robot.seen)
    world.spin_for(0.3)
    assert not robot.commands
    robot.spoil = {}
    world.spin_until(lambda: robot.phase() == "active", "walking with all sensors", robot.seen)


def test_a_robot_whose_joints_reach_less_far_than_the_policy_knows_is_not_asked_for_more(world, robot):
    description = xml.parse(ROOT / "config/robots/beetle.urdf")
    for limit in description.getroot().iter("limit"):
        for end in ("lower", "upper"):
            limit.set(end, str(0.2 * float(limit.get(end))))
    description.write(world.folder / "beetle.urdf")
    (world.folder / "beetle.yaml").write_text(ROBOT.read_text())
    start(world, robot, robot=world.folder / "beetle.yaml")
    world.spin_until(lambda: robot.count("position") > 0, "goals beyond the range", robot.seen)
    before = len(robot.commands)
    world.spin_until(lambda: len(robot.commands) > before + 50, "commands", robot.seen)
    assert_commands_within_limits(robot, 0.2)


def test_timing_and_diagnostics_come_once_a_second(world, robot):
    timing = world.collect(LoopTiming, "policy/timing")
    diagnostics = world.collect(DiagnosticArray, "/diagnostics")
    start(world, robot)
    world.spin_until(lambda: timing and timing[-1].steps > 10 and diagnostics, "timing", lambda: timing)
    last = timing[-1]
    assert last.nominal_period == pytest.approx(PERIOD) and last.period_mean == pytest.approx(PERIOD, rel=0.5)
    assert 0 < last.compute_mean <= last.compute_max and last.period_min <= last.period_mean <= last.period_max
    names = {status.name for status in diagnostics[-1].status}
    assert names == {"/policy: safety", "/policy: control loop", "/policy: sources"}
    assert diagnostics[-1].status[0].hardware_id == "beetle"


def test_two_robots_in_two_namespaces_stop_one_by_one(world):
    robots = {name: FakeRobot(world, f"/{name}/") for name in ["left", "right"]}
    try:
        for name in robots:
            given = {"policy": POLICY, "autostart": "true", **SAFETY}
            world.start("policy", "--ros-args", "-r", f"__ns:=/{name}", **given)
        world.spin_until(lambda: all(robot.phase() == "active" for robot in robots.values()), "two walking robots")
        assert world.call(Trigger, "/left/policy/emergency_stop", Trigger.Request()).success
        world.spin_until(lambda: robots["left"].phase() == "stopped", "stop of one")
        before = len(robots["right"].commands)
        world.spin_until(lambda: len(robots["right"].commands) > before + 20, "steps of the other")
        assert robots["right"].phase() == "active"
    finally:
        for robot in robots.values():
            robot.close()


def test_a_real_driver_works_by_configuration_alone(world):
    """The authors' driver: names motor_1 to motor_18 in both directions, no contacts, an IMU without orientation."""
    commands = world.collect(JointState, "motor_command")
    states = world.collect(PlasticityState, "policy/plasticity")
    feedback = world.client.create_publisher(JointState, "motor_feedback", 5)
    imu_sender = world.client.create_publisher(Imu, "imu/data_raw", 5)
    driver = ROOT / "config/drivers/db_beta_interface.yaml"
    world.start("policy", policy=POLICY, robot=ROBOT, autostart="true", driver=driver, **SAFETY)
    motors = [f"motor_{number}" for number in range(1, 19)]

    def send():
        now = time.time()
        joints = JointState(name=motors, position=[0.0] * 18, velocity=[0.0] * 18, effort=[0.2] * 18)
        imu = Imu()
        imu.orientation_covariance[0] = -1.0
        imu.linear_acceleration.z = 9.81
        for message, sender in [(joints, feedback), (imu, imu_sender)]:
            message.header.stamp.sec, message.header.stamp.nanosec = int(now), int(now % 1 * 1e9)
            sender.publish(message)
        world.spin_for(PERIOD / 2)
        return len(states) > 20

    world.spin_until(send, "steps with the authors' driver", lambda: world.processes[0].output())
    assert sorted(commands[-1].name) == sorted(motors)
