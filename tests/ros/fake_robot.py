"""A robot that is only topics: joints that go where they are told, an IMU that lies flat, feet on the ground."""

import collections
import threading
import time

from hebbian_locomotion.msg import FootContacts, SafetyState
from sensor_msgs.msg import Imu, JointState
from std_srvs.srv import Trigger

from conftest import LATCHED, POLICY, ROBOT

JOINTS = ["BC1", "BC2", "BC4", "BC5", "BC0", "BC3", "CF1", "CF2", "CF4", "CF5", "CF0", "CF3"]
JOINTS += ["FT1", "FT2", "FT4", "FT5", "FT0", "FT3"]
FEET = [f"tip{leg}" for leg in range(6)]
PERIOD = 0.02
# What a policy node is given on it, with timeouts for machines that are busy with other things.
SAFETY = {
    "trigger": "timer",
    "safety__positioning_speed": 3.0,
    "safety__fade_in": 0.2,
    "safety__sensor_timeout": 0.3,
    "safety__recovery_time": 0.2,
}


def start(world, robot, /, phase="active", **parameters):
    """A policy node on `robot`, once it is in `phase`."""
    given = {"policy": POLICY, "robot": ROBOT, "autostart": "true", **SAFETY, **parameters}
    node = world.start("policy", **given)
    world.spin_until(lambda: robot.phase() == phase, f"phase {phase}", lambda: f"{robot.seen()}\n{node.output()}")
    return node


def release(world):
    """Ends a stop."""
    answer = world.call(Trigger, "policy/release", Trigger.Request())
    assert answer.success, answer


def print_reaction(what, begin, robot):
    """For people: how long it took in control periods, with a message period in which nothing can be known yet."""
    periods, state = (time.monotonic() - begin) / PERIOD, robot.safety[-1]
    print(f"{what}: {state.fault_detail}; {state.phase} after {periods:.1f} control periods")


def silent(message):
    """For `spoil`: nothing goes out."""
    return False


class FakeRobot:
    """Sends its sensor values 50 times a second from a thread of its own, however busy the test is.

    `spoil` holds, by topic, what a test does to a message before it goes out: a function that changes it and returns
    whether to send it. `lag` is how long messages are on their way [s].
    """

    def __init__(self, world, namespace=""):
        self.position = dict.fromkeys(JOINTS, 0.0)
        self.spoil = {}
        self.copies = 1
        self.lag = 0.0
        self.under_way = collections.deque()
        self.clock_offset = 0.0
        # The time that all messages carry, instead of the present.
        self.frozen = None
        self.last_sent = {}
        self.commands = []
        self.safety = world.collect(SafetyState, f"{namespace}policy/safety", LATCHED)
        client = world.client
        self.publishers = {
            topic: client.create_publisher(kind, namespace + topic, 5)
            for topic, kind in [("joint_states", JointState), ("imu/data", Imu), ("foot_contacts", FootContacts)]
        }
        self.subscription = client.create_subscription(JointState, f"{namespace}joint_commands", self.on_command, 50)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_command(self, message):
        self.commands.append((time.monotonic(), list(message.position)))
        self.position.update(zip(message.name, message.position, strict=True))

    def messages(self):
        joints = JointState(name=list(JOINTS), position=[self.position[name] for name in JOINTS], velocity=[0.0] * 18)
        imu = Imu()
        imu.orientation.w, imu.linear_acceleration.z = 1.0, 9.81
        contacts = FootContacts(names=list(FEET), in_contact=[True] * 6, force=[5.0] * 6)
        return {"joint_states": joints, "imu/data": imu, "foot_contacts": contacts}

    def run(self):
        due = time.monotonic()
        while not self.ended.is_set():
            now = self.frozen or time.time() + self.clock_offset
            for topic, message in self.messages().items():
                message.header.stamp.sec, message.header.stamp.nanosec = int(now), int(now % 1 * 1e9)
                if self.spoil.get(topic, lambda message: True)(message):
                    self.under_way.append((time.monotonic(), topic, message))
            while self.under_way and time.monotonic() - self.under_way[0][0] >= self.lag:
                _, topic, message = self.under_way.popleft()
                for _ in range(self.copies):
                    self.publishers[topic].publish(message)
                self.last_sent[topic] = time.monotonic()
            due = max(due + PERIOD, time.monotonic() - PERIOD)
            time.sleep(max(0.0, due - time.monotonic()))

    def close(self):
        self.ended.set()
        self.thread.join()

    def phase(self):
        return self.safety[-1].phase if self.safety else None

    def seen(self):
        return self.safety[-1] if self.safety else "no safety state"

    def count(self, check):
        state = self.safety[-1]
        return dict(zip(state.checks, state.counts, strict=True))[check]
