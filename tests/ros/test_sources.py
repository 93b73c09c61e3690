"""Topics with a second source: one of commands keeps a policy from beginning, one of sensor values is named."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Imu, JointState


def change(world, label, node="policy"):
    request = ChangeState.Request(transition=Transition(label=label))
    return world.call(ChangeState, f"{node}/change_state", request).success


def await_refusal(world, process, named, node="policy"):
    """Activates the node until that is refused for what is `named`.

    Who else is there may be known a moment later only, and what its node is called later still.
    """

    def is_refused():
        if not change(world, "activate", node):
            return named in process.output()
        assert change(world, "deactivate", node), process.output()
        return False

    world.spin_until(is_refused, f"refusal with {named!r}", process.output)


@pytest.mark.parametrize(
    ("topic", "remapping"),
    [("/joint_commands", []), ("/robot/commands", ["-r", "joint_commands:=/robot/commands"])],
    ids=["as it is", "remapped"],
)
def test_a_node_that_commands_already_is_named_and_keeps_the_policy_from_beginning(world, topic, remapping):
    commands = world.collect(JointState, topic)
    sliders = world.client.create_publisher(JointState, topic, 1)
    world.start_simulator(wait_for_command=False)
    node = world.start_policy(*remapping, autostart="false")
    assert change(world, "configure"), node.output()
    await_refusal(world, node, f"commands on {topic} can come from `/test_client` too")

    world.client.destroy_publisher(sliders)
    world.spin_until(lambda: change(world, "activate"), "activation after it has gone", node.output)
    world.spin_until(lambda: len(commands) > 10, "commands", node.output)
    # One that comes later stops nobody, and is named as well.
    said = f"`/test_client` can publish commands on {topic} too"
    known = node.output().count(said)
    world.client.create_publisher(JointState, topic, 1)
    world.spin_until(lambda: node.output().count(said) > known, "warning", node.output)
    before = len(commands)
    world.spin_until(lambda: len(commands) > before + 10, "commands after it", node.output)


def test_a_forgotten_policy_node_keeps_another_one_from_beginning_unless_they_share_on_purpose(world):
    first = world.start_policy(autostart="false")
    assert change(world, "configure"), first.output()
    # The parameters of the file are those of a node called `policy`.
    second = world.start_policy("-r", "__node:=second", autostart="false")
    assert change(world, "configure", "second"), second.output()
    assert "has no values for this node, `/second`: it names `policy`" in second.output(), second.output()
    assert "has no values for this node" not in first.output(), first.output()
    await_refusal(world, second, "can come from `/policy` too", "second")

    def share(node, value):
        shared = Parameter(name="shared_commands", value=ParameterValue(type=1, bool_value=value))
        request = SetParameters.Request(parameters=[shared])
        assert world.call(SetParameters, f"{node}/set_parameters", request).results[0].successful

    for node in ("policy", "second"):
        share(node, True)
    assert change(world, "activate"), first.output()
    assert change(world, "deactivate"), first.output()
    assert change(world, "activate", "second"), second.output()
    warning = "`/policy` can publish commands on /joint_commands too: the robot follows"
    # One may have been said above, before it was refused.
    known = second.output().count(warning)
    world.spin_for(0.6)
    assert second.output().count(warning) == known, second.output()
    # For a node that is active as well.
    share("second", False)
    world.spin_until(lambda: second.output().count(warning) > known, "warning", second.output)


def test_a_second_source_of_sensor_values_is_named_until_it_has_gone(world):
    diagnostics = world.collect(DiagnosticArray, "/diagnostics")
    world.start_simulator(wait_for_command=False)
    node = world.start_policy()

    def said():
        """Level and text of the sources' status."""
        found = [status for array in diagnostics for status in array.status if status.name == "/policy: sources"]
        return (found[-1].level, found[-1].message) if found else None

    def await_all_well():
        world.spin_until(lambda: said() == (DiagnosticStatus.OK, "one for each topic"), "good word", said)

    await_all_well()
    topics = {"/joint_states": JointState, "/imu/data": Imu}
    made_up = [world.client.create_publisher(kind, topic, 5) for topic, kind in topics.items()]
    expected = [f"{topic} has 2 publishers, `/simulator` and `/test_client`" for topic in topics]

    def are_named():
        level, message = said()
        return level == DiagnosticStatus.WARN and all(text in message for text in expected)

    world.spin_until(are_named, "status", said)
    assert all(text in node.output() for text in expected), node.output()
    for publisher in made_up:
        world.client.destroy_publisher(publisher)
    await_all_well()
