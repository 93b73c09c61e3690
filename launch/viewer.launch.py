"""The viewer: a page in a browser that shows the robot and its weights."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# The arguments that are parameters of the node.
PARAMETERS = {"address": str, "port": int, "token": str, "policy": str, "robot": str}


def viewer(context):
    parameters = {
        # By its type: a text that looks like YAML would be read as such.
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETERS.items()
        # What nobody gave is for the file of parameters to say, as the address that it may listen on.
        if LaunchConfiguration(name).perform(context)
    }
    node = Node(
        package="hebbian_locomotion",
        executable="viewer",
        # Without a name launch_ros writes the arguments for all nodes, and what the file says of this one would win.
        name="viewer",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[parameters] if parameters else [],
        # By option, so that the node refuses a file that is not there: in `parameters` launch_ros leaves it out.
        ros_arguments=[
            "--params-file",
            LaunchConfiguration("params_file"),
            "--log-level",
            LaunchConfiguration("log_level"),
        ],
    )
    return [node]


def generate_launch_description():
    config = PathJoinSubstitution([FindPackageShare("hebbian_locomotion"), "config"])
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the robot that is shown"),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "viewer.yaml"]),
            description="parameters of the viewer",
        ),
        # Empty: as in params_file, which a default would override unseen.
        DeclareLaunchArgument(
            "address", default_value="", description="IP address to listen on; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "port", default_value="", description="TCP port; 0: any free one; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "token",
            default_value="",
            description="what a browser must know; needed beyond loopback; empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "policy",
            default_value="",
            description="policy file, for the cloud that the weights are compared with; empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "robot",
            default_value="",
            description="robot description (YAML), for the same; empty: as in params_file",
        ),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=viewer)])
