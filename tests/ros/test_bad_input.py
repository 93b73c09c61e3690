"""What a node does with input that is wrong: a clear message and a clean exit, or an ignored and counted message.

And with input that only looks so: a robot walks without what its policy does not use."""

import itertools
import json
import math

import pytest
from hebbian_locomotion.msg import FootContacts, PlasticityState, PolicyStep, SimulatorStatus
from hebbian_locomotion.srv import LoadPolicy
from sensor_msgs.msg import Imu, JointState
from std_srvs.srv import Trigger

import tensors
from conftest import POLICY, ROBOT, ROOT, beetle_with_imu_upside_down
from fake_robot import FakeRobot, start

WORLD_JOINTS = ["BC1", "BC2", "BC4", "BC5", "BC0", "BC3", "CF1", "CF2", "CF4", "CF5", "CF0", "CF3"]
WORLD_JOINTS += ["FT1", "FT2", "FT4", "FT5", "FT0", "FT3"]
NAN = math.nan


@pytest.fixture
def robot(world):
    robot = FakeRobot(world)
    yield robot
    robot.close()


def walk(world, robot, /, **parameters):
    """A policy node that steps by the clock and walks."""
    node = start(world, robot, safety__sensor_timeout=5.0, **parameters)
    before = len(robot.commands)
    world.spin_until(lambda: len(robot.commands) > before + 20, "commands", robot.seen)
    return node


def policy_that_sees(world, block):
    """The shipped policy with `block` in the place of joint angles; its path."""
    values, metadata = tensors.read(POLICY)
    policy = json.loads(metadata["hebbian_locomotion"])
    policy["observation"][0] = block
    path = world.folder / "seeing.safetensors"
    tensors.write(path, values, {"hebbian_locomotion": json.dumps(policy)})
    return path


def assert_refused(process, *expected):
    code = process.wait()
    output = process.output()
    assert code == 1, f"exit code {code}:\n{output}"
    assert "panicked" not in output, output
    for text in expected:
        assert text in output, output


def parameter_file(folder, text):
    path = folder / "parameters.yaml"
    path.write_text(text)
    return path


def test_parameters_that_cannot_be_end_the_node_with_their_name(world):
    unknown = world.start_simulator(sped_factor=2.0)
    assert_refused(unknown, "unknown parameter `sped_factor`", "did you mean `speed_factor`?")
    assert_refused(world.start_simulator(mode="fast"), "`mode` is `fast`", "real_time, free_running, lockstep")
    assert_refused(world.start_simulator(control_rate=1.0, physics_rate=10000.0), "10000 Hz", "whole multiple")
    assert_refused(world.start("simulator"), "the parameter `robot` must be set")
    assert_refused(world.start_policy(gate=2.0), "`gate` is 2", "from 0 to 1")
    path = parameter_file(world.folder, "policy:\n  ros__parameters:\n    weigths_every: 3\n")
    process = world.start("policy", "--ros-args", "--params-file", path, policy=POLICY)
    assert_refused(process, "unknown parameter `weigths_every`", "did you mean `weights_every`?")


def test_a_parameter_file_that_is_no_yaml_is_refused(world):
    path = parameter_file(world.folder, "policy: [unclosed")
    process = world.start("policy", "--ros-args", "--params-file", path, policy=POLICY)
    assert_refused(process, "ROS refuses the command line or a parameter file", "parameters.yaml")


def test_a_parameter_file_that_is_not_there_is_refused(world):
    process = world.start("policy", "--ros-args", "--params-file", world.folder / "typo.yaml", policy=POLICY)
    assert_refused(process, "ROS refuses the command line or a parameter file", "typo.yaml")


def test_files_that_cannot_be_used_are_refused_by_name(world):
    assert_refused(world.start_policy(policy="/no/such.safetensors"), "/no/such.safetensors")
    cut = world.folder / "cut.safetensors"
    cut.write_bytes(POLICY.read_bytes()[:5000])
    assert_refused(world.start_policy(policy=cut), "cut.safetensors", "not a complete safetensors file")
    foreign = world.folder / "foreign.safetensors"
    foreign.write_bytes(b"\x80\x04 a pickle")
    assert_refused(world.start_policy(policy=foreign), "foreign.safetensors", "not a policy file")

    urdf = (ROOT / "config/robots/beetle.urdf").read_text()
    yaml = ROBOT.read_text()
    (world.folder / "beetle.urdf").write_text(urdf)
    robot = world.folder / "beetle.yaml"
    robot.write_text(yaml.replace("[BC1, BC2,", "[BC7, BC2,"))
    assert_refused(world.start_simulator(robot=robot), "the joint `BC7`")
    robot.write_text(yaml + "stifness: 3\n")
    assert_refused(world.start_simulator(robot=robot), "unknown field `stifness`")
    robot.write_text(yaml)
    (world.folder / "beetle.urdf").write_text(urdf.replace("</robot>", ""))
    assert_refused(world.start_simulator(robot=robot), "beetle.urdf", "not a valid URDF")


