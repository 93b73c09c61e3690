"""tf of a robot's joints, for RViz and Foxglove: robot_state_publisher with a URDF."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def display(context):
    description = Path(LaunchConfiguration("urdf").perform(context)).read_text(encoding="utf-8")
    node = Node(
        package="robot_state_publisher",
        executable="robot_state_publisher",
        name="robot_state_publisher",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            {
                # As text: a URDF with a colon in a comment would be read as YAML, and refused.
                "robot_description": ParameterValue(description, value_type=str),
                "frame_prefix": ParameterValue(LaunchConfiguration("frame_prefix"), value_type=str),
                "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
            },
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
    )
    return [node]


def generate_launch_description():
    config = PathJoinSubstitution([FindPackageShare("hebbian_locomotion"), "config"])
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the robot that is shown"),
        DeclareLaunchArgument(
            "urdf",
            default_value=PathJoinSubstitution([config, "robots", "beetle.urdf"]),
            description="the robot's URDF",
        ),
        DeclareLaunchArgument("frame_prefix", default_value="", description="what names of frames begin with"),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="take the time from /clock"),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=display)])
