"""The policy on a robot. `simulated:=true` puts the simulator in its place and leaves everything else as it is."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    share = FindPackageShare("hebbian_locomotion")
    config = PathJoinSubstitution([share, "config"])
    arguments = [
        DeclareLaunchArgument("simulated", default_value="false", description="simulate the robot"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes and their topics"),
        DeclareLaunchArgument(
            "use_sim_time", default_value="", description="take the time from /clock; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "policy.yaml"]),
            description="parameters of the policy node",
        ),
        DeclareLaunchArgument(
            "simulation_params_file",
            default_value=PathJoinSubstitution([config, "simulation.yaml"]),
            description="parameters of the simulator",
        ),
        # Empty: as in params_file, which a default would override unseen.
        DeclareLaunchArgument(
            "policy", default_value="", description="policy file; empty: as in params_file, else the shipped beetle's"
        ),
        DeclareLaunchArgument(
            "robot",
            default_value="",
            description="robot description (YAML); empty: as in params_file, else the shipped beetle",
        ),
        DeclareLaunchArgument(
            "driver",
            default_value="",
            description="how the robot's driver names its joints and topics (YAML); empty: as in params_file",
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
        DeclareLaunchArgument(
            "control_rate", default_value="", description="the simulator's control rate [Hz]; empty: the policy's"
        ),
        DeclareLaunchArgument(
            "publish_clock",
            default_value="",
            description="publish /clock, which only one of several simulators may; empty: as in simulation_params_file",
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

    def include(name, names, **fixed):
        passed = {argument: LaunchConfiguration(argument) for argument in names}
        return IncludeLaunchDescription(
            PythonLaunchDescriptionSource(PathJoinSubstitution([share, "launch", f"{name}.launch.py"])),
            launch_arguments={**passed, **fixed}.items(),
        )

    policy = ["namespace", "use_sim_time", "params_file", "policy", "robot", "driver", "autostart", "seed", "gate"]
    policy += ["log_level", "record", "recorder"]
    simulation = ["namespace", "robot", "policy", "seed", "control_rate", "publish_clock", "log_level"]
    return LaunchDescription(
        [
            *arguments,
            # In a scope of its own: the policy's argument of the same name means another file.
            GroupAction(
                [
                    include(
                        "simulation",
                        simulation,
                        # The first of the two: from the second on `params_file` means another file.
                        policy_params_file=LaunchConfiguration("params_file"),
                        params_file=LaunchConfiguration("simulation_params_file"),
                    )
                ],
                condition=IfCondition(LaunchConfiguration("simulated")),
            ),
            include("policy", policy, trigger="timer"),
        ]
    )
