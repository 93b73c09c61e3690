"""What the launch files start; with stand-ins for launch and launch_ros, which these tests do not install."""

import runpy
import sys
from types import ModuleType, SimpleNamespace

import pytest

from conftest import ROBOT, ROOT

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
    return value if isinstance(value, str) else value.perform(context)


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


def start(parts, **given):
    """The first node that a launch file starts so: its parameters with their types, and its options."""
    context = {**defaults(parts), **given}
    [function] = [part.options["function"] for part in parts if is_a(part, "OpaqueFunction")]
    node = next(part for part in function(context) if is_a(part, "Node") or is_a(part, "LifecycleNode"))
    parameters = {
        name: (text(value.arguments[0], context), value.options["value_type"])
        for each in node.options["parameters"]
        for name, value in each.items()
    }
    return parameters, [text(option, context) for option in node.options["ros_arguments"]]


@pytest.mark.parametrize("name", OF_PARAMETERS)
def test_an_argument_that_nobody_gave_leaves_the_file_of_parameters_as_it_is(described, name):
    """A default would override what the file says, unseen: `gate: 0.0` would start with weights that change."""
    module, parts = described(name)
    parameters, _ = start(parts)
    # The workers of an evolution need the experiment as well, and have no such file.
    assert [parameter for parameter in parameters if parameter != "experiment"] == []
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
        assert [other for other in parameters if other not in (parameter, "experiment")] == []
        assert options[options.index("--params-file") + 1] == "/mine.yaml"


def test_every_argument_that_is_a_parameter_of_its_node_is_treated_so(described):
    others = {"namespace", "params_file", "log_level"}
    for name, more in [("policy", {"record"}), ("simulation", set()), ("viewer", set())]:
        module, parts = described(name)
        assert set(defaults(parts)) - others - more == set(module["PARAMETERS"]), name
    module, parts = described("evolution")
    assert set(defaults(parts)) - others - {"experiment", "workers", "threads"} == set(module["PARAMETERS"])


@pytest.mark.parametrize(("name", "files"), [("policy", ["policy", "robot"]), ("simulation", ["robot"])])
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
