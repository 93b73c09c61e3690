"""Plays a robot of which only the standard topics are known: no simulator, no odometry, no policy of ours.

    python3 scripted_robot.py URDF

Joints swing and feet step to a clock of their own, so that a viewer can be tried without any other node.
"""

import contextlib
import math
import sys
from pathlib import Path

import rclpy
from hebbian_locomotion.msg import FootContacts
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import String

RATE = 50.0
LEGS = range(6)
# As a driver might: names of its own order.
JOINTS = [f"{kind}{leg}" for leg in LEGS for kind in ("BC", "CF", "FT")]


class ScriptedRobot(Node):
    def __init__(self, urdf):
        super().__init__("scripted_robot")
        self.joints = self.create_publisher(JointState, "joint_states", 10)
        self.imu = self.create_publisher(Imu, "imu/data", 10)
        self.contacts = self.create_publisher(FootContacts, "foot_contacts", 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.description = self.create_publisher(String, "robot_description", latched)
        self.description.publish(String(data=urdf))
        self.steps = 0
        self.create_timer(1.0 / RATE, self.step)

    def step(self):
        self.steps += 1
        stamp = self.get_clock().now().to_msg()
        phases = [2 * math.pi * (self.steps / RATE + 0.5 * (leg % 2)) for leg in LEGS]
        joints = JointState(name=JOINTS)
        joints.header.stamp = stamp
        joints.position = [0.25 * math.sin(phases[leg] + shift) for leg in LEGS for shift in (0.0, 1.5, 3.0)]
        self.joints.publish(joints)
        roll = 0.05 * math.sin(phases[0])
        imu = Imu()
        imu.header.stamp = stamp
        imu.orientation.x, imu.orientation.w = math.sin(roll / 2), math.cos(roll / 2)
        self.imu.publish(imu)
        contacts = FootContacts(names=[f"tip{leg}" for leg in LEGS])
        contacts.header.stamp = stamp
        contacts.in_contact = [math.sin(phase) > 0 for phase in phases]
        self.contacts.publish(contacts)


def main():
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(ScriptedRobot(Path(sys.argv[1]).read_text()))


if __name__ == "__main__":
    main()
