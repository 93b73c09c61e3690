"""Starts the simulator and the policy node, shows what they do, ends them and sums up.

An ordinary rclpy client of the two nodes: it sees only what they publish.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target")
PROGRAMS = Path(os.environ.get("HEBB_PROGRAMS") or TARGET / "release")
# As in an episode of `hebb`: tilted by more than 60 degrees, or the base under 40 % of its first height.
FALLEN_UP = 0.5
FALLEN_HEIGHT = 0.4
# Longest wait for the first control step, and for the nodes to end [s].
START_TIMEOUT = 30.0
END_TIMEOUT = 10.0
# Longest silence of the policy while it, or the simulator, is not to be seen [s].
SILENCE_TIMEOUT = 10.0
# From when the recorder is seen to listen to the policy until the policy knows it as well, which nobody sees [s].
ACQUAINTANCE = 1.0
# Longest header of a safetensors file [bytes], and the control rates that a policy may have [Hz].
LONGEST_HEADER = 100_000_000
CONTROL_RATES = (0.1, 10_000.0)


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="A simulated beetle walks under a network that rewires itself."
    )
    parser.add_argument(
        "--duration", type=float, help="simulated time [s] (default: 30; in a terminal with the viewer: until Ctrl-C)"
    )
    parser.add_argument("--headless", action="store_true", help="no viewer in the browser")
    parser.add_argument("--port", type=int, default=8080, help="TCP port of the viewer (default: 8080, or a free one)")
    parser.add_argument("--gate", type=float, default=1.0, help="plasticity gate, 0 to 1 (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of start pose and initial weights (default: 0)")
    parser.add_argument("--suspended", action="store_true", help="hold the feet off the ground")
    parser.add_argument(
        "--mode",
        choices=["real_time", "free_running", "lockstep"],
        default="real_time",
        help="pace of the simulator; in lockstep a seed gives the same walk bit for bit (default: real_time)",
    )
    parser.add_argument("--record", metavar="DIR", type=Path, help="record into a new rosbag in DIR")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures as JSON")
    parser.add_argument("--policy", type=Path, default=ROOT / "config/policies/beetle.safetensors", help="policy file")
    parser.add_argument("--robot", type=Path, default=ROOT / "config/robots/beetle.yaml", help="robot description")
    # For scripts/demo: look at the options, and end.
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.duration is None:
        arguments.duration = math.inf if sys.stdout.isatty() and not arguments.headless else 30.0
    if not arguments.duration > 0:
        parser.error("--duration must be more than 0")
    if not 0 <= arguments.gate <= 1:
        parser.error("--gate must be from 0 to 1")
    if arguments.seed < 0:
        parser.error("--seed must be at least 0")
    if not 0 <= arguments.port <= 65_535:
        parser.error("--port must be from 0 to 65535")
    if arguments.record and arguments.record.exists():
        parser.error(f"--record: {arguments.record} exists already; name a new folder")
    if arguments.json and (arguments.json.is_dir() or not arguments.json.resolve().parent.is_dir()):
        parser.error(f"--json: {arguments.json} is a folder, or in none that exists; name a file in one that does")
    return arguments


def commands(arguments):
    """The processes that make up the demo: one launch file where there is `ros2 launch`, else the nodes themselves.

    Three lists, each of which begins after the one before: a recorder, which also ends last; with it, a policy that it
    must have found before there is anything to record; the rest. A launch file has no such order, so none records.
    """
    both = {"seed": arguments.seed, "robot": arguments.robot.resolve()}
    simulation = {**both, "mode": arguments.mode, "suspended": str(arguments.suspended).lower()}
    policy = {**both, "policy": arguments.policy.resolve(), "gate": arguments.gate}
    viewer = {"port": free_port(arguments.port), "robot": both["robot"], "policy": policy["policy"]}
    if shutil.which("ros2") and not arguments.record:

        def launch(name, parameters):
            given = [f"{parameter}:={value}" for parameter, value in parameters.items()]
            # Without that option it believes, in a terminal, that Ctrl-C reaches its nodes as well, and leaves them be.
            start = ["ros2", "launch", "--noninteractive", "hebbian_locomotion", f"{name}.launch.py"]
            return [*start, "log_level:=warn", *given]

        # It takes the simulator's control rate from the policy by itself.
        demo = [launch("demo", {**simulation, **policy})]
        return [], [], demo if arguments.headless else [*demo, launch("viewer", viewer)]

    def node(name, config, parameters):
        given = [word for parameter, value in parameters.items() for word in ("-p", f"{parameter}:={value}")]
        start = [PROGRAMS / name, "--ros-args", "--log-level", "warn", "--params-file"]
        return [*start, ROOT / "config" / config, *given]

    # A policy that is given sensor values at another rate than its own walks wrong, or in lockstep not at all.
    if rate := control_rate(arguments.policy):
        simulation["control_rate"] = rate
    policy |= {"use_sim_time": "true", "autostart": "true"}
    nodes = [node("simulator", "simulation.yaml", simulation)]
    if not arguments.headless:
        nodes.append(node("viewer", "viewer.yaml", viewer))
    if not arguments.record:
        return [], [], [*nodes, node("policy", "policy_simulation.yaml", policy)]
    # Every step is worth keeping.
    policy["weights_every"] = 1
    recorder = node("recorder", "recorder.yaml", {"output": arguments.record.resolve()})
    return [recorder], [node("policy", "policy_simulation.yaml", policy)], nodes


def control_rate(policy):
    """The control rate of a policy file [Hz]; None where it cannot be read: the policy node says that itself."""
    try:
        # What comes through a pipe is for the node.
        if not policy.is_file():
            return None
        with policy.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = opened.read(min(length, LONGEST_HEADER))
        rate = float(json.loads(json.loads(header)["__metadata__"]["hebbian_locomotion"])["control_rate"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return rate if CONTROL_RATES[0] <= rate <= CONTROL_RATES[1] else None


def free_port(wanted):
    """`wanted`, or 0 (any) when something else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


