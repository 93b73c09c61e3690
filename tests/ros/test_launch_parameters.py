"""What the launch files start; with stand-ins for launch and launch_ros, which these tests do not install."""

import math
import runpy
import sys
from types import ModuleType, SimpleNamespace

import pytest

from conftest import ROBOT, ROOT
from policy_files import policy_at

FILES = sorted(file.name.removesuffix(".launch.py") for file in (ROOT / "launch").glob("*.launch.py"))
# By the type that a launch file gives to the argument.
GIVEN = {bool: "true", int: "7", float: "0.25", str: "timer"}
OF_PARAMETERS = ["evolution", "policy", "simulation", "viewer"]


class Part:
    """Keeps what it was made of."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options = arguments, options


class LaunchConfiguration(Part):
    def perform(self, context):
        return context[self.arguments[0]]


class FindPackageShare(Part):
    def perform(self, _):
        return "/it's #1/share"


class PathJoinSubstitution(Part):
    def perform(self, context):
        return "/".join(text(part, context) for part in self.arguments[0])


class Included(Part):
    """A launch file that another one includes."""

    @property
    def name(self):
        return self.arguments[0].arguments[0][-1].removesuffix(".launch.py")


MODULES = {
    "ament_index_python.packages": ["PackageNotFoundError", "get_package_prefix"],
    "launch": ["LaunchDescription"],
    "launch.actions": [
        "DeclareLaunchArgument",
        "EmitEvent",
        "ExecuteProcess",
        "GroupAction",
        "IncludeLaunchDescription",
        "LogInfo",
        "OpaqueFunction",
        "RegisterEventHandler",
    ],
    "launch.conditions": ["IfCondition"],
    "launch.event_handlers": ["OnProcessExit"],
    "launch.events": ["Shutdown"],
    "launch.launch_description_sources": ["PythonLaunchDescriptionSource"],
    "launch.substitutions": ["LaunchConfiguration", "PathJoinSubstitution"],
    "launch_ros.actions": ["LifecycleNode", "Node"],
    "launch_ros.parameter_descriptions": ["ParameterValue"],
    "launch_ros.substitutions": ["FindPackageShare"],
}
OWN = {
    "FindPackageShare": FindPackageShare,
    "LaunchConfiguration": LaunchConfiguration,
    "PathJoinSubstitution": PathJoinSubstitution,
    "PythonLaunchDescriptionSource": Included,
}


def text(value, context):
    return value.perform(context) if hasattr(value, "perform") else str(value)


@pytest.fixture
def described(monkeypatch):
    """Reads a launch file: its module and the parts of its description."""
    for name, members in MODULES.items():
        # The folders above it, too.
        for parent in [name.split(".")[0], name]:
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent, ModuleType(parent)))
        for member in members:
            kind = OWN.get(member) or type(member, (Part,), {})
            monkeypatch.setattr(sys.modules[name], member, kind, raising=False)

    def read(name):
        module = runpy.run_path(str(ROOT / f"launch/{name}.launch.py"))
        return module, module["generate_launch_description"]().arguments[0]

    return read


def is_a(part, name):
    return type(part).__name__ == name


def defaults(parts):
    declared = [part for part in parts if is_a(part, "DeclareLaunchArgument")]
    context = {}
    for part in declared:
        context[part.arguments[0]] = text(part.options["default_value"], context)
    return context


def includes(parts):
    """The actions that include another launch file, those in groups too."""
    for part in parts:
        if is_a(part, "GroupAction"):
            yield from includes(part.arguments[0])
        elif is_a(part, "IncludeLaunchDescription"):
            yield part


def included(parts, context):
    """Each launch file that is included, and all arguments that it sees; as launch does it.

    What is handed on to one file is seen by those after it as well. Only a group keeps that to itself.
    """
    for part in parts:
        if is_a(part, "GroupAction"):
            yield from included(part.arguments[0], dict(context))
        elif is_a(part, "IncludeLaunchDescription"):
            for name, value in part.options["launch_arguments"]:
                context[name] = text(value, context)
            yield part.arguments[0].name, dict(context)


def start(parts, **given):
    """The first node that a launch file starts so: its parameters with their types, and its options."""
    context = {**defaults(parts), **given}
    [function] = [part.options["function"] for part in parts if is_a(part, "OpaqueFunction")]
    node = next(part for part in function(context) if is_a(part, "Node") or is_a(part, "LifecycleNode"))
    values = {name: value for each in node.options["parameters"] for name, value in each.items()}
    for name, value in values.items():
        # launch_ros reads an argument as what it is to be, and takes any other value only if it is that already.
        assert isinstance(value.arguments[0], (LaunchConfiguration, value.options["value_type"])), name
    parameters = {
        name: (text(value.arguments[0], context), value.options["value_type"]) for name, value in values.items()
    }
    return parameters, [text(option, context) for option in node.options["ros_arguments"]]


@pytest.mark.parametrize("name", OF_PARAMETERS)
def test_an_argument_that_nobody_gave_leaves_the_file_of_parameters_as_it_is(described, name):
    """A default would override what the file says, unseen: `gate: 0.0` would start with weights that change."""
    module, parts = described(name)
    parameters, _ = start(parts)
    assert parameters == {}
    choices = {part.arguments[0]: part.options.get("choices") for part in parts if is_a(part, "DeclareLaunchArgument")}
    for parameter in module["PARAMETERS"]:
        assert defaults(parts)[parameter] == "", parameter
        assert choices[parameter] is None or "" in choices[parameter], parameter


@pytest.mark.parametrize("name", OF_PARAMETERS)
def test_an_argument_that_was_given_wins_over_the_file_of_parameters(described, name):
    module, parts = described(name)
    for parameter, kind in module["PARAMETERS"].items():
        parameters, options = start(parts, **{parameter: GIVEN[kind]}, params_file="/mine.yaml")
        assert parameters[parameter] == (GIVEN[kind], kind)
        assert list(parameters) == [parameter]
        assert options[options.index("--params-file") + 1] == "/mine.yaml"


def test_every_argument_that_is_a_parameter_of_its_node_is_treated_so(described):
    others = {"namespace", "params_file", "log_level"}
    of_others = {
        "policy": {"record", "recorder"},
        "simulation": {"policy", "policy_params_file"},
        "viewer": set(),
        "evolution": {"workers", "threads"},
    }
    for name, more in of_others.items():
        module, parts = described(name)
        assert set(defaults(parts)) - others - more == set(module["PARAMETERS"]), name


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_parameters_is_handed_on_to_each_launch_file_that_takes_one(described, name):
    """It would see that of another node else, which says nothing to its own."""
    _, parts = described(name)
    for part in includes(parts):
        _, theirs = described(part.arguments[0].name)
        handed_on = dict(part.options["launch_arguments"])
        assert "params_file" not in defaults(theirs) or "params_file" in handed_on, part.arguments[0].name


@pytest.mark.parametrize(("name", "file"), [("demo", "policy_simulation.yaml"), ("robot", "policy.yaml")])
def test_policy_and_simulator_have_a_file_of_parameters_each(described, name, file):
    _, parts = described(name)
    assert defaults(parts)["params_file"].endswith(f"/config/{file}")
    assert defaults(parts)["simulation_params_file"].endswith("/config/simulation.yaml")
    given = {"params_file": "/mine.yaml", "simulation_params_file": "/world.yaml"}
    seen = dict(included(parts, {**defaults(parts), **given}))
    assert seen["policy"]["params_file"] == seen["simulation"]["policy_params_file"] == "/mine.yaml"
    assert seen["simulation"]["params_file"] == "/world.yaml"


@pytest.mark.parametrize(("name", "fixed"), [("demo", {"use_sim_time", "autostart"}), ("robot", {"trigger"})])
def test_what_nobody_gave_is_handed_on_as_empty(described, name, fixed):
    """Each node goes by its file of parameters then."""
    _, parts = described(name)
    for file, arguments in included(parts, defaults(parts)):
        module, _ = described(file)
        given = {parameter for parameter in module.get("PARAMETERS", {}) if arguments.get(parameter)}
        assert given == (fixed if file == "policy" else set()), file


@pytest.mark.parametrize("name", ["demo", "robot"])
def test_the_simulator_has_the_rate_of_the_policy_that_walks(described, monkeypatch, tmp_path, name):
    """At another rate the policy walks wrong without a word, or in lockstep waits for ever."""
    monkeypatch.setattr(FindPackageShare, "perform", lambda *_: str(ROOT))
    (_, parts), (_, simulation) = described(name), described("simulation")

    def rate(**given):
        seen = dict(included(parts, {**defaults(parts), **given}))
        parameters, _ = start(simulation, **seen["simulation"])
        return parameters.get("control_rate")

    assert rate() == ("50.0", float), "that of the shipped policy"
    slow, fast, file = policy_at(tmp_path, 25.0), policy_at(tmp_path, 100), tmp_path / "mine.yaml"
    assert rate(policy=str(slow)) == ("25.0", float)
    assert rate(policy=str(fast)) == ("100.0", float)
    assert rate(policy=str(slow), control_rate="40") == ("40", float), "the argument wins"

    def said(node, policy):
        return f"{node}: {{ros__parameters: {{policy: '{policy}'}}}}\n"

    for text_of_file, expected in [
        *((said(node, slow), "25.0") for node in ["policy", "/**", "/left/policy"]),
        # As the node takes it, in whatever order they stand.
        (said("policy", slow) + said("/**", fast), "25.0"),
        (said("/right/policy", slow), "50.0"),
        (said("simulator", slow), "50.0"),
        ("policy: {ros__parameters: {gate: 0.5}}\n", "50.0"),
        ("policy: [\n", "50.0"),
    ]:
        file.write_text(text_of_file)
        assert rate(params_file=str(file), namespace="left") == (expected, float), text_of_file
    file.write_text(said("policy", slow))
    assert rate(params_file=str(file), policy=str(fast)) == ("100.0", float), "the argument wins"


def test_a_policy_that_cannot_be_read_is_for_the_policy_node_to_name(described, tmp_path):
    _, parts = described("simulation")
    whole, broken = policy_at(tmp_path, 25.0).read_bytes(), tmp_path / "broken.safetensors"
    for content in [b"", whole[:7], whole[:100], b"\xff" * 100, whole.replace(b"control_rate", b"control_rats")]:
        broken.write_bytes(content)
        parameters, _ = start(parts, policy=str(broken))
        assert parameters == {}, content[:100]
    for policy in [tmp_path / "none.safetensors", tmp_path, policy_at(tmp_path, 0), policy_at(tmp_path, math.nan)]:
        parameters, _ = start(parts, policy=str(policy))
        assert parameters == {}, policy


BEETLE = [("policy", ["policy", "robot"]), ("simulation", ["robot"]), ("evolution", ["experiment"])]


@pytest.mark.parametrize(("name", "files"), BEETLE)
def test_the_beetle_of_this_package_stands_in_front_of_the_file_of_parameters(described, name, files):
    _, parts = described(name)
    _, options = start(parts)
    before = options[: options.index("--params-file")]
    assert before[::2] == ["-p"] * len(files)
    assert [option.split(":=")[0] for option in before[1::2]] == files
    # Quotes of YAML, within which a quote is written twice.
    assert all(option.split(":=")[1].startswith("'/it''s #1/share/config/") for option in before[1::2])


@pytest.mark.parametrize("node", ["/**", "simulator"])
def test_the_node_takes_what_stands_in_front_of_a_file_of_parameters_only_where_the_file_says_nothing(world, node):
    folder = world.folder / "it's #1"
    folder.mkdir()
    for file in [ROBOT, ROBOT.with_suffix(".urdf")]:
        (folder / file.name).write_text(file.read_text())

    def started(name, before, said):
        file = world.folder / f"{name}.yaml"
        file.write_text(f"{node}: {{ros__parameters: {{{said}}}}}\n")
        simulator = world.start("simulator", "--ros-args", "-p", f"robot:='{before}'", "--params-file", file)
        world.spin_until(lambda: "robot `beetle`" in simulator.output(), "robot", simulator.output)
        return simulator.stop()

    assert started("named", "/no/such.yaml", f"robot: {ROBOT}") == 0
    quoted = str(folder / ROBOT.name).replace("'", "''")
    assert started("not_named", quoted, "seed: 3") == 0


def test_a_robot_can_be_recorded(described):
    _, parts = described("robot")
    assert defaults(parts)["record"] == "false"
    [included] = [part for part in parts if is_a(part, "IncludeLaunchDescription")]
    handed_on = dict(included.options["launch_arguments"])
    assert included.arguments[0].name == "policy"
    assert text(handed_on["record"], {"record": "/tmp/walk"}) == "/tmp/walk"
    assert handed_on["trigger"] == "timer"


def test_the_recorder_of_this_package_records_unless_the_other_one_is_asked_for(described, monkeypatch):
    _, parts = described("record")
    [function] = [part.options["function"] for part in parts if is_a(part, "OpaqueFunction")]

    def started(**given):
        return function({**defaults(parts), "record": "/tmp/walk", **given})[-1]

    own = started()
    assert is_a(own, "Node") and own.options["package"] == "hebbian_locomotion"
    assert own.options["executable"] == "recorder"
    other = started(recorder="rosbag2")
    assert is_a(other, "ExecuteProcess") and other.options["cmd"][:3] == ["ros2", "bag", "record"]
    monkeypatch.setitem(function.__globals__, "is_installed", lambda package: package == "ros2bag")
    assert is_a(started(), "Node")
    with pytest.raises(RuntimeError, match=r"needs rosbag2_storage_mcap, .* leave `recorder` out"):
        started(recorder="rosbag2")


@pytest.mark.parametrize("name", FILES)
def test_wherever_a_launch_is_recorded_the_recorder_can_be_chosen(described, name):
    _, parts = described(name)
    declared = [part for part in parts if is_a(part, "DeclareLaunchArgument")]
    choices = {part.arguments[0]: part.options.get("choices") for part in declared}
    if "record" in choices:
        assert choices["recorder"] == ["hebbian_locomotion", "rosbag2"]
        assert defaults(parts)["recorder"] == "hebbian_locomotion"
        handed_on = [dict(part.options["launch_arguments"]) for part in includes(parts)]
        chosen = [text(each["recorder"], {"recorder": "rosbag2"}) for each in handed_on if "recorder" in each]
        assert chosen == ([] if name == "record" else ["rosbag2"])


def test_the_workers_of_an_evolution_have_the_experiment_of_its_node(described, tmp_path):
    """Hours of all cores go into it, and a worker takes part in no other one."""
    _, parts = described("evolution")
    [function] = [part.options["function"] for part in parts if is_a(part, "OpaqueFunction")]

    def experiments(**given):
        """That which each node is given as an argument, the evolution first."""
        context = {**defaults(parts), "workers": "2", **given}
        lists = [node.options["parameters"] for node in function(context) if is_a(node, "Node")]
        parameters = [{name: value for each in of_one for name, value in each.items()} for of_one in lists]
        return [text(own["experiment"].arguments[0], context) if "experiment" in own else None for own in parameters]

    file = tmp_path / "mine.yaml"
    file.write_text("evolution: {ros__parameters: {experiment: /other.yaml, lease: 2.0}}")
    # The node reads the file itself.
    assert experiments(params_file=str(file)) == [None, "/other.yaml", "/other.yaml"]
    assert experiments(params_file=str(file), experiment="/given.yaml") == ["/given.yaml"] * 3
    # What stands in front of the file, for the node as for the workers.
    shipped = "/it's #1/share/config/experiments/beetle.yaml"
    file.write_text("evolution: {ros__parameters: {lease: 2.0}}")
    assert experiments(params_file=str(file)) == [None, shipped, shipped]


def test_the_demo_ends_when_any_of_its_nodes_ends(described):
    """A simulator without its policy would keep the launch, and what waits for it, for ever."""
    _, parts = described("demo")
    [handler] = [part.arguments[0] for part in parts if is_a(part, "RegisterEventHandler")]
    assert is_a(handler, "OnProcessExit")
    is_ours = handler.options["target_action"]
    assert is_ours(SimpleNamespace(node_package="hebbian_locomotion"))
    others = [SimpleNamespace(node_package="controller_manager"), SimpleNamespace(cmd=["rviz2"])]
    assert not any(is_ours(other) for other in others), "what else a larger launch file starts may end"
    [over] = handler.options["on_exit"](None, SimpleNamespace(is_shutdown=False))
    assert is_a(over.options["event"], "Shutdown")
    # While it is shut down all of them end.
    assert handler.options["on_exit"](None, SimpleNamespace(is_shutdown=True)) is None
    # Before the first of them.
    included = [number for number, part in enumerate(parts) if is_a(part, "IncludeLaunchDescription")]
    assert parts.index(next(part for part in parts if is_a(part, "RegisterEventHandler"))) < included[0]


def test_the_launch_of_an_evolution_ends_with_it_but_once(described):
    _, parts = described("evolution")
    [function] = [part.options["function"] for part in parts if is_a(part, "OpaqueFunction")]
    registered, evolution, *_ = function(defaults(parts))
    [handler] = registered.arguments
    assert handler.options["target_action"] is evolution and evolution.options["executable"] == "evolution"
    [over] = handler.options["on_exit"](None, SimpleNamespace(is_shutdown=False))
    assert is_a(over.options["event"], "Shutdown")
    assert handler.options["on_exit"](None, SimpleNamespace(is_shutdown=True)) is None


def test_a_urdf_is_handed_on_as_text_whatever_yaml_would_make_of_it(described, tmp_path):
    _, parts = described("display")
    urdf = tmp_path / "it's #1.urdf"
    urdf.write_text("<!-- a robot: 18 joints -->")
    [function] = [part.options["function"] for part in parts if is_a(part, "OpaqueFunction")]
    [node] = function({**defaults(parts), "urdf": str(urdf)})
    [parameters] = node.options["parameters"]
    description = parameters["robot_description"]
    assert description.options["value_type"] is str and description.arguments == (urdf.read_text(),)
    assert defaults(parts)["urdf"].endswith("/config/robots/beetle.urdf")
    assert set(defaults(parts)) == {"namespace", "urdf", "frame_prefix", "use_sim_time", "log_level"}
    dependencies = (ROOT / "package.xml").read_text()
    assert f"<exec_depend>{node.options['package']}</exec_depend>" in dependencies