def test_a_policy_for_another_robot_names_the_joint_that_differs(world):
    robot = world.folder / "beetle.yaml"
    robot.write_text(ROBOT.read_text().replace("BC0", "BC9"))
    urdf = (ROOT / "config/robots/beetle.urdf").read_text()
    (world.folder / "beetle.urdf").write_text(urdf.replace('"BC0"', '"BC9"'))
    assert_refused(world.start_policy(robot=robot), "cannot drive `beetle`", "it needs the joint `BC0`")


def test_a_gain_that_is_none_is_refused(world):
    driver = world.folder / "driver.yaml"
    driver.write_text("imu: {orientation: {estimated: {gain: -0.1}}}\n")
    assert_refused(world.start_policy(driver=driver), "imu.orientation.estimated", "the gain -0.1 must be")


def test_metres_of_joints_that_turn_are_refused(world):
    driver = world.folder / "driver.yaml"
    driver.write_text("unit: m\n")
    assert_refused(world.start_policy(driver=driver), "in `m`, but by the robot's description it turns", "`unit: rad`")


def joint_state(**changes):
    message = JointState(name=list(WORLD_JOINTS), position=[0.0] * 18, velocity=[0.0] * 18)
    for field, value in changes.items():
        setattr(message, field, value)
    return message


@pytest.mark.parametrize(
    ("what", "message", "expected"),
    [
        ("NaN", joint_state(position=[0.0] * 17 + [NAN]), "`position` holds NaN for `FT3`"),
        ("infinite angle", joint_state(position=[math.inf] + [0.0] * 17), "`position` holds inf for `BC1`"),
        ("short array", joint_state(position=[0.0] * 17), "`position` has 17 entries for 18 names"),
        ("missing joint", joint_state(name=["BC1"], position=[0.0], velocity=[0.0]), "the joint `BC2` is missing"),
        ("doubled joint", joint_state(name=["BC1"] * 18), "the joint `BC1` appears twice"),
    ],
)
def test_a_wrong_joint_state_is_ignored_counted_and_named(world, what, message, expected):
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    policy = world.start_policy()
    world.spin_until(lambda: len(states) > 5, "control steps")
    assert states[-1].rejected_messages == 0
    sender = world.client.create_publisher(JointState, "joint_states", 5)
    world.send_until(
        sender, message, lambda: states[-1].rejected_messages > 0, f"rejection of {what}", lambda: states[-1]
    )
    world.spin_until(lambda: expected in policy.output(), f"warning '{expected}'", policy.output)
    steps = len(states)
    world.spin_until(lambda: len(states) > steps + 10, "steps after the wrong message")
    assert all(max(state.weights_max_abs) <= 1.0 for state in states)


def test_what_is_neither_measured_nor_used_keeps_no_robot_from_walking(world, robot):
    def measure_angles_alone(message):
        # joint_state_broadcaster writes NaN for every interface that a joint lacks; the gripper has none.
        message.name.append("gripper")
        message.position.append(NAN)
        message.velocity, message.effort = [NAN] * 19, [NAN] * 19
        return True

    robot.spoil = {"joint_states": measure_angles_alone}
    states = world.collect(PlasticityState, "policy/plasticity")
    node = walk(world, robot)
    world.spin_until(lambda: states and states[-1].step > 20, "steps", robot.seen)
    assert (robot.count("not_finite"), robot.count("refused"), states[-1].rejected_messages) == (0, 0, 0)
    assert "message ignored" not in node.output()


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_a_speed_that_is_none_holds_a_robot_whose_policy_uses_speeds(world, robot, value):
    node = walk(world, robot, policy=policy_that_sees(world, {"joint_velocity": {"scale": 0.1}}))

    def spoil(message):
        message.velocity[0] = value
        return True

    robot.spoil = {"joint_states": spoil}
    world.spin_until(lambda: robot.phase() == "fallback", "fallback", robot.seen)
    assert robot.safety[-1].fault == "not_finite", robot.seen()
    expected = "`velocity` holds NaN for `BC1`" if math.isnan(value) else "`velocity` holds inf for `BC1`"
    world.spin_until(lambda: expected in node.output(), f"warning '{expected}'", node.output)
    robot.spoil = {}
    world.spin_until(lambda: robot.phase() == "active", "walking with speeds", robot.seen)


