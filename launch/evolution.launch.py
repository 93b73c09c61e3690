"""An evolution and its workers on this machine; ends when the evolution ends."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# The arguments that are parameters of the evolution node alone.
PARAMETERS = {"out": str, "seed": int, "generations": int}


def nodes(context):
    # As text: a value that looks like YAML would be read as such.
    def text(name):
        return ParameterValue(LaunchConfiguration(name), value_type=str)

    def node(executable, name, parameters, ros_arguments=(), **more):
        return Node(
            package="hebbian_locomotion",
            executable=executable,
            name=name,
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            parameters=[*parameters, {"experiment": text("experiment")}],
            ros_arguments=[*ros_arguments, "--log-level", LaunchConfiguration("log_level")],
            **more,
        )

    def integer(name):
        return ParameterValue(LaunchConfiguration(name), value_type=int)

    # What nobody gave is for the file of parameters to say. The experiment is the workers' as well, which have no file.
    own = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETERS.items()
        if LaunchConfiguration(name).perform(context)
    }
    own = [own] if own else []
    # By option, so that the node refuses a file that is not there: among the parameters launch_ros leaves it out.
    evolution = node("evolution", "evolution", own, ["--params-file", LaunchConfiguration("params_file")])
    count = int(LaunchConfiguration("workers").perform(context))
    workers = [
        # Each with a name of its own, so that its parameters can be asked for.
        node(
            "episode_worker",
            f"episode_worker_{number}",
            [{"threads": integer("threads")}],
            respawn=True,
            respawn_delay=1.0,
        )
        for number in range(1, count + 1)
    ]

    def on_exit(_, context):
        # Ended by the shutdown itself: launch_ros fails where it is told so a second time.
        return None if context.is_shutdown else [EmitEvent(event=Shutdown(reason="the evolution has ended"))]

    end = RegisterEventHandler(OnProcessExit(target_action=evolution, on_exit=on_exit))
    return [end, evolution, *workers]


def generate_launch_description():
    config = PathJoinSubstitution([FindPackageShare("hebbian_locomotion"), "config"])
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes and their topics"),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "evolution.yaml"]),
            description="parameters of the evolution node",
        ),
        DeclareLaunchArgument(
            "experiment",
            default_value=PathJoinSubstitution([config, "experiments", "beetle.yaml"]),
            description="experiment file (YAML)",
        ),
        # Empty: as in params_file, which a default would override unseen.
        DeclareLaunchArgument(
            "out", default_value="", description="folder for the results; empty: as in params_file, else runs/NAME"
        ),
        DeclareLaunchArgument(
            "seed", default_value="", description="seed; -1: the experiment's; empty: as in params_file"
        ),
        DeclareLaunchArgument(
            "generations", default_value="", description="generations; 0: the experiment's; empty: as in params_file"
        ),
        DeclareLaunchArgument("workers", default_value="1", description="worker processes on this machine"),
        DeclareLaunchArgument("threads", default_value="0", description="threads of each; 0: one for each core"),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error"),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])
