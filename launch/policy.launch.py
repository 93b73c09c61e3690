"""The policy alone, a managed node: subscribes a robot's sensors, simulated or real, and publishes joint commands."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    config = PathJoinSubstitution([FindPackageShare("hebbian_locomotion"), "config"])
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="take the time from /clock"),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "policy.yaml"]),
            description="parameters of the policy node",
        ),
        DeclareLaunchArgument(
            "policy",
            default_value=PathJoinSubstitution([config, "policies", "beetle.safetensors"]),
            description="policy file",
        ),
        DeclareLaunchArgument(
            "robot",
            default_value=PathJoinSubstitution([config, "robots", "beetle.yaml"]),
            description="robot description (YAML) that the policy must fit; empty: no check",
        ),
        DeclareLaunchArgument(
            "driver", default_value="", description="how the robot's driver names its joints and topics (YAML)"
        ),
        DeclareLaunchArgument(
            "trigger",
            default_value="sensors",
            choices=["sensors", "timer"],
            description="what makes a control step: sensor values (simulation) or the clock (robot)",
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="false",
            description="walk at once; else somebody activates the node with `ros2 lifecycle set`",
        ),
        DeclareLaunchArgument("seed", default_value="0", description="seed of the initial weights"),
        DeclareLaunchArgument("gate", default_value="1.0", description="plasticity gate at the start, 0 to 1"),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
        DeclareLaunchArgument(
            "record",
            default_value="false",
            description="true, or the folder of the bag: record (docs/recording.md); false or empty: no recording",
        ),
    ]
    record = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare("hebbian_locomotion"), "launch", "record.launch.py"])
        ),
        launch_arguments={name: LaunchConfiguration(name) for name in ["namespace", "record"]}.items(),
    )

    # As text: a value that looks like YAML would be read as such.
    def text(name):
        return ParameterValue(LaunchConfiguration(name), value_type=str)

    policy = LifecycleNode(
        package="hebbian_locomotion",
        executable="policy",
        name="policy",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            {
                "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
                "policy": text("policy"),
                "robot": text("robot"),
                "driver": text("driver"),
                "trigger": text("trigger"),
                "autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool),
                "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                "gate": ParameterValue(LaunchConfiguration("gate"), value_type=float),
            },
        ],
        # By option, so that the node refuses a file that is not there: in `parameters` launch_ros leaves it out.
        ros_arguments=[
            "--params-file",
            LaunchConfiguration("params_file"),
            "--log-level",
            LaunchConfiguration("log_level"),
        ],
    )
    return LaunchDescription([*arguments, record, policy])