def test_a_policy_that_uses_speeds_does_not_take_over_a_robot_without_them(world, robot):
    def measure_angles_alone(message):
        message.velocity = []
        return True

    robot.spoil = {"joint_states": measure_angles_alone}
    node = walk(world, robot)
    seeing = policy_that_sees(world, {"joint_velocity": {"scale": 0.1}})
    answer = world.call(LoadPolicy, "policy/load_policy", LoadPolicy.Request(path=str(seeing)))
    assert not answer.success and "joint speeds" in answer.message, answer
    before = len(robot.commands)
    world.spin_until(lambda: len(robot.commands) > before + 20, "commands", robot.seen)
    assert robot.phase() == "active" and "message ignored" not in node.output(), robot.seen()
    robot.spoil = {}
    world.spin_for(0.5)
    answer = world.call(LoadPolicy, "policy/load_policy", LoadPolicy.Request(path=str(seeing)))
    assert answer.success, answer


def felt(gravity_y, gravity_z):
    """An IMU without a clock or an orientation of its own, which feels this."""

    def spoil(message):
        message.header.stamp.sec = message.header.stamp.nanosec = 0
        message.orientation_covariance[0] = -1.0
        message.linear_acceleration.y, message.linear_acceleration.z = gravity_y, gravity_z
        return True

    return spoil


def test_an_imu_whose_stamps_stand_still_is_not_blind_to_a_tilt(world, robot):
    driver = world.folder / "driver.yaml"
    driver.write_text("imu: {orientation: {estimated: {gain: 1.0}}}\n")
    robot.spoil = {"imu/data": felt(0.0, 9.81)}
    walk(world, robot, driver=driver)
    # It lies on its side.
    robot.spoil = {"imu/data": felt(9.81, 0.0)}
    world.spin_until(lambda: robot.phase() == "stopped", "stop of a robot that lies", robot.seen)
    assert robot.safety[-1].fault == "tilt", robot.seen()


def test_an_imu_that_is_mounted_upside_down_stops_no_robot_that_stands(world, robot):
    description = beetle_with_imu_upside_down(world.folder)

    def upside_down(message):
        message.orientation.x, message.orientation.w, message.linear_acceleration.z = 1.0, 0.0, -9.81
        return True

    robot.spoil = {"imu/data": upside_down}
    steps = world.collect(PolicyStep, "policy/steps")
    walk(world, robot, robot=description)
    world.spin_until(lambda: steps, "recorded steps", robot.seen)
    x, y, z, w = steps[-1].orientation
    assert abs(w) > 0.9999, (x, y, z, w)


def test_yaw_counts_from_where_the_robot_faces_when_it_begins(world, robot):
    driver = world.folder / "driver.yaml"
    driver.write_text("imu: {heading: start}\n")

    def turned(yaw):
        def spoil(message):
            message.orientation.z, message.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
            return True

        return {"imu/data": spoil}

    def sees(yaw):
        z, w = steps[-1].orientation[2:] if steps else (2.0, 2.0)
        return abs(2.0 * math.atan2(z, w) - yaw) < 1e-3

    robot.spoil = turned(2.0)
    steps = world.collect(PolicyStep, "policy/steps")
    walk(world, robot, driver=driver)
    world.spin_until(lambda: sees(0.0), "a yaw of 0", robot.seen)
    robot.spoil = turned(2.5)
    world.spin_until(lambda: sees(0.5), "a yaw of 0.5", robot.seen)
    for service in ["emergency_stop", "release"]:
        assert world.call(Trigger, f"policy/{service}", Trigger.Request()).success
    world.spin_until(lambda: sees(0.0), "a yaw of 0 after the release", robot.seen)


def test_wrong_imu_and_contact_messages_are_ignored_and_named(world):
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    policy = world.start_policy()
    world.spin_until(lambda: len(states) > 5, "control steps")
    imu, other = Imu(), Imu()
    imu.orientation.w = float("nan")
    other.header.frame_id = "base_link"
    cases = [
        (Imu, "imu/data", imu, "`orientation` holds NaN"),
        (Imu, "imu/data", other, "in the frame `base_link`, and those before were in `imu_link`"),
        (FootContacts, "foot_contacts", FootContacts(names=["tip9"], in_contact=[True]), "unknown foot `tip9`"),
    ]
    for kind, topic, message, expected in cases:
        sender = world.client.create_publisher(kind, topic, 5)
        before = states[-1].rejected_messages
        said = f"warning '{expected}'"
        world.send_until(sender, message, lambda expected=expected: expected in policy.output(), said, policy.output)
        world.spin_until(lambda before=before: states[-1].rejected_messages > before, f"rejection on {topic}")


