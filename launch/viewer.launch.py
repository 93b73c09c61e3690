"""The viewer: a page in a browser that shows the robot and its weights."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    config = PathJoinSubstitution([FindPackageShare("hebbian_locomotion"), "config"])
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the robot that is shown"),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "viewer.yaml"]),
            description="parameters of the viewer",
        ),
        DeclareLaunchArgument("address", default_value="127.0.0.1", description="IP address to listen on"),
        DeclareLaunchArgument("port", default_value="8080", description="TCP port; 0: any free one"),
        DeclareLaunchArgument(
            "token", default_value="", description="what a browser must know; needed beyond loopback"
        ),
        DeclareLaunchArgument(
            "policy", default_value="", description="policy file, for the cloud that the weights are compared with"
        ),
        DeclareLaunchArgument("robot", default_value="", description="robot description (YAML), for the same"),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
    ]
    texts = ["address", "token", "policy", "robot"]
    viewer = Node(
        package="hebbian_locomotion",
        executable="viewer",
        # Without a name launch_ros writes the arguments for all nodes, and what the file says of this one would win.
        name="viewer",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            {name: ParameterValue(LaunchConfiguration(name), value_type=str) for name in texts},
            {"port": ParameterValue(LaunchConfiguration("port"), value_type=int)},
        ],
        # By option, so that the node refuses a file that is not there: in `parameters` launch_ros leaves it out.
        ros_arguments=[
            "--params-file",
            LaunchConfiguration("params_file"),
            "--log-level",
            LaunchConfiguration("log_level"),
        ],
    )
    return LaunchDescription([*arguments, viewer])