class Monitor:
    """What the topics say, summed up."""

    def __init__(self, node):
        from hebbian_locomotion.msg import FootContacts, PlasticityState, SimulatorStatus, WeightsLayout
        from nav_msgs.msg import Odometry
        from rclpy.qos import DurabilityPolicy, QoSProfile

        self.first_base = self.base = None
        self.fell = False
        self.feet = ""
        self.state = self.status = self.layout = None
        self.steps = 0
        self.first_step_at = self.last_step_at = None
        self.first_stamp = self.last_stamp = None
        self.largest_weight = 0.0
        self.change_sum = 0.0
        # Deep queues: this is Python, and no step may be missed.
        node.create_subscription(PlasticityState, "policy/plasticity", self.on_plasticity, 500)
        node.create_subscription(Odometry, "odom", self.on_odometry, 500)
        node.create_subscription(FootContacts, "foot_contacts", self.on_contacts, 500)
        node.create_subscription(SimulatorStatus, "simulator/status", self.on_status, 500)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(WeightsLayout, "policy/weights_layout", self.on_layout, latched)

    def on_plasticity(self, state):
        stamp = state.header.stamp.sec + state.header.stamp.nanosec * 1e-9
        self.last_step_at, self.last_stamp = time.monotonic(), stamp
        if self.steps == 0:
            self.first_step_at, self.first_stamp = self.last_step_at, stamp
        self.steps += 1
        self.state = state
        self.largest_weight = max([self.largest_weight, *state.weights_max_abs])
        self.change_sum += mean_change(state)

    def on_odometry(self, odometry):
        self.base = odometry.pose.pose
        if self.first_base is None:
            self.first_base = self.base
        q = self.base.orientation
        up = 1 - 2 * (q.x * q.x + q.y * q.y)
        low = self.base.position.z < FALLEN_HEIGHT * self.first_base.position.z
        self.fell = self.fell or up < FALLEN_UP or low

    def on_contacts(self, contacts):
        self.feet = "".join("●" if touches else "○" for touches in contacts.in_contact)

    def on_status(self, status):
        self.status = status

    def on_layout(self, layout):
        self.layout = layout

    def is_complete(self):
        """Whether all has come that there are figures of."""
        return self.steps > 0 and None not in (self.base, self.status, self.layout)

    def simulated_time(self):
        return 0.0 if self.steps == 0 else self.last_stamp - self.first_stamp

    def way(self, axis):
        return getattr(self.base.position, axis) - getattr(self.first_base.position, axis)

    def control_rate(self):
        elapsed = self.last_step_at - self.first_step_at
        return (self.steps - 1) / elapsed if elapsed > 0 else 0.0

    def line(self):
        simulated = self.simulated_time()
        speed = self.way("x") / simulated if simulated > 0 else 0.0
        largest = max(self.state.weights_max_abs, default=0.0)
        return (
            f"{simulated:6.1f} s  {self.way('x'):6.2f} m  {speed:5.2f} m/s  feet {self.feet}  "
            f"gate {self.state.gate:.2f}  max|w| {largest:.3f}  |Δw| {mean_change(self.state):.4f}  "
            f"{self.control_rate():5.1f} Hz"
        )

    def figures(self, arguments):
        simulated = self.simulated_time()
        return {
            "distance_m": self.way("x"),
            "mean_speed_mps": self.way("x") / simulated if simulated > 0 else 0.0,
            "lateral_drift_m": self.way("y"),
            "fell": self.fell,
            "simulated_time_s": simulated,
            "control_steps": self.steps,
            "control_rate_hz": self.control_rate(),
            # A step that the policy missed is one that the simulator saw unanswered: it does not count twice.
            "missed_control_steps": max(self.state.missed_steps, self.status.unanswered_steps),
            "gate": self.state.gate,
            "weights_max_abs": self.largest_weight,
            "weight_change_mean": self.change_sum / self.steps,
            "physics_steps": self.status.physics_steps,
            "real_time_factor": self.status.real_time_factor,
            "rejected_messages": self.state.rejected_messages + self.status.rejected_messages,
            "seed": arguments.seed,
            "suspended": arguments.suspended,
            "policy": self.layout.policy,
            "policy_sha256": self.layout.policy_hash,
        }


