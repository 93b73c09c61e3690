"""The demo's topics, as any ROS 2 client sees them: names, rates, frames, contents."""

import math
import time

from hebbian_locomotion.msg import FootContacts, PlasticityState, SimulatorStatus, WeightsLayout, WeightSnapshot
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import String

from conftest import LATCHED, ROBOT, ROOT, beetle_with_imu_upside_down, stamp

JOINTS = ["BC1", "BC2", "BC4", "BC5", "BC0", "BC3", "CF1", "CF2", "CF4", "CF5", "CF0", "CF3"]
JOINTS += ["FT1", "FT2", "FT4", "FT5", "FT0", "FT3"]
# Of each motor, in the URDF [N m].
EFFORT_LIMIT = 4.1
SYNAPSES = 27 * 64 + 64 * 32 + 32 * 18


def test_all_topics_come_at_their_rates_with_contents_that_fit(world):
    topics = {
        "joint_states": (JointState, 50),
        "imu/data": (Imu, 50),
        "foot_contacts": (FootContacts, 50),
        "odom": (Odometry, 50),
        "/clock": (Clock, 50),
        "joint_commands": (JointState, 50),
        "policy/plasticity": (PlasticityState, 50),
        "simulator/status": (SimulatorStatus, 50),
        "policy/weights": (WeightSnapshot, 10),
    }
    seen = {name: world.collect(kind, name) for name, (kind, _) in topics.items()}
    layouts = world.collect(WeightsLayout, "policy/weights_layout", LATCHED)
    descriptions = world.collect(String, "robot_description", LATCHED)
    world.start_simulator()
    world.start_policy()
    world.spin_until(lambda: seen["policy/plasticity"], "control step")

    world.spin_for(0.5)
    for messages in seen.values():
        messages.clear()
    start = time.monotonic()
    world.spin_for(4.0)
    elapsed = time.monotonic() - start
    for name, (_, expected) in topics.items():
        rate = len(seen[name]) / elapsed
        assert abs(rate - expected) < 0.1 * expected, f"{name}: {rate:.1f} Hz instead of {expected} Hz"

    joints, imu, contacts = seen["joint_states"][-1], seen["imu/data"][-1], seen["foot_contacts"][-1]
    assert joints.name == JOINTS and len(joints.position) == len(joints.velocity) == len(joints.effort) == 18
    efforts = [abs(effort) for message in seen["joint_states"] for effort in message.effort]
    assert 0.1 < max(efforts) <= EFFORT_LIMIT + 1e-6, "motors that walk have torques within their limit"
    assert imu.header.frame_id == "imu_link"
    q = imu.orientation
    assert math.isclose(q.x**2 + q.y**2 + q.z**2 + q.w**2, 1, abs_tol=1e-4)
    assert contacts.names == [f"tip{leg}" for leg in range(6)] and len(contacts.in_contact) == len(contacts.force) == 6
    odometry = seen["odom"][-1]
    assert (odometry.header.frame_id, odometry.child_frame_id) == ("odom", "base_link")
    command, plasticity = seen["joint_commands"][-1], seen["policy/plasticity"][-1]
    assert command.name == JOINTS
    assert stamp(command) in {stamp(message) for message in seen["joint_states"]}
    assert plasticity.gate == 1.0 and plasticity.gate_reason == "open"
    assert len(plasticity.weights_max_abs) == 3 and max(plasticity.weights_max_abs) <= 1.0
    assert 0 < plasticity.compute_time < 0.02 and 0 <= plasticity.sensor_age < 0.02
    steps = [message.step for message in seen["policy/plasticity"]]
    assert steps == list(range(steps[0], steps[0] + len(steps))), "steps are missing or doubled"
    assert len(seen["policy/weights"][-1].weights) == SYNAPSES
    layout = layouts[-1]
    assert list(layout.inputs) == [27, 64, 32] and list(layout.outputs) == [64, 32, 18]
    assert len(layout.input_names) == 27 and layout.output_names == JOINTS
    assert "<robot" in descriptions[-1].data
    status = seen["simulator/status"][-1]
    assert status.mode == "real_time" and abs(status.real_time_factor - 1) < 0.05
    assert status.physics_steps == 2 * status.control_steps


def test_locked_joints_are_among_the_joint_states_where_they_stand(world):
    """A robot_state_publisher needs all joints that can move in the URDF, and so does a viewer."""
    text = ROBOT.read_text()
    driven, pose = "FT0, FT3]", "nominal_pose: {}"
    assert text.count(driven) == text.count(pose) == 1
    text = text.replace(driven, "FT0]\nlocked: [FT3]").replace(pose, "nominal_pose: {FT3: 0.4}")
    description = world.folder / "beetle.yaml"
    description.write_text(text)
    (world.folder / "beetle.urdf").write_text((ROOT / "config/robots/beetle.urdf").read_text())
    joints = world.collect(JointState, "joint_states")
    motors = world.collect(JointState, "simulator/motors", LATCHED)
    world.start_simulator(robot=description, wait_for_command=False)
    world.spin_until(lambda: len(joints) > 5 and motors, "joint states and motors")
    assert motors[-1].name == JOINTS[:-1], "the joint FT3 is locked"
    for message in joints:
        assert message.name == JOINTS and len(message.position) == len(message.velocity) == 18
        assert math.isclose(message.position[-1], 0.4, abs_tol=1e-6) and message.velocity[-1] == 0.0, message
        assert len(message.effort) == 18 and math.isnan(message.effort[-1]), "a locked joint has no motor"
        assert all(math.isfinite(effort) for effort in message.effort[:-1])


def test_two_robots_in_two_namespaces_do_not_hear_each_other(world):
    names = ["one", "two"]
    commands = {name: world.collect(JointState, f"/{name}/joint_commands") for name in names}
    for name, seed in zip(names, [1, 2], strict=True):
        namespace = ["--ros-args", "-r", f"__ns:=/{name}"]
        world.start("simulator", *namespace, robot=ROBOT, seed=seed)
        world.start_policy(*namespace, seed=seed)
    world.spin_until(lambda: all(len(commands[name]) > 20 for name in names), "commands of both robots")
    first = {name: list(commands[name][0].position) for name in names}
    assert first["one"] != first["two"], "two seeds gave the same first command"


def test_an_imu_that_is_mounted_upside_down_says_so(world):
    description = beetle_with_imu_upside_down(world.folder)
    imus, odometry = world.collect(Imu, "imu/data"), world.collect(Odometry, "odom")
    world.start_simulator(robot=description, wait_for_command=False)
    world.spin_until(lambda: {stamp(each) for each in imus} & {stamp(each) for each in odometry}, "both of one instant")
    seen = {stamp(each): each for each in imus}
    base = next(each for each in odometry if stamp(each) in seen)
    imu = seen[stamp(base)]
    q, turned = base.pose.pose.orientation, imu.orientation
    # Half a turn about the base's x axis.
    expected = [q.w, q.z, -q.y, -q.x]
    cosine = sum(a * b for a, b in zip(expected, [turned.x, turned.y, turned.z, turned.w], strict=True))
    assert abs(cosine) > 1 - 1e-5, (base, imu)
    assert imu.linear_acceleration.z < 0, imu
