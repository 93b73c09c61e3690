"""The recorder node: bags that other programs read, that lose nothing, survive a kill, and replay bit for bit."""

import json
import os
import signal
import time

import numpy
import pytest
import rclpy
from builtin_interfaces.msg import Time
from hebbian_locomotion.msg import PlasticityState, PolicyStep, WeightSnapshot
from hebbian_locomotion.srv import LoadPolicy, SetGate
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Bool, String

import tensors
from conftest import POLICY, ROBOT, TIMEOUT, analyze, hebb, stamp

SYNAPSES = 27 * 64 + 64 * 32 + 32 * 18
# Of the recorded walk; CONTRIBUTING.md says when to make it longer.
SECONDS = float(os.environ.get("HEBB_RECORDING_SECONDS", "6"))


def start_recorder(world, **parameters):
    bag = world.folder / "walk"
    return bag, world.start("recorder", **{"output": bag, **parameters})


def start_walk(world, recorder, simulator, policy):
    """The robot waits for the policy, and that until the recorder has found both: so the first step is in the bag."""

    def change(transition):
        request = ChangeState.Request(transition=Transition(label=transition))
        assert world.call(ChangeState, "policy/change_state", request).success, transition

    world.start_policy(**policy, autostart="false")
    change("configure")
    world.start_simulator(**simulator)
    for topic in [
        "policy/weights",
        "policy/steps",
        "joint_commands",
        "joint_states",
        "imu/data",
        "foot_contacts",
        "odom",
    ]:
        world.spin_until(lambda topic=topic: f"recording /{topic} (" in recorder.output(), f"recording of {topic}")
    change("activate")


def read(bag):
    """All messages by topic, each decoded by the definitions that the bag carries."""
    messages = {}
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            messages.setdefault(connection.topic, []).append(reader.deserialize(data, connection.msgtype))
    return messages


def end(world, *processes):
    """Ends nodes as one would by hand, the recorder last."""
    for process in [*world.processes[1:], world.processes[0]]:
        if process in processes or not processes:
            assert process.stop() == 0, process.output()


def test_a_walk_is_recorded_whole_and_replays_bit_for_bit(world):
    bag, recorder = start_recorder(world)
    seen = world.collect(WeightSnapshot, "policy/weights", 2000)
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    start_walk(world, recorder, {"seed": 3}, {"seed": 5, "weights_every": 1})
    world.spin_until(lambda: len(states) > 50, "control steps")
    answer = world.call(SetGate, "policy/set_gate", SetGate.Request(layer_gates=[1.0, 0.5, 0.0]))
    assert answer.success, answer.message
    world.spin_until(lambda: len(states) > SECONDS * 50, "control steps", timeout=TIMEOUT + 2 * SECONDS)
    end(world)

    messages = read(bag)
    weights, steps = messages["/policy/weights"], messages["/policy/steps"]
    numbers = [message.step for message in steps]
    assert numbers == list(range(len(steps))), "steps are missing or doubled"
    assert len(steps) > SECONDS * 50
    assert [message.step for message in weights] == numbers, "weights of some steps are missing"
    assert [message.step for message in messages["/policy/plasticity"]] == numbers
    assert {len(message.weights) for message in weights} == {SYNAPSES}
    recorded = {message.step: message.weights for message in weights}
    for message in seen:
        assert (numpy.array(message.weights, numpy.float32) == recorded[message.step]).all()
    assert len(messages["/robot_description"]) == len(messages["/policy/weights_layout"]) == 1
    for topic in [
        "/joint_states",
        "/imu/data",
        "/foot_contacts",
        "/odom",
        "/joint_commands",
        "/clock",
        "/simulator/status",
    ]:
        assert len(messages[topic]) >= SECONDS * 50 - 10, topic
    assert {tuple(message.gate_command) for message in steps} == {(1, 1, 1), (1, 0.5, 0)}

    report = world.folder / "replay.json"
    done = hebb("replay", bag, POLICY, "--json", report)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(report.read_text())
    assert report["integrity"] == "checked" and report["gaps"] == []
    assert report["replayed"] == len(steps) == report["weights"]["steps"] == report["gates"]["steps"]
    assert report["published"]["changed"] == 0

    # One bit of one weight.
    [storage] = bag.glob("*.mcap")
    data = bytearray(storage.read_bytes())
    place = data.find(weights[100].weights.tobytes())
    assert place > 0
    data[place + 1000] ^= 16
    storage.write_bytes(data)
    done = hebb("replay", bag, POLICY)
    assert done.returncode == 1 and "damaged" in done.stderr and done.stdout == "", done.stdout + done.stderr