class Ending:
    """Whether somebody asked for the end: by Ctrl-C, by closing the terminal, by `kill`."""

    def __init__(self):
        self.asked = False
        signal.signal(signal.SIGINT, self.ask)
        signal.signal(signal.SIGTERM, self.ask)
        # `nohup` starts programs that are to stay when the terminal closes.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.ask)

    def ask(self, *_):
        # An exception from here might come between the start of a node and its entry in the list of those to end.
        self.asked = True

    def show(self, text, end="\n"):
        """Prints. Where nobody reads any more, as in a terminal that was closed, that asks for the end."""
        try:
            print(text, end=end, flush=True)
        except OSError:
            self.asked = True
            # For what is still in the buffer, and what comes after it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def mean_change(state):
    """Mean |Δw| over the layers of a PlasticityState; 0 of a policy without plastic weights."""
    changes = state.weight_change_mean
    return sum(changes) / len(changes) if len(changes) > 0 else 0.0


def spin(node, processes, ending):
    """Takes what has come. Raises when somebody asked for the end, or a process has ended."""
    import rclpy

    rclpy.spin_once(node, timeout_sec=0.05)
    if ending.asked:
        raise KeyboardInterrupt
    for process in processes:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with exit code {process.returncode}, see above")


def await_recorder(node, processes, ending):
    """Spins until the recorder hears the policy's weights."""
    started = time.monotonic()
    while not any(info.node_name == "recorder" for info in node.get_subscriptions_info_by_topic("policy/weights")):
        spin(node, processes, ending)
        if time.monotonic() - started > START_TIMEOUT:
            raise RuntimeError(f"the recorder did not find the policy within {START_TIMEOUT:.0f} s")
    seen = time.monotonic()
    while time.monotonic() - seen < ACQUAINTANCE:
        spin(node, processes, ending)


