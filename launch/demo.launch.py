"""A simulated robot that walks under a plastic policy; optionally recorded."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, IncludeLaunchDescription, RegisterEventHandler
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
            "robot",
            default_value=PathJoinSubstitution([config, "robots", "beetle.yaml"]),
            description="robot description (YAML)",
        ),
        DeclareLaunchArgument(
            "policy",
            default_value=PathJoinSubstitution([config, "policies", "beetle.safetensors"]),
            description="policy file",
        ),
        DeclareLaunchArgument(
            "mode",
            default_value="real_time",
            choices=["real_time", "free_running", "lockstep"],
            description="what a control step of the simulation waits for",
        ),
        DeclareLaunchArgument("seed", default_value="0", description="seed of start pose and initial weights"),
        DeclareLaunchArgument("gate", default_value="1.0", description="plasticity gate at the start, 0 to 1"),
        DeclareLaunchArgument("suspended", default_value="false", description="hold the feet off the ground"),
        DeclareLaunchArgument(
            "publish_clock",
            default_value="",
            description="publish /clock, which only one of several simulators may; empty: as in simulation.yaml",
        ),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
        DeclareLaunchArgument(
            "record",
            default_value="false",
            description="true, or the folder of the bag: record (docs/recording.md); false or empty: no recording",
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
    return LaunchDescription(
        [
            *arguments,
            end,
            # Before the nodes, so that it misses as little as possible.
            include("record", ["namespace", "record"]),
            include("simulation", ["namespace", "robot", "mode", "seed", "suspended", "publish_clock", "log_level"]),
            # What is included sees the arguments of this file; the recording has begun above.
            include(
                "policy",
                ["namespace", "robot", "policy", "seed", "gate", "log_level"],
                use_sim_time="true",
                autostart="true",
                params_file=PathJoinSubstitution([config, "policy_simulation.yaml"]),
                record="false",
            ),
        ]
    )
