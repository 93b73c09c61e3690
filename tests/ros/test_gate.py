"""The plasticity gate from outside: service, topic and parameter."""

import numpy
from hebbian_locomotion.msg import PlasticityState, WeightSnapshot
from hebbian_locomotion.srv import SetGate
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float32

from conftest import stamp


def start(world, **policy):
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    world.start_policy(**policy)
    world.spin_until(lambda: len(states) > 10, "control steps")
    return states


def set_gate(world, gate):
    return world.call(SetGate, "policy/set_gate", SetGate.Request(gate=gate))


def seen(states):
    return lambda: (states[-1].gate, states[-1].gate_reason)


def test_the_service_shuts_and_opens_the_gate_and_shut_means_not_one_bit(world):
    weights = world.collect(WeightSnapshot, "policy/weights")
    states = start(world, weights_every=1)
    answer = set_gate(world, 0.0)
    assert answer.success and answer.previous_gate == 1.0, answer
    world.spin_until(lambda: states[-1].gate == 0.0, "shut gate", seen(states))
    assert states[-1].gate_reason == "service"
    shut_from = next(stamp(state) for state in states if state.gate == 0.0)
    world.spin_for(1.0)
    shut = [state for state in states if stamp(state) >= shut_from]
    assert len(shut) > 20
    assert all(change == 0 for state in shut for change in state.weight_change_mean)
    frozen = {
        numpy.array(message.weights, numpy.float32).tobytes() for message in weights if stamp(message) >= shut_from
    }
    assert len(frozen) == 1, f"{len(frozen)} different weights behind a shut gate"

    answer = set_gate(world, 0.5)
    assert answer.success and answer.previous_gate == 0.0, answer
    world.spin_until(
        lambda: states[-1].gate == 0.5 and max(states[-1].weight_change_mean) > 0, "moving weights", seen(states)
    )


def test_each_layer_can_have_its_own_gate(world):
    states = start(world)
    answer = world.call(SetGate, "policy/set_gate", SetGate.Request(layer_gates=[1.0, 0.0, 0.5]))
    assert answer.success, answer
    world.spin_until(lambda: list(states[-1].layer_gates) == [1.0, 0.0, 0.5], "gates of the layers", seen(states))
    state = states[-1]
    assert (state.gate, state.gate_reason, state.gate_detail) == (0.0, "service", "service: set from outside"), state
    assert state.weight_change_mean[1] == 0.0 and state.weight_change_mean[0] > 0.0, state
    answer = world.call(SetGate, "policy/set_gate", SetGate.Request(layer_gates=[1.0, 1.0]))
    assert not answer.success and "2 layers" in answer.message, answer
    answer = set_gate(world, 1.0)
    assert answer.success, answer
    world.spin_until(lambda: states[-1].gate_reason == "open", "open gate", seen(states))


def test_a_gate_that_is_no_share_is_refused_and_changes_nothing(world):
    states = start(world)
    for gate in (-0.1, 1.5, float("nan"), float("inf")):
        answer = set_gate(world, gate)
        assert not answer.success and "from 0" in answer.message, answer
    topic = world.client.create_publisher(Float32, "policy/gate", 1)
    world.spin_until(lambda: topic.get_subscription_count() == 2, "both subscriptions of the gate")
    before = states[-1].rejected_messages
    topic.publish(Float32(data=7.0))
    world.spin_until(lambda: states[-1].rejected_messages > before, "counted rejection")
    world.spin_for(0.5)
    assert states[-1].rejected_messages == before + 1, "counted for each of the topic's subscriptions"
    assert states[-1].gate == 1.0


def test_a_best_effort_publisher_shuts_the_gate(world):
    states = start(world)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    topic = world.client.create_publisher(Float32, "policy/gate", best_effort)
    shut = (0.0, "topic")
    world.send_until(topic, Float32(data=0.0), lambda: seen(states)() == shut, "gate by topic", seen(states))


def test_topic_and_parameter_set_the_gate_too(world):
    states = start(world, gate=0.25)
    assert seen(states)() == (0.25, "parameter")
    topic = world.client.create_publisher(Float32, "policy/gate", 1)
    world.spin_until(lambda: topic.get_subscription_count() > 0, "subscriber of the gate")
    topic.publish(Float32(data=0.75))
    world.spin_until(lambda: seen(states)() == (0.75, "topic"), "gate by topic", seen(states))

    result = set_parameter(world, "gate", ParameterValue(type=3, double_value=0.125))
    assert result.successful, result
    world.spin_until(lambda: seen(states)() == (0.125, "parameter"), "gate by parameter", seen(states))


def set_parameter(world, name, value):
    request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
    return world.call(SetParameters, "policy/set_parameters", request).results[0]


def test_parameters_are_listed_described_and_guarded(world):
    start(world)
    names = world.call(ListParameters, "policy/list_parameters", ListParameters.Request()).result.names
    assert {"policy", "seed", "gate", "trigger", "weights_every", "use_sim_time"} <= set(names), names
    request = DescribeParameters.Request(names=["gate"])
    described = world.call(DescribeParameters, "policy/describe_parameters", request).descriptors[0]
    assert "plasticity gate" in described.description and described.type == 3 and not described.read_only
    bounds = described.floating_point_range[0]
    assert (bounds.from_value, bounds.to_value) == (0.0, 1.0)
    request = DescribeParameters.Request(names=["autostart", "seed"])
    autostart, seed = world.call(DescribeParameters, "policy/describe_parameters", request).descriptors
    assert autostart.read_only and "unconfigured" in seed.additional_constraints, (autostart, seed)
    request = GetParameters.Request(names=["gate", "seed"])
    values = world.call(GetParameters, "policy/get_parameters", request).values
    assert (values[0].double_value, values[1].integer_value) == (1.0, 0)

    for name, value, expected in [
        ("gate", ParameterValue(type=3, double_value=2.0), "from 0 to 1"),
        ("gate", ParameterValue(type=4, string_value="open"), "must be double"),
        ("seed", ParameterValue(type=2, integer_value=5), "read-only"),
        ("gat", ParameterValue(type=3, double_value=1.0), "did you mean `gate`?"),
    ]:
        result = set_parameter(world, name, value)
        assert not result.successful and expected in result.reason, f"{name}: {result}"