def lost(node):
    """Those of the two nodes that are gone. One that is paused, stopped or deactivated still offers its topics."""
    topics = {"policy": "policy/plasticity", "simulator": "simulator/status"}
    return [name for name, topic in topics.items() if node.count_publishers(topic) == 0]


def watch(node, monitor, processes, ending, duration):
    """Spins until `duration` has been simulated and shows figures. Raises when a process or a node ends before that."""
    live = sys.stdout.isatty()
    next_line, started = 0.0, time.monotonic()
    ready = False
    # A walk may be shorter than what it takes until all nodes are heard.
    while not ready or monitor.simulated_time() < duration:
        spin(node, processes, ending)
        now = time.monotonic()
        ready = monitor.is_complete()
        if not ready and now - started > START_TIMEOUT:
            heard = "control step" if monitor.steps == 0 else "word of robot or simulator"
            raise RuntimeError(f"no {heard} within {START_TIMEOUT:.0f} s; do the nodes see each other?")
        if ready and now - monitor.last_step_at > SILENCE_TIMEOUT and (gone := lost(node)):
            raise RuntimeError(f"no control step for {SILENCE_TIMEOUT:.0f} s, and no {' and no '.join(gone)} any more")
        if ready and now >= next_line:
            ending.show("\r" + monitor.line() if live else monitor.line(), end="" if live else "\n")
            next_line = now + (0.2 if live else 1.0)
    if live:
        ending.show("")


def end(processes):
    """Ends the processes as `ros2 launch` would; returns what did not end cleanly."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    problems = []
    for process in processes:
        try:
            code = process.wait(END_TIMEOUT)
            if code != 0:
                problems.append(f"{process.args[0]} ended with exit code {code}")
        except subprocess.TimeoutExpired:
            process.kill()
            problems.append(f"{process.args[0]} did not end within {END_TIMEOUT:.0f} s and was killed")
    return problems


def main():
    arguments = parse_arguments()
    if arguments.check:
        return 0
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    # The handlers of rclpy would shut it down, while there are figures to come.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    ending = Ending()
    node = rclpy.create_node("demo")
    monitor = Monitor(node)
    if not arguments.headless:
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        print(
            "Open the address of the viewer (below) in a browser; Ctrl-C ends the demo.\n"
            f"Other tools, from `scripts/with_ros bash` in a second terminal (ROS_DOMAIN_ID={domain}): docs/viewer.md\n"
        )
    recorder, recorded, rest = commands(arguments)
    recorders, processes = [], []

    def start(some, into):
        # Own process groups: a Ctrl-C in the terminal reaches this script alone, which then ends the nodes in order.
        # None of them reads; the terminal would be what `ros2 launch` takes for its own.
        quiet = {"stdin": subprocess.DEVNULL, "start_new_session": True}
        into.extend(subprocess.Popen(command, **quiet) for command in some)

    failure = None
    try:
        start(recorder, recorders)
        start(recorded, processes)
        if recorders:
            await_recorder(node, [*recorders, *processes], ending)
        start(rest, processes)
        watch(node, monitor, [*recorders, *processes], ending, arguments.duration)
    except KeyboardInterrupt:
        ending.show("")
    except RuntimeError as error:
        failure = str(error)
    finally:
        problems = [*end(processes), *end(recorders)]
    if failure is None and monitor.is_complete():
        figures = monitor.figures(arguments)
        ending.show(
            f"{figures['distance_m']:.2f} m in {figures['simulated_time_s']:.1f} s: "
            f"{figures['mean_speed_mps']:.3f} m/s; "
            f"{figures['control_steps']} control steps, {figures['missed_control_steps']} missed; "
            f"{'fell' if figures['fell'] else 'did not fall'}"
        )
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    for problem in filter(None, [failure, *problems]):
        with contextlib.suppress(OSError):
            print(f"demo: {problem}", file=sys.stderr)
    node.destroy_node()
    rclpy.shutdown()
    return 1 if failure or problems else 0


if __name__ == "__main__":
    sys.exit(main())