def test_sensor_values_that_overflow_the_observation_hold_the_robot_and_are_counted(world):
    path = policy_that_sees(world, {"joint_position": {"scale": 3e38}})
    states = world.collect(PlasticityState, "policy/plasticity")
    commands = world.collect(JointState, "joint_commands")
    # A joint that is far outside its range keeps no robot from beginning.
    node = world.start_policy(policy=path, safety__positioning_tolerance=0.0)
    messages = {"joint_states": joint_state(), "imu/data": Imu(), "foot_contacts": FootContacts()}
    messages["imu/data"].orientation.w = 1.0
    messages["foot_contacts"].names = [f"tip{foot}" for foot in range(6)]
    messages["foot_contacts"].in_contact = [True] * 6
    senders = {topic: world.client.create_publisher(type(message), topic, 5) for topic, message in messages.items()}
    period = 0

    def send(position):
        nonlocal period
        period += 1
        messages["joint_states"].position = [position] * 18
        for topic, message in messages.items():
            message.header.stamp.sec, message.header.stamp.nanosec = period // 50, period % 50 * 20_000_000
            senders[topic].publish(message)
        world.spin_for(0.02)

    def sent(position, condition):
        send(position)
        return condition()

    # 1.2 rad x 3e38 is more than single precision holds.
    expected = "sensor values: message ignored: the input holds inf at index 0"
    world.spin_until(lambda: sent(1.2, lambda: expected in node.output()), f"warning '{expected}'", node.output)
    # What is commanded is the pose in which the robot was found.
    assert not states and len({tuple(command.position) for command in commands}) <= 1
    world.spin_until(lambda: sent(0.5, lambda: states and commands), "steps with values that fit", node.output)
    assert states[-1].rejected_messages > 0, states[-1]


def test_a_command_for_an_unknown_joint_is_ignored_by_the_simulator(world):
    status = world.collect(SimulatorStatus, "simulator/status")
    simulator = world.start_simulator(wait_for_command=False)
    sender = world.client.create_publisher(JointState, "joint_commands", 1)
    world.spin_until(lambda: status and sender.get_subscription_count() > 0, "running simulator")
    sender.publish(JointState(name=["BC11"], position=[0.1]))
    world.spin_until(lambda: status[-1].rejected_messages == 1, "rejection", lambda: status[-1])
    assert "unknown joint `BC11`; did you mean `BC1`?" in simulator.output()
    sender.publish(JointState(name=["BC1"], position=[NAN]))
    world.spin_until(lambda: status[-1].rejected_messages == 2, "second rejection", lambda: status[-1])


def test_what_was_replaced_in_a_robot_is_said_once_by_each_node(world):
    urdf = (ROOT / "config/robots/beetle.urdf").read_text()
    # A femur whose moments of inertia no body has.
    (world.folder / "beetle.urdf").write_text(urdf.replace('ixx="6.9e-4"', 'ixx="-6.9e-4"', 1))
    robot = world.folder / "beetle.yaml"
    robot.write_text(ROBOT.read_text())
    commands = world.collect(JointState, "joint_commands")
    nodes = [world.start_simulator(robot=robot), world.start_policy(robot=robot)]
    world.spin_until(lambda: len(commands) > 20, "a robot that walks all the same")
    for node in nodes:
        lines = [line for line in node.output().splitlines() if "which no body has" in line]
        assert len(lines) == 1 and "WARN" in lines[0] and "robot `beetle`" in lines[0], node.output()


def test_a_simulator_that_is_faster_than_the_policy_is_named_and_makes_no_more_steps(world):
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    world.start_simulator(control_rate=100.0, wait_for_command=False)
    node = world.start_policy()
    world.spin_until(lambda: len(states) > 50, "control steps", node.output)
    steps = [state.header.stamp.sec * 1000 + state.header.stamp.nanosec // 1_000_000 for state in states]
    assert min(b - a for a, b in itertools.pairwise(steps)) == 20, steps
    assert "the policy makes a step every 20.0 ms" in node.output(), node.output()
