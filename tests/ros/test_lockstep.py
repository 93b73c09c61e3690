"""Lockstep over topics and the same episode in one process: bit for bit the same."""

import numpy
import pytest
from hebbian_locomotion.msg import FootContacts, PlasticityState, WeightSnapshot
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from conftest import POLICY, ROBOT, ROOT, hebb, read_tensors, stamp
from policy_files import policy_at

# Nothing normalises its weights, which grow far beyond what is let pass on a robot.
GROWING = ROOT / "config/policies/study/beetle_none_11.safetensors"
STEPS = 500
# The client may know a node's publishers later than the other node does, and miss its first steps.
UNSEEN = 100
PERIOD = 20_000_000


def bits(rows):
    return numpy.array(rows, numpy.float64).astype(numpy.float32).view(numpy.uint32)


def by_stamp(messages, field):
    """One row per stamp, in order; a repeated message (one may get lost in lockstep) must repeat its values."""
    rows = {}
    for message in messages:
        row = list(field(message))
        assert rows.setdefault(stamp(message), row) == row, f"two values for the stamp {stamp(message)}"
    return rows


def pose(odometry):
    p, q = odometry.pose.pose.position, odometry.pose.pose.orientation
    return [p.x, p.y, p.z, q.x, q.y, q.z, q.w]


# At 40 Hz both have to come to the same physics rate: 100 Hz is no whole multiple.
@pytest.mark.parametrize(
    ("file", "rate"), [(POLICY, 50), (GROWING, 50), (POLICY, 40)], ids=lambda value: getattr(value, "stem", value)
)
def test_lockstep_over_topics_is_the_in_process_episode_bit_for_bit(world, file, rate):
    seed, period = 4242, 10**9 // rate
    policy = file if rate == 50 else policy_at(world.folder, rate)
    reference = world.folder / "reference.safetensors"
    duration = (STEPS + UNSEEN) / rate
    arguments = ["--robot", ROBOT, "--seed", seed, "--duration", duration, "--weights"]
    done = hebb("trace", policy, reference, *arguments)
    assert done.returncode == 0, done.stderr
    expected = read_tensors(reference)
    assert expected["joint_position"].shape == (STEPS + UNSEEN, 18)

    kinds = {
        "joint_states": JointState,
        "foot_contacts": FootContacts,
        "odom": Odometry,
        "joint_commands": JointState,
        "policy/weights": WeightSnapshot,
    }
    messages = {topic: world.collect(kind, topic, 2000) for topic, kind in kinds.items()}
    world.start_simulator(mode="lockstep", seed=seed, control_rate=float(rate))
    world.start_policy(policy=policy, seed=seed, weights_every=1, autostart="false")
    # The first step waits until somebody sees it.
    for topic in messages:
        world.spin_until(lambda topic=topic: world.client.count_publishers(topic) > 0, f"publisher of {topic}")
    for label in ["configure", "activate"]:
        request = ChangeState.Request(transition=Transition(label=label))
        assert world.call(ChangeState, "policy/change_state", request).success, label
    last = (STEPS + UNSEEN) * period
    world.spin_until(
        lambda: messages["policy/weights"] and stamp(messages["policy/weights"][-1]) > last + period,
        f"{STEPS} control steps",
        lambda: len(messages["policy/weights"]),
        timeout=120,
    )

    seen = {
        "joint_position": by_stamp(messages["joint_states"], lambda message: message.position),
        "foot_contact": by_stamp(messages["foot_contacts"], lambda message: map(float, message.in_contact)),
        "targets": by_stamp(messages["joint_commands"], lambda message: message.position),
        "weights": by_stamp(messages["policy/weights"], lambda message: message.weights),
    }
    # The first sensor values carry the stamp of one period; those after step n that of n + 1 periods.
    first = max(min(rows) for rows in seen.values()) // period - 1
    assert first <= UNSEEN, f"the first {first} steps were not seen"
    steps = range(first, first + STEPS)
    for name, rows in seen.items():
        missing = [step for step in steps if period * (step + 1) not in rows]
        assert not missing, f"{name}: {len(missing)} of {STEPS} steps were not seen"
        ours, theirs = bits([rows[period * (step + 1)] for step in steps]), expected[name][steps].view(numpy.uint32)
        differing = numpy.flatnonzero((ours != theirs).any(axis=1))
        assert differing.size == 0, f"{name} differs from step {first + differing[0]} on"
    poses = by_stamp(messages["odom"], pose)
    ours = bits([poses[period * (step + 2)] for step in steps])
    assert (ours == expected["base"][steps].view(numpy.uint32)).all()
    # What was compared is not a robot at rest.
    assert numpy.ptp(expected["joint_position"], axis=0).max() > 0.1
    assert numpy.abs(numpy.diff(expected["weights"], axis=0)).max() > 0
    # Nor one whose weights a limit would let pass.
    assert file != GROWING or numpy.abs(expected["weights"]).max() > 100


def test_lockstep_waits_for_a_late_policy_and_loses_nothing(world):
    joints = world.collect(JointState, "joint_states")
    world.start_simulator(mode="lockstep")
    world.spin_until(lambda: len(joints) >= 3, "repeated sensor values")
    assert {stamp(message) for message in joints} == {PERIOD}, "the simulator did not wait"
    world.start_policy()
    world.spin_until(lambda: stamp(joints[-1]) > 20 * PERIOD, "steps after the policy came")
    stamps = sorted({stamp(message) for message in joints})
    assert stamps == [PERIOD * (step + 1) for step in range(len(stamps))]


SLOWER = "sets of sensor values come every"


# Not free running: for a policy that is slower than that, full queues drop sets, maybe every second one.
@pytest.mark.parametrize(("mode", "factor"), [("lockstep", 1.0), ("real_time", 2.0)])
def test_a_simulator_that_is_slower_than_the_policy_is_named_once(world, mode, factor):
    """By its stamps: in real time its sets come as often as the policy makes steps."""
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    world.start_simulator(control_rate=25.0, mode=mode, speed_factor=factor)
    node = world.start_policy()
    world.spin_until(lambda: SLOWER in node.output(), "warning", node.output)
    before = len(states)
    world.spin_until(lambda: len(states) > before + 100, "control steps after it", node.output)
    [line] = [line for line in node.output().splitlines() if SLOWER in line]
    assert "WARN" in line and "every 40.0 ms" in line and "a step every 20.0 ms" in line, line


@pytest.mark.parametrize(("mode", "factor"), [("lockstep", 1.0), ("real_time", 0.5)])
def test_a_simulator_with_the_policys_rate_is_not_called_slower_whatever_its_pace(world, mode, factor):
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    world.start_simulator(mode=mode, speed_factor=factor)
    node = world.start_policy()
    world.spin_until(lambda: states and states[-1].step > 150, "control steps", node.output)
    assert SLOWER not in node.output(), node.output()