def test_emergency_stops_and_transitions_are_recorded_by_default(world):
    bag, recorder = start_recorder(world)
    stops = world.client.create_publisher(Bool, "policy/emergency_stop", 10)
    start_walk(world, recorder, {"seed": 3}, {"seed": 5})
    for topic in ["policy/emergency_stop", "policy/transition_event"]:
        world.spin_until(lambda topic=topic: f"recording /{topic} (" in recorder.output(), f"recording of {topic}")
    # Two subscriptions are the policy's. The policy may learn of the recorder later than the other way round.
    world.spin_until(lambda: stops.get_subscription_count() == 3, "the recorder's subscription")
    stops.publish(Bool(data=True))
    world.spin_for(3.5)
    request = ChangeState.Request(transition=Transition(label="deactivate"))
    assert world.call(ChangeState, "policy/change_state", request).success
    world.spin_for(0.5)
    end(world)
    messages = read(bag)
    assert [message.data for message in messages["/policy/emergency_stop"]] == [True]
    events = [message.transition.label for message in messages["/policy/transition_event"]]
    assert "deactivate" in events, events


def test_a_killed_recorder_leaves_what_was_flushed(world):
    bag, recorder = start_recorder(world, flush_period=0.2)
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    world.start_simulator()
    world.start_policy(weights_every=1)
    world.spin_until(lambda: len(states) > 150, "control steps")
    recorder.stop(signal.SIGKILL)
    last = states[-1].step
    report = world.folder / "replay.json"
    done = hebb("replay", bag, POLICY, "--json", report)
    assert done.returncode == 0 and "cut short" in done.stdout, done.stdout + done.stderr
    report = json.loads(report.read_text())
    # The flush period, and what was on its way: 50 steps are a second.
    saved = world.folder / "saved"
    done = hebb("bag", bag, "--repair", saved)
    assert done.returncode == 0, done.stderr
    assert len(read(saved)["/policy/steps"]) == report["steps"]
    assert report["integrity"] == "cut" and last - 50 <= report["replayed"] <= last + 50, (report, last)


