"""Every service of the simulator, right and wrong requests: a wrong one changes nothing and says why."""

import math

import pytest
from hebbian_locomotion.msg import FootContacts, SimulatorStatus
from hebbian_locomotion.srv import Push, Reset, SetDamage, SetTerrain, Step
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool
from visualization_msgs.msg import Marker, MarkerArray

from conftest import LATCHED, stamp


class Robot:
    """A simulated robot that stands, without a policy, and what it shows."""

    def __init__(self, world, **parameters):
        self.world = world
        self.joints = world.collect(JointState, "joint_states")
        self.contacts = world.collect(FootContacts, "foot_contacts")
        self.odometry = world.collect(Odometry, "odom")
        self.status = world.collect(SimulatorStatus, "simulator/status")
        still = {"wait_for_command": False, "start_noise__position": 0.0, "start_noise__velocity": 0.0}
        self.process = world.start_simulator(**{**still, **parameters})
        world.spin_until(lambda: self.joints and self.contacts and self.odometry, "a running simulator")

    def call(self, kind, name, **request):
        return self.world.call(kind, f"simulator/{name}", kind.Request(**request))

    def go_on(self, steps=60):
        """Waits until so many more control steps were seen."""
        self.world.spin_until(lambda: self.status, "status")
        until = self.status[-1].control_steps + steps
        self.world.spin_until(lambda: self.status[-1].control_steps >= until, "steps", lambda: self.status[-1])

    def pause(self):
        assert self.call(SetBool, "pause", data=True).success
        self.world.spin_until(lambda: self.status and self.status[-1].paused, "pause", lambda: self.status[-1:])
        self.world.spin_for(0.3)

    def position(self):
        at = self.odometry[-1].pose.pose.position
        return at.x, at.y, at.z

    def angle(self, joint):
        message = self.joints[-1]
        return message.position[list(message.name).index(joint)]

    def force(self, foot):
        message = self.contacts[-1]
        return message.force[list(message.names).index(foot)]

    def assert_refused(self, kind, name, *said, **request):
        """The request is refused for the given reason, and a standing robot goes on standing where it is."""
        self.go_on(1)
        before, seed = self.position(), self.status[-1].seed
        answer = self.call(kind, name, **request)
        assert not answer.success, answer
        for text in said:
            assert text in answer.message, answer.message
        self.go_on(10)
        assert math.dist(before, self.position()) < 0.002, "a refused request moved the robot"
        assert self.status[-1].seed == seed


@pytest.fixture
def robot(world):
    robot = Robot(world, mode="real_time", speed_factor=2.0)
    robot.go_on()
    return robot


def test_a_reset_puts_base_and_joints_where_they_are_asked_to_be(robot):
    answer = robot.call(Reset, "reset", seed=5, x=2.0, y=-1.0, yaw=0.5, joints=["CF1", "FT4"], positions=[0.1, -0.2])
    assert answer.success and answer.seed == 5, answer
    robot.world.spin_until(
        lambda: abs(robot.position()[0] - 2) < 0.1 and abs(robot.position()[1] + 1) < 0.1, "robot there", robot.position
    )
    q = robot.odometry[-1].pose.pose.orientation
    assert abs(2 * math.atan2(q.z, q.w) - 0.5) < 0.1, q
    robot.go_on(10)
    assert abs(robot.angle("FT4") + 0.2) < 0.1, robot.angle("FT4")


def test_wrong_resets_are_refused(robot):
    robot.assert_refused(Reset, "reset", "unknown joint `CF11`", "`CF1`", seed=9, joints=["CF11"], positions=[0.1])
    robot.assert_refused(Reset, "reset", "`CF1` at 9 rad", seed=9, joints=["CF1"], positions=[9.0])
    robot.assert_refused(Reset, "reset", "`positions` has 0 entries for 1 names", seed=9, joints=["CF1"])
    robot.assert_refused(Reset, "reset", "NaN", seed=9, x=math.nan)
    # On steps such a number would be that of a block beyond all counting.
    assert robot.call(SetTerrain, "set_terrain", terrain="{relief: {steps: {}}}").success
    robot.go_on()
    for place in ({"x": 1e30}, {"y": -1001.0}):
        robot.assert_refused(Reset, "reset", "from -1000 to 1000 m", seed=9, **place)


