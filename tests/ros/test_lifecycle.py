"""The policy node as a managed node: states, transitions and their errors, parameters between them."""

import os

from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions, GetState
from rcl_interfaces.msg import Log, Parameter, ParameterEvent, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState

from conftest import POLICY

NAMES = ["configure", "cleanup", "activate", "deactivate", "shutdown"]


def state(world):
    return world.call(GetState, "policy/get_state", GetState.Request()).current_state


def change(world, label, number=0):
    request = ChangeState.Request(transition=Transition(id=number, label=label))
    return world.call(ChangeState, "policy/change_state", request).success


def available(world):
    answer = world.call(GetAvailableTransitions, "policy/get_available_transitions", GetAvailableTransitions.Request())
    return [description.transition.label for description in answer.available_transitions]


def set_parameter(world, name, text):
    value = ParameterValue(type=4, string_value=str(text))
    request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
    return world.call(SetParameters, "policy/set_parameters", request).results[0]


def test_every_transition_leads_where_the_lifecycle_says(world):
    events = world.collect(TransitionEvent, "policy/transition_event")
    node = world.start_policy(autostart="false")
    assert state(world).id == State.PRIMARY_STATE_UNCONFIGURED
    world.spin_until(lambda: world.client.count_publishers("/policy/transition_event") > 0, "the topic of transitions")
    walk = [
        ("configure", "inactive", ["cleanup", "activate", "shutdown"]),
        ("activate", "active", ["deactivate", "shutdown"]),
        ("deactivate", "inactive", ["cleanup", "activate", "shutdown"]),
        ("cleanup", "unconfigured", ["configure", "shutdown"]),
        ("configure", "inactive", ["cleanup", "activate", "shutdown"]),
        ("activate", "active", ["deactivate", "shutdown"]),
        ("shutdown", "finalized", []),
    ]
    for label, expected, next_ones in walk:
        refused = [name for name in NAMES if name not in available(world)]
        assert not any(change(world, name) for name in refused), f"one of {refused} before {label}"
        assert change(world, label), f"{label}\n{node.output()}"
        assert (state(world).label, available(world)) == (expected, next_ones)
    world.spin_until(lambda: len(events) >= 2 * len(walk), "events", lambda: len(events))
    seen = [(event.start_state.label, event.goal_state.label) for event in events[:4]]
    assert seen == [
        ("unconfigured", "configuring"),
        ("configuring", "inactive"),
        ("inactive", "activating"),
        ("activating", "active"),
    ]
    assert node.stop() == 0, node.output()


def test_numbers_without_labels_and_the_graph_are_those_of_lifecycle_msgs(world):
    world.start_policy(autostart="false")
    assert change(world, "", Transition.TRANSITION_CONFIGURE)
    assert not change(world, "", Transition.TRANSITION_DEACTIVATE)
    assert change(world, "", Transition.TRANSITION_ACTIVATE)
    states = world.call(GetAvailableStates, "policy/get_available_states", GetAvailableStates.Request())
    assert len(states.available_states) == 11
    graph = world.call(GetAvailableTransitions, "policy/get_transition_graph", GetAvailableTransitions.Request())
    edges = {(edge.start_state.label, edge.transition.label) for edge in graph.available_transitions}
    assert ("active", "deactivate") in edges and ("errorprocessing", "transition_success") in edges


def test_a_configuration_that_fails_leaves_the_node_unconfigured_and_says_why(world):
    latched = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    log = world.collect(Log, "/rosout", latched)
    changes = world.collect(ParameterEvent, "/parameter_events")
    node = world.start_policy(autostart="false", policy="/no/such.safetensors")
    assert not change(world, "configure")
    assert state(world).label == "unconfigured"
    world.spin_until(lambda: any("/no/such.safetensors" in entry.msg for entry in log), "the reason on /rosout")
    # An unconfigured node takes another policy, a configured one keeps it.
    assert set_parameter(world, "policy", POLICY).successful
    assert change(world, "configure"), node.output()
    world.spin_until(lambda: changes and changes[-1].changed_parameters[0].name == "policy", "the event of the change")
    refused = set_parameter(world, "policy", "/another.safetensors")
    assert not refused.successful and "configured" in refused.reason, refused


def test_an_autostart_that_fails_ends_the_node(world):
    node = world.start_policy(policy="/no/such.safetensors")
    assert node.wait() == 1 and "/no/such.safetensors" in node.output()


def test_only_an_active_node_commands(world):
    commands = world.collect(JointState, "joint_commands")
    world.start_simulator(wait_for_command=False)
    node = world.start_policy(autostart="false")
    assert change(world, "configure")
    world.spin_for(0.5)
    assert not commands, "commands of an inactive node"
    assert change(world, "activate")
    world.spin_until(lambda: len(commands) > 10, "commands of an active node", node.output)
    assert change(world, "deactivate")
    world.spin_for(0.3)
    before = len(commands)
    world.spin_for(0.5)
    assert len(commands) == before, "commands after deactivation"
    assert change(world, "activate")
    world.spin_until(lambda: len(commands) > before + 10, "commands after the second activation", node.output)


def test_lives_leave_nothing_behind(world):
    node = world.start_policy(autostart="false")

    def life():
        for label in ["configure", "activate", "deactivate", "cleanup"]:
            assert change(world, label), label

    def threads_and_files():
        process = f"/proc/{node.popen.pid}"
        return len(os.listdir(f"{process}/task")), len(os.listdir(f"{process}/fd"))

    life()
    before = threads_and_files()
    for _ in range(20):
        life()
    assert threads_and_files() == before


def test_a_node_in_a_namespace_is_managed_there(world):
    world.start_policy("-r", "__ns:=/left", autostart="false")
    answer = world.call(GetState, "/left/policy/get_state", GetState.Request())
    assert answer.current_state.label == "unconfigured"
