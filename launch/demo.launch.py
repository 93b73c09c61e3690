"""A simulated robot that walks under a plastic policy; optionally recorded."""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    GroupAction,
    IncludeLaunchDescription,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    share = FindPackageShare("hebbian_locomotion")
    config = PathJoinSubstitution([share, "config"])
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of both nodes and their topics"),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "policy_simulation.yaml"]),
            description="parameters of the policy node",
        ),
        DeclareLaunchArgument(
            "simulation_params_file",
            default_value=PathJoinSubstitution([config, "simulation.yaml"]),
            description="parameters of the simulator",
        ),
        # Empty: as in the file of parameters, which a default would override unseen.
        DeclareLaunchArgument(
            "robot",
            default_value="",
            description="robot description (YAML); empty: as in each node's file, else the shipped beetle",
        ),
        DeclareLaunchArgument(
            "policy", default_value="", description="policy file; empty: as in params_file, else the shipped beetle's"
        ),
        DeclareLaunchArgument(
            "mode",
            default_value="",
            choices=["", "real_time", "free_running", "lockstep"],
            description="what a control step of the simulation waits for; empty: as in simulation_params_file",
        ),
        DeclareLaunchArgument(
            "seed",
            default_value="",
            description="seed of start pose and initial weights; empty: as in each node's file",
        ),
        DeclareLaunchArgument(
            "gate",
            default_value="",
            description="plasticity gate at the start, 0 to 1; empty: as in params_file",
        ),
        DeclareLaunchArgument(
            "suspended",
            default_value="",
            description="hold the feet off the ground; empty: as in simulation_params_file",
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

    # Whichever node ends: a simulator without its policy would stand there for ever, and nobody would know why. Not for
    # what else a larger launch file starts.
    def is_ours(action):
        return getattr(action, "node_package", None) == "hebbian_locomotion"

    def on_exit(_, context):
        # Ended by the shutdown itself: launch_ros fails where it is told so a second time.
        return None if context.is_shutdown else [EmitEvent(event=Shutdown(reason="a node of the demo has ended"))]

    end = RegisterEventHandler(OnProcessExit(target_action=is_ours, on_exit=on_exit, handle_once=True))
    simulation = ["namespace", "robot", "policy", "mode", "seed", "control_rate", "suspended", "publish_clock"]
    simulation += ["log_level"]
    return LaunchDescription(
        [
            *arguments,
            end,
            # Before the nodes, so that it misses as little as possible.
            include("record", ["namespace", "record", "recorder"]),
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
                ]
            ),
            # What is included sees the arguments of this file; the recording has begun above.
            include(
                "policy",
                ["namespace", "params_file", "robot", "policy", "seed", "gate", "log_level"],
                use_sim_time="true",
                autostart="true",
                record="false",
            ),
        ]
    )
