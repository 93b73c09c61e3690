"""The simulated robot alone: sensors out, joint commands in."""

import json
from pathlib import Path

import yaml
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
    "control_rate": float,
    "suspended": bool,
    "terrain": str,
    "damage": str,
    "ground_markers": bool,
    "publish_clock": bool,
}
# What the node takes of this package where neither an argument nor the file of parameters names another one.
SHIPPED = {"robot": "robots/beetle.yaml"}
# What policy.launch.py takes where neither an argument nor its file of parameters names another one.
SHIPPED_POLICY = "policies/beetle.safetensors"
# Longest header of a safetensors file [bytes], and the control rates that a policy may have [Hz].
LONGEST_HEADER = 100_000_000
CONTROL_RATES = (0.1, 10_000.0)


def shipped(context):
    """Options that go in front of the file of parameters, so that it wins where it names others."""
    config = Path(FindPackageShare("hebbian_locomotion").perform(context)) / "config"
    for name, file in SHIPPED.items():
        # In quotes: ROS reads the value as YAML, and a path may hold anything.
        path = str(config / file).replace("'", "''")
        yield from ("-p", f"{name}:='{path}'")


def said(context, file, node, parameter):
    """What a file of parameters says to a node, as the node hears it; None where it says nothing.

    None too where the file cannot be read: the node says that itself.
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
        return None
    # What is said to all nodes comes first, wherever it stands: the options in front of the file are for all of them.
    found.sort(key=lambda each: each[0] != "/**")
    return found[-1][1] if found else None


def policy(context):
    """The policy file that the robot is simulated for, found as policy.launch.py finds it; empty: none is known."""
    given, file = (LaunchConfiguration(name).perform(context) for name in ["policy", "policy_params_file"])
    if given or not file:
        return given
    config = Path(FindPackageShare("hebbian_locomotion").perform(context)) / "config"
    named = said(context, file, "policy", "policy")
    return named if named and isinstance(named, str) else str(config / SHIPPED_POLICY)


def control_rate(file):
    """The control rate of a policy file [Hz]; None where it cannot be read: the policy node says that itself."""
    try:
        # What comes through a pipe is for the node.
        if not file or not Path(file).is_file():
            return None
        with Path(file).open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = opened.read(min(length, LONGEST_HEADER))
        rate = float(json.loads(json.loads(header)["__metadata__"]["hebbian_locomotion"])["control_rate"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return rate if CONTROL_RATES[0] <= rate <= CONTROL_RATES[1] else None


def simulator(context):
    parameters = {
        # By its type: a text that looks like YAML would be read as such.
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETERS.items()
        # What nobody gave is for the file of parameters to say, as who makes the time of several simulators.
        if LaunchConfiguration(name).perform(context)
    }
    # A policy that is given sensor values at another rate than its own walks wrong, or in lockstep not at all.
    if "control_rate" not in parameters and (rate := control_rate(policy(context))):
        parameters["control_rate"] = ParameterValue(rate, value_type=float)
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
            "control_rate",
            default_value="",
            description="control steps per second [Hz]; empty: as many as `policy` makes, else as in params_file",
        ),
        DeclareLaunchArgument(
            "policy", default_value="", description="policy file that will walk; empty: as in policy_params_file"
        ),
        DeclareLaunchArgument(
            "policy_params_file",
            default_value="",
            description="parameters of the policy node, which may name its policy, else it is the shipped beetle's; "
            "empty: no policy is known",
        ),
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