def test_a_command_after_a_reset_moves_only_the_joints_that_it_names(world):
    robot = Robot(world, suspended=True)
    commander = world.client.create_publisher(JointState, "joint_commands", 1)
    world.spin_until(commander.get_subscription_count, "subscription of the simulator")
    both = JointState(name=["CF1", "FT3"], position=[-0.5, 0.5])
    world.send_until(commander, both, lambda: abs(robot.angle("FT3") - 0.5) < 0.05, "way of both joints")
    # What is on its way arrives before the reset.
    world.spin_for(0.2)
    assert robot.call(Reset, "reset", keep_seed=True).success
    world.spin_until(lambda: abs(robot.angle("FT3")) < 0.05, "start pose", lambda: robot.angle("FT3"))
    one = JointState(name=["CF1"], position=[-0.5])
    world.send_until(commander, one, lambda: abs(robot.angle("CF1") + 0.5) < 0.05, "way of one joint")
    robot.go_on(20)
    assert abs(robot.angle("FT3")) < 0.05, robot.angle("FT3")


def test_another_ground_is_laid_and_wrong_ground_is_refused(robot):
    level = robot.position()[2]
    gaps = "{relief: {gaps: {width: 2.0, length: 2.0, depth: 0.5, start: 0.0}}}"
    answer = robot.call(SetTerrain, "set_terrain", terrain=gaps)
    assert answer.success, answer
    # In front of a start of no length is a gap of two metres.
    assert robot.call(Reset, "reset", seed=1, x=1.0).success
    robot.go_on()
    assert abs(robot.position()[2] - level + 0.5) < 0.02, robot.position()
    robot.assert_refused(SetTerrain, "set_terrain", "did you mean `slope`?", terrain="{slop: 0.1}")
    robot.assert_refused(SetTerrain, "set_terrain", "`slope` is 3", terrain="{slope: 3.0}")
    robot.assert_refused(SetTerrain, "set_terrain", terrain="{slope: [")
    robot.assert_refused(SetTerrain, "set_terrain", "bytes", terrain="#" * 100_000)
    assert robot.call(SetTerrain, "set_terrain", terrain="").success
    robot.go_on()
    assert abs(robot.position()[2] - level) < 0.02, "not flat again"


def test_damage_takes_effect_at_once_and_after_a_reset_until_it_is_taken_back(robot):
    assert robot.force("tip1") > 1.0
    answer = robot.call(SetDamage, "set_damage", damage="[{lost_leg: {joint: BC1}}, {payload: {mass: 0.5}}]")
    assert answer.success, answer
    robot.go_on(20)
    assert robot.force("tip1") == 0.0
    assert robot.call(Reset, "reset", keep_seed=True).success
    robot.go_on(20)
    assert robot.force("tip1") == 0.0, "the damage did not survive the reset"
    wrong = "[{payload: {mass: 3}}, {limp_joint: {joint: FT11}}]"
    robot.assert_refused(SetDamage, "set_damage", "damage 2", "unknown joint `FT11`; did you mean `FT1`?", damage=wrong)
    robot.assert_refused(SetDamage, "set_damage", "did you mean `payload`?", damage="[{paylod: {mass: 3}}]")
    robot.assert_refused(SetDamage, "set_damage", "`mass` is -1", damage="[{payload: {mass: -1}}]")
    assert robot.call(SetDamage, "set_damage", damage="").success
    assert robot.call(Reset, "reset", keep_seed=True).success
    robot.go_on()
    assert robot.force("tip1") > 1.0, "the leg did not come back"


def test_a_push_moves_the_robot_and_wrong_pushes_do_not(robot):
    robot.assert_refused(
        Push, "push", "unknown link `bas_link`", "base_link", force=[0.0, 50.0, 0.0], duration=0.2, link="bas_link"
    )
    robot.assert_refused(Push, "push", "`duration` is -1", force=[0.0, 50.0, 0.0], duration=-1.0)
    robot.assert_refused(Push, "push", "`force` is NaN", force=[0.0, math.nan, 0.0], duration=0.2)
    robot.assert_refused(Push, "push", "`point` has 2 entries", force=[0.0, 50.0, 0.0], duration=0.2, point=[0.0, 1.0])
    before = robot.position()
    assert robot.call(Push, "push", force=[0.0, 80.0, 0.0], duration=0.3).success
    robot.go_on()
    assert robot.position()[1] - before[1] > 0.05, (before, robot.position())