def test_a_recorder_that_comes_late_gets_what_is_latched(world):
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    world.start_simulator()
    world.start_policy(weights_every=1)
    world.spin_until(lambda: len(states) > 200, "control steps")
    bag, recorder = start_recorder(world)
    world.spin_until(lambda: "recording /policy/steps (" in recorder.output(), "subscription of the steps")
    before = len(states)
    # The policy may learn of the recorder later than the other way round: announcements are repeated after 3 s.
    world.spin_until(lambda: len(states) > before + 300, "control steps")
    assert recorder.stop() == 0, recorder.output()
    messages = read(bag)
    numbers = [message.step for message in messages["/policy/steps"]]
    assert numbers == list(range(len(numbers))), "the latched steps are not all there"
    assert len(messages["/robot_description"]) == len(messages["/policy/weights_layout"]) == 1
    done = hebb("replay", bag, POLICY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_recording_and_trace_of_an_episode_have_the_same_components(world):
    seed, steps = 77, 300
    bag, recorder = start_recorder(world)
    weights = world.collect(WeightSnapshot, "policy/weights", 2000)
    start_walk(world, recorder, {"mode": "lockstep", "seed": seed}, {"seed": seed, "weights_every": 1})
    world.spin_until(lambda: weights and weights[-1].step >= steps, "control steps")
    end(world)
    recorded = len(read(bag)["/policy/weights"])
    trace = world.folder / "trace.safetensors"
    done = hebb("trace", POLICY, trace, "--robot", ROBOT, "--seed", seed, "--duration", recorded * 0.02, "--weights")
    assert done.returncode == 0, done.stderr
    of_bag, of_trace = analyze(bag), analyze(trace)
    for path in [bag, trace]:
        assert (world.folder / f"{path.name}-report/report.html").stat().st_size > 1e6
    assert of_bag["explained"] == of_trace["explained"] and of_bag["fitted"] == of_trace["fitted"]
    [of_bag], [of_trace] = of_bag["recordings"], of_trace["recordings"]
    for key in ["samples", "components", "motion", "swing", "late_over_early", "layers"]:
        assert of_bag[key] == of_trace[key], key


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_any_topic_is_recorded_with_the_qos_that_its_publisher_offers(world, compression):
    latched = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
    notes = world.client.create_publisher(String, "/lab/notes", latched)
    notes.publish(String(data="before the recorder came"))
    topics = "[/lab/notes,/lab/joints,imu]"
    bag, recorder = start_recorder(world, topics=topics, compression=compression)
    joints = world.client.create_publisher(JointState, "/lab/joints", qos_profile_sensor_data)
    imu = world.client.create_publisher(Imu, "/imu", 10)
    world.spin_until(
        lambda: all(publisher.get_subscription_count() == 1 for publisher in [notes, joints, imu]), "subscriptions"
    )
    for index in range(20):
        joints.publish(JointState(name=[f"joint {index}"], position=[float(index)]))
        imu.publish(Imu())
        time.sleep(0.02)
    world.spin_for(0.5)
    assert recorder.stop() == 0, recorder.output()
    messages = read(bag)
    assert [message.data for message in messages["/lab/notes"]] == ["before the recorder came"]
    assert [message.name for message in messages["/lab/joints"]] == [[f"joint {index}"] for index in range(20)]
    assert len(messages["/imu"]) == 20
    with AnyReader([bag]) as reader:
        offered = {connection.topic: connection.ext.offered_qos_profiles[0] for connection in reader.connections}
    assert offered["/lab/notes"].durability.name == "TRANSIENT_LOCAL"
    assert offered["/lab/joints"].reliability.name == "BEST_EFFORT"


def test_a_publisher_that_offers_less_than_the_first_is_recorded_too(world):
    latched = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
    first = world.client.create_publisher(String, "/lab/notes", latched)
    first.publish(String(data="before the recorder came"))
    bag, recorder = start_recorder(world, topics="[/lab/notes]")
    world.spin_until(lambda: first.get_subscription_count() == 1, "subscription")
    first.publish(String(data="alone"))
    second = world.client.create_publisher(String, "/lab/notes", qos_profile_sensor_data)
    world.spin_until(lambda: second.get_subscription_count() == 1, "subscription of the one that offers less")
    # Until the older subscription has ended: whatever both bring is written once, also when two messages say the same.
    rounds = 80
    for index in range(rounds):
        for message in [f"first {index}", "first again"]:
            first.publish(String(data=message))
        second.publish(String(data=f"second {index}"))
        world.spin_for(0.1)
    assert recorder.stop() == 0, recorder.output()
    notes = sorted(message.data for message in read(bag)["/lab/notes"])
    expected = [f"{name} {index}" for name in ["first", "second"] for index in range(rounds)]
    assert notes == sorted([*expected, *["first again"] * rounds, "alone", "before the recorder came"])
    output = recorder.output()
    assert "offers less" in output and "best effort, without what is latched" in output and ", 0 lost" in output, output


def test_with_simulated_time_messages_are_noted_by_the_clock(world):
    clocks = world.client.create_publisher(Clock, "/clock", 10)
    notes = world.client.create_publisher(String, "/lab/notes", 10)
    bag, recorder = start_recorder(world, topics="[/lab/notes]", use_sim_time="true")

    def is_heard():
        # Before there is a time nothing is subscribed.
        clocks.publish(Clock(clock=Time(sec=1000)))
        return clocks.get_subscription_count() == notes.get_subscription_count() == 1

    world.spin_until(is_heard, "subscriptions")
    # The clock is heard best effort, and time may go back.
    for second in [1000, 10]:
        for _ in range(5):
            clocks.publish(Clock(clock=Time(sec=second)))
            world.spin_for(0.1)
        notes.publish(String(data=f"at {second} s"))
        world.spin_for(0.3)
    assert recorder.stop() == 0, recorder.output()
    with AnyReader([bag]) as reader:
        messages = [(reader.deserialize(data, each.msgtype).data, when) for each, when, data in reader.messages()]
    assert sorted(messages) == [("at 10 s", 10 * 10**9), ("at 1000 s", 1000 * 10**9)]


def test_a_topic_that_nobody_publishes_is_named(world):
    notes = world.client.create_publisher(String, "/lab/notes", 10)
    bag, recorder = start_recorder(world, topics="[/lab/notes,/lab/typo]")
    world.spin_until(lambda: notes.get_subscription_count() == 1, "subscription")
    notes.publish(String(data="here"))
    # While it runs, and at its end, where one would look.
    world.spin_until(lambda: "nobody publishes /lab/typo so far" in recorder.output(), "warning", recorder.output)
    assert recorder.stop() == 0, recorder.output()
    output = recorder.output()
    assert "/lab/typo was not recorded: nobody published it" in output, output
    assert "nobody publishes /lab/notes" not in output and "/lab/notes was not recorded" not in output, output
    assert [message.data for message in read(bag)["/lab/notes"]] == ["here"]


def test_a_topic_whose_publishers_disagree_is_recorded_once_they_agree(world):
    clocks = world.client.create_publisher(Clock, "/clock", 10)
    notes = world.client.create_publisher(String, "/lab/notes", 10)
    context = Context()
    rclpy.init(args=[], context=context, domain_id=world.domain)
    stray = Node("stray", context=context)
    stray.create_publisher(Imu, "/lab/notes", 10)
    bag, recorder = start_recorder(world, topics="[/lab/notes]", use_sim_time="true")
    # Before there is a time nothing is looked for, which is said: so both publishers are known when it comes.
    world.spin_until(lambda: "no /clock has come" in recorder.output(), "warning", recorder.output)
    now = Clock(clock=Time(sec=1000))
    kinds = "disagree about its type: sensor_msgs/msg/Imu and std_msgs/msg/String"
    world.send_until(clocks, now, lambda: kinds in recorder.output(), "complaint", recorder.output)
    world.spin_for(2.0)
    stray.destroy_node()
    rclpy.shutdown(context=context)
    world.send_until(clocks, now, lambda: notes.get_subscription_count() == 1, "subscription", recorder.output)
    notes.publish(String(data="alone"))
    world.spin_for(0.5)
    assert recorder.stop() == 0, recorder.output()
    assert [message.data for message in read(bag)["/lab/notes"]] == ["alone"]
    assert recorder.output().count("disagree") == 1, recorder.output()


def test_what_is_never_recorded_for_want_of_time_is_said(world):
    notes = world.client.create_publisher(String, "/lab/notes", 10)
    _, recorder = start_recorder(world, topics="[/lab/notes]", use_sim_time="true")
    world.spin_until(lambda: "no /clock has come" in recorder.output(), "warning", recorder.output)
    assert recorder.stop() == 0, recorder.output()
    assert "nothing was recorded" in recorder.output() and notes.get_subscription_count() == 0, recorder.output()


def test_a_policy_that_is_loaded_while_recording_replays_with_its_own_file(world):
    bag, recorder = start_recorder(world)
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    start_walk(world, recorder, {"seed": 3}, {"seed": 5, "weights_every": 1})
    world.spin_until(lambda: len(states) > 60, "control steps")
    values, metadata = tensors.read(POLICY)
    description = {**json.loads(metadata["hebbian_locomotion"]), "name": "the other one"}
    other = world.folder / "other.safetensors"
    tensors.write(other, values, {"hebbian_locomotion": json.dumps(description)})
    answer = world.call(LoadPolicy, "policy/load_policy", LoadPolicy.Request(path=str(other), seed=7))
    assert answer.success, answer.message
    before = len(states)
    world.spin_until(lambda: len(states) > before + 60, "control steps of the other policy")
    end(world)
    steps = {}
    for file in [POLICY, other]:
        report = world.folder / "replay.json"
        done = hebb("replay", bag, file, "--json", report)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(report.read_text())
        [gap] = report["gaps"]
        assert "other_policy" in gap["reason"] and gap["steps"] + report["replayed"] == report["steps"], report
        steps[file] = report["replayed"]
    assert min(steps.values()) > 50 and sum(steps.values()) == len(read(bag)["/policy/steps"]), steps


def test_two_policies_in_one_bag_are_replayed_by_name(world):
    topics = [f"/{name}/policy/{topic}" for name in ["one", "two"] for topic in ["steps", "weights", "weights_layout"]]
    bag, _ = start_recorder(world, topics=f"[{','.join(topics)}]")
    steps = {name: world.collect(PolicyStep, f"/{name}/policy/steps", 500) for name in ["one", "two"]}
    for name, seed in [("one", 1), ("two", 2)]:
        namespace = ["--ros-args", "-r", f"__ns:=/{name}"]
        world.start("simulator", *namespace, robot=ROBOT, seed=seed)
        world.start_policy(*namespace, seed=seed, weights_every=1)
    world.spin_until(lambda: all(len(messages) > 60 for messages in steps.values()), "steps of both")
    assert stamp(steps["one"][0]) > 0
    end(world)
    done = hebb("replay", bag, POLICY)
    assert done.returncode == 1 and "/one/policy, /two/policy" in done.stderr, done.stderr
    for name in ["one", "two"]:
        done = hebb("replay", bag, POLICY, "--node", f"/{name}/policy")
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_be_recorded_is_named(world):
    (world.folder / "walk").mkdir()
    _, recorder = start_recorder(world)
    assert recorder.wait() == 1 and "exists already" in recorder.output(), recorder.output()
    recorder = world.start("recorder")
    assert recorder.wait() == 1 and "`output`" in recorder.output(), recorder.output()
