"""Real nodes over real topics, watched by rclpy clients: what every test here uses.

Each test has a ROS domain of its own, so that tests never hear each other or anything else on the machine.
"""

import itertools
import json
import math
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

import tensors

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target")
PROGRAMS = Path(os.environ.get("HEBB_PROGRAMS") or TARGET / "release")
POLICY = ROOT / "config/policies/beetle.safetensors"
ROBOT = ROOT / "config/robots/beetle.yaml"
# What the policy node needs in simulation beside its defaults, which are those of a robot.
SIMULATION = ROOT / "config/policy_simulation.yaml"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Generous: the machine may be busy. Every wait ends as soon as what it waits for is there.
TIMEOUT = 30.0

# Fast DDS derives its ports from the domain; beyond 101 they run into those that the system hands out.
_domains = itertools.cycle(range(10, 100))
for _ in range(os.getpid() % 90):
    next(_domains)


class Process:
    """A node's process, with all that it printed."""

    def __init__(self, command, environment, log):
        self.log = log
        with log.open("w") as output:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdout=output, stderr=subprocess.STDOUT, env=environment
            )

    def output(self):
        return self.log.read_text()

    def wait(self, timeout=TIMEOUT):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s; it printed:\n{self.output()}") from None

    def stop(self, with_signal=signal.SIGINT):
        """Ends the process; returns its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(with_signal)
        return self.wait()


class World:
    """The nodes of one test and an rclpy node that watches them."""

    def __init__(self, folder, domain):
        self.folder, self.domain = folder, domain
        self.processes = []
        self.context = Context()
        rclpy.init(args=[], context=self.context, domain_id=domain)
        self.client = Node("test_client", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.client)

    def environment(self):
        return {**os.environ, "ROS_DOMAIN_ID": str(self.domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}

    def start(self, program, *arguments, **parameters):
        """Starts a node; `parameters` are its ROS parameters, with __ for a dot."""
        given = [word for name, value in parameters.items() for word in ("-p", f"{name.replace('__', '.')}:={value}")]
        command = [PROGRAMS / program, *arguments, "--ros-args", *given]
        log = self.folder / f"{len(self.processes)}-{program}.log"
        process = Process(command, self.environment(), log)
        self.processes.append(process)
        return process

    def start_simulator(self, **parameters):
        return self.start("simulator", **{"robot": ROBOT, **parameters})

    def start_policy(self, *arguments, **parameters):
        """Starts a policy node that walks at once in simulation."""
        given = {"policy": POLICY, "robot": ROBOT, "autostart": "true", **parameters}
        return self.start("policy", "--ros-args", "--params-file", SIMULATION, *arguments, **given)

    def start_viewer(self, **parameters):
        """Starts a viewer; returns its process and the address that it prints."""
        process = self.start("viewer", **{"port": 0, **parameters})
        printed = re.compile(r"^viewer: (http://\S+)$", re.MULTILINE)
        self.spin_until(lambda: printed.search(process.output()), "address of the viewer", process.output)
        return process, printed.search(process.output()).group(1)

    def collect(self, message_type, topic, qos=500):
        """A list that fills with the messages of `topic`."""
        messages = []
        self.client.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def spin_until(self, condition, what, seen=lambda: "", timeout=TIMEOUT):
        """Spins until `condition()`; fails with `what` was awaited and `seen()` instead."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {process.log.name}\n{process.output()}" for process in self.processes)
                raise AssertionError(f"no {what} within {timeout} s; seen: {seen()}\n{logs}")
            self.executor.spin_once(timeout_sec=0.05)

    def send_until(self, sender, message, condition, what, seen=lambda: ""):
        """Sends `message` again and again: the first ones may come before a best-effort subscriber knows the sender."""

        def done():
            sender.publish(message)
            return condition()

        self.spin_until(done, what, seen)

    def spin_for(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, service_type, name, request):
        client = self.client.create_client(service_type, name)
        self.spin_until(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.spin_until(future.done, f"answer of {name}")
        return future.result()

    def close(self):
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()
        self.executor.remove_node(self.client)
        self.client.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, next(_domains))
    yield world
    world.close()


def beetle_with_imu_upside_down(folder):
    """The beetle's description with an IMU that is mounted upside down; its path."""
    urdf = (ROOT / "config/robots/beetle.urdf").read_text()
    mount = '<parent link="base_link"/><child link="imu_link"/>'
    assert mount in urdf
    (folder / "beetle.urdf").write_text(urdf.replace(mount, f'{mount}<origin rpy="{math.pi} 0 0"/>'))
    description = folder / "beetle.yaml"
    description.write_text(ROBOT.read_text())
    return description


def hebb(*arguments):
    """Runs the command line; returns the finished process."""
    command = [PROGRAMS / "hebb", *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600, check=False)


def analyze(path):
    """The figures of `hebb analyze` of a recording or trace; the report is beside it."""
    figures = path.with_name(f"{path.name}.json")
    done = hebb("analyze", path, "--json", figures, "--out", path.with_name(f"{path.name}-report"))
    assert done.returncode == 0, done.stderr
    return json.loads(figures.read_text())


def read_tensors(path):
    return tensors.read(path)[0]


def stamp(message):
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
