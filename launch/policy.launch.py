"""The policy alone, a managed node: subscribes a robot's sensors, simulated or real, and publishes joint commands."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# The arguments that are parameters of the node.
PARAMETERS = {
    "use_sim_time": bool,
    "policy": str,
    "robot": str,
    "driver": str,
    "trigger": str,
    "autostart": bool,
    "seed": int,
    "gate": float,
}
# What the node takes of this package where neither an argument nor the file of parameters names another one.
SHIPPED = {"policy": "policies/beetle.safetensors", "robot": "robots/beetle.yaml"}


def shipped(context):
    """Options that go in front of the file of parameters, so that it wins where it names others."""
    config = Path(FindPackageShare("hebbian_locomotion").perform(context)) / "config"
    for name, file in SHIPPED.items():
        # In quotes: ROS reads the value as YAML, and a path may hold anything.
        path = str(config / file).replace("'", "''")
        yield from ("-p", f"{name}:='{path}'")


def policy(context):
    parameters = {
        # By its type: a text that looks like YAML would be read as such.
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETERS.items()
        # What nobody gave is for the file of parameters to say, as the gate of a robot whose weights are frozen.
        if LaunchConfiguration(name).perform(context)
    }
    node = LifecycleNode(
        package="hebbian_locomotion",
        executable="policy",
        name="policy",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
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
            "use_sim_time", default_value="", description="take the time from /clock; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "policy.yaml"]),
            description="parameters of the policy node",
        ),
        # Empty: as in params_file, which a default would override unseen.
        DeclareLaunchArgument(
            "policy", default_value="", description="policy file; empty: as in params_file, else the shipped beetle's"
        ),
        DeclareLaunchArgument(
            "robot",
            default_value="",
            description="robot description (YAML) that the policy must fit; empty: as in params_file, else the shipped "
            "beetle",
        ),
        DeclareLaunchArgument(
            "driver",
            default_value="",
            description="how the robot's driver names its joints and topics (YAML); empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "trigger",
            default_value="",
            choices=["", "sensors", "timer"],
            description="what makes a control step: sensor values (simulation) or the clock (robot); "
            "empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="",
            description="true: walk at once, false: somebody activates the node with `ros2 lifecycle set`; "
            "empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "seed", default_value="", description="seed of the initial weights; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "gate",
            default_value="",
            description="plasticity gate at the start, 0 to 1; empty: as in params_file",
        ),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
        DeclareLaunchArgument(
            "record",
            default_value="false",
            description="true, or the folder of the bag: record (docs/recording.md); false or empty: no recording",
        ),
        DeclareLaunchArgument(
            "recorder",
            default_value="hebbian_locomotion",
            choices=["hebbian_locomotion", "rosbag2"],
            description="what records: the recorder of this package, or `ros2 bag record`",
        ),
    ]
    record = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare("hebbian_locomotion"), "launch", "record.launch.py"])
        ),
        launch_arguments={name: LaunchConfiguration(name) for name in ["namespace", "record", "recorder"]}.items(),
    )
    return LaunchDescription([*arguments, record, OpaqueFunction(function=policy)])
