"""Records topics: by the recorder node of this package, or where somebody asks for it by `ros2 bag record`."""

import time

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node


def is_installed(package):
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def start(context):
    record = LaunchConfiguration("record").perform(context).strip()
    if record.lower() in ("", "false"):
        return []
    folder = time.strftime("recording_%Y-%m-%d_%H-%M-%S") if record.lower() == "true" else record
    if LaunchConfiguration("recorder").perform(context) == "rosbag2":
        missing = [package for package in ["ros2bag", "rosbag2_storage_mcap"] if not is_installed(package)]
        if missing:
            raise RuntimeError(
                f"recorder:=rosbag2 needs {' and '.join(missing)}, which this ROS does not have; install what is "
                "missing, or leave `recorder` out: that of this package needs neither"
            )
        command = ["ros2", "bag", "record", "--all", "--storage", "mcap", "--output", folder]
        recorder = ExecuteProcess(cmd=command, output="screen")
    else:
        recorder = Node(
            package="hebbian_locomotion",
            executable="recorder",
            name="recorder",
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            parameters=[{"output": folder}],
        )
    return [LogInfo(msg=f"recording into {folder}"), recorder]


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the recorded nodes"),
            DeclareLaunchArgument(
                "record",
                default_value="true",
                description="folder of the bag, or true for a new one named by the time; empty or false: no recording",
            ),
            DeclareLaunchArgument(
                "recorder",
                default_value="hebbian_locomotion",
                choices=["hebbian_locomotion", "rosbag2"],
                description="what records: the recorder of this package (the suite's topics of the namespace, from the "
                "first step on), or `ros2 bag record` (all topics of all robots)",
            ),
            OpaqueFunction(function=start),
        ]
    )
