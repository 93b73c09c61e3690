"""The policy node as one would write it with rclpy and numpy: the same topics, the same network, and nothing else.

Usage: scripts/with_ros python3 benches/latency/numpy_node.py NAMESPACE POLICY
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy
import rclpy
from hebbian_locomotion.msg import FootContacts
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Imu, JointState

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/reference"))
import networks
import tensors

KINDS = {"joint_states": JointState, "imu/data": Imu, "foot_contacts": FootContacts}


class NumpyNode(Node):
    def __init__(self, namespace, policy):
        super().__init__("numpy_policy", namespace=namespace)
        values, metadata = tensors.read(policy)
        network = json.loads(metadata["hebbian_locomotion"])["network"]
        synapses = sum(tensor.size for name, tensor in values.items() if name.endswith(".eta"))
        weights = numpy.random.default_rng(0).uniform(-0.1, 0.1, synapses)
        self.network = networks.make(network, values, weights)
        self.gates = [1.0] * len(self.network.weights)
        self.latest = {}
        self.commands = self.create_publisher(JointState, "joint_commands", QoSProfile(depth=1))
        for topic, kind in KINDS.items():
            self.create_subscription(kind, topic, self.receiver(topic), qos_profile_sensor_data)

    def receiver(self, topic):
        def receive(message):
            self.latest[topic] = message
            stamps = {(kept.header.stamp.sec, kept.header.stamp.nanosec) for kept in self.latest.values()}
            if len(self.latest) == len(KINDS) and len(stamps) == 1:
                self.step(*(self.latest.pop(topic) for topic in KINDS))

        return receive

    def step(self, joints, imu, contacts):
        q = imu.orientation
        roll = numpy.arctan2(2 * (q.w * q.x + q.y * q.z), 1 - 2 * (q.x**2 + q.y**2))
        pitch = numpy.arcsin(numpy.clip(2 * (q.w * q.y - q.z * q.x), -1, 1))
        yaw = numpy.arctan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y**2 + q.z**2))
        positions = 0.5 * numpy.asarray(joints.position)
        observation = numpy.concatenate([positions, numpy.asarray(contacts.in_contact, float), [roll, pitch, yaw]])
        command = JointState(header=joints.header, name=joints.name)
        command.position = self.network.step(observation, self.gates).tolist()
        self.commands.publish(command)


def main():
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(NumpyNode(sys.argv[1], Path(sys.argv[2])))


if __name__ == "__main__":
    main()
