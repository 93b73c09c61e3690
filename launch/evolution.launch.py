"""An evolution and its workers on this machine; ends when the evolution ends."""

from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# The arguments that are parameters of the evolution node; the experiment is the workers' as well.
PARAMETERS = {"experiment": str, "out": str, "seed": int, "generations": int}
# What all of them take of this package where neither an argument nor the file of parameters names another one.
SHIPPED = "experiments/beetle.yaml"


def said(context, file, node, parameter):
    """What a file of parameters says to a node, as the node hears it; empty where it says nothing.

    Empty too where the file cannot be read: the node says that itself.
    """
    own = "/".join(["", *filter(None, LaunchConfiguration("namespace").perform(context).split("/")), node])

    def values(inner, name):
        for key, value in inner.items() if isinstance(inner, dict) else ():
            if key != "ros__parameters":
                yield from values(value, f"{name}/{key}" if name else str(key))
            elif name in ("/**", "**", node, own) and isinstance(value, dict) and parameter in value:
                yield name, value[parameter]

    try:
        # What comes through a pipe is for the node.
        text = Path(file).read_text(encoding="utf-8") if Path(file).is_file() else ""
        found = list(values(yaml.safe_load(text), ""))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return ""
    # What is said to all nodes comes first, wherever it stands: the options in front of the file are for all of them.
    found.sort(key=lambda each: each[0] != "/**")
    value = found[-1][1] if found else ""
    return value if isinstance(value, str) else ""


def nodes(context):
    shipped = str(Path(FindPackageShare("hebbian_locomotion").perform(context)) / "config" / SHIPPED)
    given, file = (LaunchConfiguration(name).perform(context) for name in ["experiment", "params_file"])
    # The workers have no such file, and take part in no other experiment than the node's.
    experiment = given or said(context, file, "evolution", "experiment") or shipped

    def node(executable, name, parameters, ros_arguments=(), **more):
        return Node(
            package="hebbian_locomotion",
            executable=executable,
            name=name,
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            parameters=parameters,
            ros_arguments=[*ros_arguments, "--log-level", LaunchConfiguration("log_level")],
            **more,
        )

    def integer(name):
        return ParameterValue(LaunchConfiguration(name), value_type=int)

    # What nobody gave is for the file of parameters to say.
    own = {
        # By its type: a text that looks like YAML would be read as such.
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETERS.items()
        if LaunchConfiguration(name).perform(context)
    }
    own = [own] if own else []
    # In front of the file of parameters, so that it wins where it names another one. In quotes: ROS reads it as YAML.
    quoted = shipped.replace("'", "''")
    options = ["-p", f"experiment:='{quoted}'"]
    # By option, so that the node refuses a file that is not there: among the parameters launch_ros leaves it out.
    options += ["--params-file", LaunchConfiguration("params_file")]
    evolution = node("evolution", "evolution", own, options)
    count = int(LaunchConfiguration("workers").perform(context))
    workers = [
        # Each with a name of its own, so that its parameters can be asked for.
        node(
            "episode_worker",
            f"episode_worker_{number}",
            [{"experiment": ParameterValue(experiment, value_type=str), "threads": integer("threads")}],
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
        # Empty: as in params_file, which a default would override unseen.
        DeclareLaunchArgument(
            "experiment",
            default_value="",
            description="experiment file (YAML); empty: as in params_file, else the shipped beetle's",
        ),
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