def test_a_paused_simulation_steps_as_often_as_asked(robot):
    answer = robot.call(Step, "step", steps=3)
    assert not answer.success and "not paused" in answer.message, answer
    robot.pause()
    before = stamp(robot.joints[-1])
    answer = robot.call(Step, "step", steps=7)
    assert answer.success, answer
    robot.world.spin_for(0.5)
    assert stamp(robot.joints[-1]) - before == 7 * 20_000_000
    assert robot.status[-1].control_steps == answer.control_steps and robot.status[-1].paused
    for steps in (0, 4_000_000_000):
        answer = robot.call(Step, "step", steps=steps)
        assert not answer.success and str(steps) in answer.message, answer
    robot.world.spin_for(0.3)
    assert stamp(robot.joints[-1]) - before == 7 * 20_000_000, "a refused request stepped"
    assert robot.call(SetBool, "pause", data=False).success
    robot.go_on(5)


@pytest.mark.parametrize("mode", ["real_time", "free_running"])
def test_a_simulation_that_waits_for_its_first_command_steps_when_it_is_asked_to(world, mode):
    robot = Robot(world, mode=mode, wait_for_command=True)
    robot.pause()
    before = stamp(robot.joints[-1])
    answer = robot.call(Step, "step", steps=10)
    assert answer.success and answer.control_steps == 10, answer
    world.spin_for(0.5)
    assert stamp(robot.joints[-1]) - before == 10 * 20_000_000
    assert robot.call(SetBool, "pause", data=False).success
    world.spin_for(0.5)
    assert stamp(robot.joints[-1]) - before == 10 * 20_000_000, "after the pause it waits again"


@pytest.mark.parametrize("mode", ["real_time", "free_running"])
def test_who_comes_during_a_pause_hears_the_time_and_the_sensors(world, mode):
    robot = Robot(world, mode=mode)
    robot.go_on(5)
    robot.pause()
    clock, late = world.collect(Clock, "/clock"), world.collect(JointState, "joint_states")
    world.spin_until(lambda: clock and late, "time and sensor values")
    assert len({stamp(message) for message in late}) == 1, "time did not stand still"
    assert {message.clock.sec * 1_000_000_000 + message.clock.nanosec for message in clock} == {stamp(late[-1])}


def test_another_ground_during_a_pause_is_told_in_the_status(robot):
    robot.pause()
    before = robot.status[-1]
    assert before.paused and before.torque_squared > 0.0, before
    assert robot.call(SetTerrain, "set_terrain", terrain="{slope: 0.1}").success
    # The robot is at its start again: these are new sensor values.
    robot.world.spin_until(
        lambda: stamp(robot.status[-1]) > stamp(before), "status of the new start", lambda: robot.status[-1]
    )
    after = robot.status[-1]
    assert after.paused and after.torque_squared == 0.0 and after.control_steps == before.control_steps, after


def test_a_call_of_step_is_answered_even_when_the_pause_ends(world):
    robot = Robot(world, mode="lockstep")
    robot.pause()
    # Nobody sends commands, so that none of these steps can be done.
    client = world.client.create_client(Step, "simulator/step")
    world.spin_until(client.service_is_ready, "service")
    stepping = client.call_async(Step.Request(steps=5))
    world.spin_for(0.3)
    assert not stepping.done()
    assert robot.call(SetBool, "pause", data=False).success
    world.spin_until(stepping.done, "answer")
    assert not stepping.result().success and "5 steps" in stepping.result().message, stepping.result()


def test_parameters_give_the_first_ground_and_damage(world):
    ground = world.collect(MarkerArray, "simulator/ground", LATCHED)
    description = world.collect(String, "robot_description", LATCHED)
    robot = Robot(
        world,
        # In quotes, or ROS itself would read it as YAML.
        terrain="'{relief: {uneven: {height: 0.03}}, seed: 3}'",
        damage="'[{lost_leg: {joint: BC1}}]'",
        ground_markers=True,
    )
    world.spin_until(lambda: ground and description, "ground and description")
    assert "<robot" in description[0].data
    clear, surface = ground[-1].markers
    assert clear.action == Marker.DELETEALL and surface.type == Marker.TRIANGLE_LIST
    assert len(surface.points) % 3 == 0 and 0.01 < max(point.z for point in surface.points) < 0.031
    assert surface.header.frame_id == "odom"
    robot.go_on(20)
    assert robot.force("tip1") == 0.0
    assert robot.status[-1].torque_squared > 0.0


def test_wrong_descriptions_in_parameters_end_the_node_with_the_reason(world):
    for parameters, said in [
        ({"terrain": "'{slop: 1.0}'"}, "did you mean `slope`?"),
        ({"damage": "'[{limp_joint: {joint: FT11}}]'"}, "did you mean `FT1`?"),
    ]:
        process = world.start_simulator(**parameters)
        assert process.wait() == 1
        assert said in process.output(), process.output()
