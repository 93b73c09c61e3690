"""What a node takes from the topic /clock with `use_sim_time`, and from the day without it."""

import time

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterEvent, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosgraph_msgs.msg import Clock


def nanoseconds(stamp):
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def stamps_of_the_policy(world, **policy):
    """The stamps of its last diagnostics and of its last parameter event, and the last of /clock."""
    clocks = world.collect(Clock, "/clock")
    diagnostics = world.collect(DiagnosticArray, "/diagnostics")
    events = world.collect(ParameterEvent, "/parameter_events")
    world.start_simulator()
    world.start_policy(**policy)

    def own_diagnostics():
        return [message for message in diagnostics if message.status[0].name.startswith("/policy:")]

    def own_events():
        return [message for message in events if message.node == "/policy"]

    # The first may have come before the clock.
    world.spin_until(lambda: len(own_diagnostics()) > 2, "diagnostics of the policy")
    gate = Parameter(name="gate", value=ParameterValue(type=3, double_value=0.5))
    answer = world.call(SetParameters, "policy/set_parameters", SetParameters.Request(parameters=[gate]))
    assert answer.results[0].successful, answer
    world.spin_until(own_events, "event of the policy")
    last = own_diagnostics()[-1].header.stamp, own_events()[-1].stamp
    # What they were stamped by may be heard after them.
    world.spin_for(0.3)
    return [nanoseconds(stamp) for stamp in (*last, clocks[-1].clock)]


def test_with_simulated_time_diagnostics_and_parameter_events_have_the_time_of_the_clock(world):
    diagnostics, event, clock = stamps_of_the_policy(world, use_sim_time="true")
    assert 0 < diagnostics <= clock and 0 < event <= clock, (diagnostics, event, clock)


def test_a_timer_in_simulated_time_is_warned_of_once(world):
    world.start_simulator(wait_for_command=False)
    diagnostics = world.collect(DiagnosticArray, "/diagnostics")
    node = world.start_policy(use_sim_time="true", trigger="timer")

    def is_running():
        return any(message.status[0].name.startswith("/policy:") for message in diagnostics)

    world.spin_until(is_running, "diagnostics of the policy", node.output)
    assert node.output().count("with `trigger: timer` the steady clock makes the steps") == 1, node.output()


def test_without_it_they_have_the_time_of_day(world):
    diagnostics, event, _ = stamps_of_the_policy(world)
    now = time.time_ns()
    assert all(0 <= now - stamp < 60e9 for stamp in (diagnostics, event)), (diagnostics, event, now)
