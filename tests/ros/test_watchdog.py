"""The simulator's command watchdog: without commands the robot holds its pose, and goes on when they come again."""

import signal

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from hebbian_locomotion.msg import SimulatorStatus
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from conftest import stamp

WARNING = "the robot holds its pose until one comes"
JOINT, FAR, OTHER = "CF1", -1.2, "FT3"


class Watched:
    """A simulator, and a client that commands now and then."""

    def __init__(self, world, **parameters):
        self.world = world
        self.joints = world.collect(JointState, "joint_states")
        self.status = world.collect(SimulatorStatus, "simulator/status")
        self.diagnostics = world.collect(DiagnosticArray, "/diagnostics")
        self.commander = world.client.create_publisher(JointState, "joint_commands", 1)
        still = {"start_noise__position": 0.0, "start_noise__velocity": 0.0, "suspended": True}
        # Slowly, so that the joint is far from its target when the watchdog barks.
        self.simulator = world.start_simulator(
            **{**still, "velocity_limit": 0.3, "wait_for_command": False, **parameters}
        )
        world.spin_until(lambda: self.joints and self.commander.get_subscription_count(), "a simulator")

    def command(self):
        self.commander.publish(JointState(name=[JOINT], position=[FAR]))

    def angle(self, joint=JOINT):
        message = self.joints[-1]
        return message.position[list(message.name).index(joint)]

    def said(self):
        """Level and message of the commands' status."""
        found = [
            status for array in self.diagnostics for status in array.status if status.name == "/simulator: commands"
        ]
        return (found[-1].level, found[-1].message) if found else None

    def await_said(self, level, message):
        self.world.spin_until(lambda: self.said() == (level, message), f"`{message}`", self.said)

    def go_on(self, seconds):
        """Waits for so much simulated time."""
        until = stamp(self.joints[-1]) + seconds * 1e9
        self.world.spin_until(lambda: stamp(self.joints[-1]) >= until, "simulated time")


COMMANDED = (DiagnosticStatus.OK, "commanded")
SILENT = (DiagnosticStatus.WARN, "no more commands: holds its pose")


def test_a_robot_without_commands_stops_where_it_is_and_goes_on_with_the_next_one(world):
    robot = Watched(world)
    robot.await_said(DiagnosticStatus.OK, "no command yet: holds the start pose")
    robot.go_on(1.0)
    assert WARNING not in robot.simulator.output(), "nobody has commanded yet"

    robot.command()
    robot.await_said(*SILENT)
    robot.go_on(0.5)
    held = robot.angle()
    # Half a second at 0.3 rad/s, and some for messages that were on their way.
    assert -0.6 < held < -0.05, held
    robot.go_on(1.0)
    assert abs(robot.angle() - held) < 0.005, (held, robot.angle())
    assert robot.simulator.output().count(WARNING) == 1, robot.simulator.output()

    world.send_until(
        robot.commander, JointState(name=[JOINT], position=[FAR]), lambda: robot.angle() < FAR + 0.1, "its way"
    )
    robot.await_said(*COMMANDED)
    assert robot.simulator.output().count("commands on joint_commands again, after") == 1, robot.simulator.output()
    robot.await_said(*SILENT)
    assert robot.simulator.output().count(WARNING) == 2, robot.simulator.output()


def test_a_command_after_a_hold_moves_only_the_joints_that_it_names(world):
    robot = Watched(world)
    robot.commander.publish(JointState(name=[JOINT, OTHER], position=[FAR, 1.0]))
    robot.await_said(*SILENT)
    robot.go_on(0.5)
    held = robot.angle(OTHER)
    assert 0.05 < held < 0.6, held
    command = JointState(name=[JOINT], position=[FAR])
    world.send_until(robot.commander, command, lambda: robot.angle() < FAR + 0.1, "its way", robot.angle)
    assert abs(robot.angle(OTHER) - held) < 0.02, (held, robot.angle(OTHER))


def test_a_first_command_without_a_stamp_is_missed_like_any_other(world):
    robot = Watched(world, wait_for_command=True)
    command = JointState(name=[JOINT], position=[FAR])
    world.send_until(robot.commander, command, lambda: robot.said() == COMMANDED, "a commanded robot", robot.said)
    robot.await_said(*SILENT)
    assert WARNING in robot.simulator.output()


def test_a_timeout_of_zero_never_holds(world):
    robot = Watched(world, command_timeout=0.0)
    robot.command()
    world.spin_until(lambda: robot.angle() < FAR + 0.1, "the whole way on one command", robot.angle)
    assert robot.said() == COMMANDED
    assert WARNING not in robot.simulator.output()


def test_the_watchdog_barks_when_free_running_too(world):
    robot = Watched(world, mode="free_running", command_timeout=0.3)
    robot.command()
    robot.await_said(*SILENT)
    assert robot.simulator.output().count(WARNING) == 1, robot.simulator.output()


def test_lockstep_waits_and_its_watchdog_sleeps(world):
    robot = Watched(world, mode="lockstep", command_timeout=0.1)
    world.spin_for(1.0)
    before = stamp(robot.joints[-1])
    for _ in range(3):
        answer = JointState(name=[JOINT], position=[FAR])
        answer.header.stamp = robot.joints[-1].header.stamp
        known = stamp(robot.joints[-1])
        robot.commander.publish(answer)
        world.spin_until(lambda known=known: stamp(robot.joints[-1]) > known, "the step")
        world.spin_for(0.5)
    assert stamp(robot.joints[-1]) - before == 3 * 20_000_000
    assert WARNING not in robot.simulator.output()
    assert robot.status[-1].unanswered_steps == 0


def test_a_timeout_that_cannot_be_is_refused(world):
    process = world.start_simulator(command_timeout=-1.0)
    assert process.wait() == 1
    assert "`command_timeout` is -1" in process.output(), process.output()


def test_a_killed_policy_leaves_a_robot_that_holds_and_walks_on_with_the_kept_weights(world):
    robot = Watched(world, seed=3, suspended=False, velocity_limit=0.0, wait_for_command=True)
    # A policy does not begin where somebody else commands.
    world.client.destroy_publisher(robot.commander)
    odometry = world.collect(Odometry, "odom")
    kept = world.folder / "kept.safetensors"
    walking = {"seed": 3, "keep_weights": kept, "keep_weights_every": 0.2}

    def x():
        return odometry[-1].pose.pose.position.x

    policy = world.start_policy(**walking)
    world.spin_until(lambda: odometry and abs(x()) > 0.1 and kept.exists(), "a robot that walks", policy.output)
    robot.await_said(*COMMANDED)
    # A policy that gets no processor for long is missed, too.
    barked = robot.simulator.output().count(WARNING)
    policy.stop(signal.SIGKILL)
    robot.await_said(*SILENT)
    robot.go_on(1.0)
    posture, held = robot.joints[-1].position, x()
    robot.go_on(2.0)
    moved = max(abs(a - b) for a, b in zip(posture, robot.joints[-1].position, strict=True))
    assert moved < 0.02 and abs(x() - held) < 0.01, (moved, held, x())
    assert robot.simulator.output().count(WARNING) == barked + 1, robot.simulator.output()

    again = world.start_policy(**{**walking, "seed": 77})
    world.spin_until(lambda: abs(x() - held) > 0.1, "a robot that walks on", again.output)
    robot.await_said(*COMMANDED)
    # The weights are those of the life before, not those of the new seed.
    assert f"from {kept}" in again.output(), again.output()
