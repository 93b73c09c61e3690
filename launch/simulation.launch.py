"""The simulated robot alone: sensors out, joint commands in."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# The arguments that are parameters of the node.
PARAMETERS = {
    "robot": str,
    "mode": str,
    "seed": int,
    "suspended": bool,
    "terrain": str,
    "damage": str,
    "ground_markers": bool,
    "publish_clock": bool,
}
# What the node takes of this package where neither an argument nor the file of parameters names another one.
SHIPPED = {"robot": "robots/beetle.yaml"}


def shipped(context):
    """Options that go in front of the file of parameters, so that it wins where it names others."""
    config = Path(FindPackageShare("hebbian_locomotion").perform(context)) / "config"
    for name, file in SHIPPED.items():
        # In quotes: ROS reads the value as YAML, and a path may hold anything.
        path = str(config / file).replace("'", "''")
        yield from ("-p", f"{name}:='{path}'")


def simulator(context):
    parameters = {
        # By its type: a text that looks like YAML would be read as such.
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETERS.items()
        # What nobody gave is for the file of parameters to say, as who makes the time of several simulators.
        if LaunchConfiguration(name).perform(context)
    }
    node = Node(
        package="hebbian_locomotion",
        executable="simulator",
        # Without a name launch_ros writes the arguments for all nodes, and what the file says of this one would win.
        name="simulator",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        # The node makes the time (/clock), so use_sim_time is not for it.
        parameters=[parameters] if parameters else [],
        # By option, so that the node refuses a file that is not there: in `parameters` launch_ros leaves it out.
        ros_arguments=[
            *shipped(context),
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
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "simulation.yaml"]),
            description="parameters of the simulator",
        ),
        # Empty: as in params_file, which a default would override unseen.
        DeclareLaunchArgument(
            "robot",
            default_value="",
            description="robot description (YAML); empty: as in params_file, else the shipped beetle",
        ),
        DeclareLaunchArgument(
            "mode",
            default_value="",
            choices=["", "real_time", "free_running", "lockstep"],
            description="what a control step waits for; empty: as in params_file",
        ),
        DeclareLaunchArgument("seed", default_value="", description="seed of the start pose; empty: as in params_file"),
        DeclareLaunchArgument(
            "terrain",
            default_value="",
            description="the ground (YAML, see docs/simulation.md); empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "damage",
            default_value="",
            description="what is wrong with the robot (YAML list; []: nothing); empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "ground_markers", default_value="", description="show the ground on ~/ground; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "suspended", default_value="", description="hold the feet off the ground; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "publish_clock",
            default_value="",
            description="publish /clock, which only one of several simulators may; empty: as in params_file",
        ),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=simulator)])
