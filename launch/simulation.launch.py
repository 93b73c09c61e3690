"""The simulated robot alone: sensors out, joint commands in."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def simulator(context):
    parameters = [
        {
            # As text: a value that looks like YAML would be read as such.
            "robot": ParameterValue(LaunchConfiguration("robot"), value_type=str),
            "mode": ParameterValue(LaunchConfiguration("mode"), value_type=str),
            "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
            "suspended": ParameterValue(LaunchConfiguration("suspended"), value_type=bool),
            "terrain": ParameterValue(LaunchConfiguration("terrain"), value_type=str),
            "damage": ParameterValue(LaunchConfiguration("damage"), value_type=str),
            "ground_markers": ParameterValue(LaunchConfiguration("ground_markers"), value_type=bool),
        },
    ]
    # Only where it was given: of several simulators each has a file, which says who makes the time.
    if LaunchConfiguration("publish_clock").perform(context):
        parameters.append({"publish_clock": ParameterValue(LaunchConfiguration("publish_clock"), value_type=bool)})
    node = Node(
        package="hebbian_locomotion",
        executable="simulator",
        # Without a name launch_ros writes the arguments for all nodes, and what the file says of this one would win.
        name="simulator",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        # The node makes the time (/clock), so use_sim_time is not for it.
        parameters=parameters,
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
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "simulation.yaml"]),
            description="parameters of the simulator",
        ),
        DeclareLaunchArgument(
            "robot",
            default_value=PathJoinSubstitution([config, "robots", "beetle.yaml"]),
            description="robot description (YAML)",
        ),
        DeclareLaunchArgument(
            "mode",
            default_value="real_time",
            choices=["real_time", "free_running", "lockstep"],
            description="what a control step waits for",
        ),
        DeclareLaunchArgument("seed", default_value="0", description="seed of the start pose"),
        DeclareLaunchArgument("terrain", default_value="", description="the ground (YAML, see docs/simulation.md)"),
        DeclareLaunchArgument("damage", default_value="", description="what is wrong with the robot (YAML list)"),
        DeclareLaunchArgument("ground_markers", default_value="false", description="show the ground on ~/ground"),
        DeclareLaunchArgument("suspended", default_value="false", description="hold the feet off the ground"),
        DeclareLaunchArgument(
            "publish_clock",
            default_value="",
            description="publish /clock, which only one of several simulators may; empty: as in params_file",
        ),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=simulator)])
