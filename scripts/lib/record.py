"""Records topics into a rosbag2 folder (MCAP) where there is no `ros2 bag`, with the rosbags package."""

import importlib
import time

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

# Sensor topics and everything that the two nodes say.
TOPICS = {
    "/clock": "rosgraph_msgs/msg/Clock",
    "/joint_states": "sensor_msgs/msg/JointState",
    "/imu/data": "sensor_msgs/msg/Imu",
    "/foot_contacts": "hebbian_locomotion/msg/FootContacts",
    "/odom": "nav_msgs/msg/Odometry",
    "/joint_commands": "sensor_msgs/msg/JointState",
    "/robot_description": "std_msgs/msg/String",
    "/simulator/status": "hebbian_locomotion/msg/SimulatorStatus",
    "/policy/plasticity": "hebbian_locomotion/msg/PlasticityState",
    "/policy/weights": "hebbian_locomotion/msg/WeightSnapshot",
    "/policy/weights_layout": "hebbian_locomotion/msg/WeightsLayout",
}
LATCHED = {"/robot_description", "/policy/weights_layout"}


def message_class(name):
    package, kind, message = name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), message)


class Recorder:
    """Writes the raw messages of TOPICS as they arrive."""

    def __init__(self, node, folder):
        from ament_index_python.packages import get_package_share_path
        from rclpy.qos import DurabilityPolicy, QoSProfile

        types = get_typestore(Stores.ROS2_JAZZY)
        for path in sorted((get_package_share_path("hebbian_locomotion") / "msg").glob("*.msg")):
            types.register(get_types_from_msg(path.read_text(), f"hebbian_locomotion/msg/{path.stem}"))
        self.writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self.writer.open()
        for topic, name in TOPICS.items():
            durability = DurabilityPolicy.TRANSIENT_LOCAL if topic in LATCHED else DurabilityPolicy.VOLATILE
            connection = self.writer.add_connection(topic, name, typestore=types)
            node.create_subscription(
                message_class(name),
                topic,
                lambda data, connection=connection: self.writer.write(connection, time.time_ns(), data),
                QoSProfile(depth=500, durability=durability),
                raw=True,
            )

    def close(self):
        self.writer.close()
