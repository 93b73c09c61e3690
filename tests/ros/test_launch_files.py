"""The launch files, as text: the package launch is nothing that these tests install."""

import ast
import itertools

import pytest

from conftest import ROOT

FILES = sorted((ROOT / "launch").glob("*.launch.py"))


def nodes(file, kind):
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kind)]


def is_call(value, *names):
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in names


def is_bare(value):
    return is_call(value, "LaunchConfiguration")


def is_option(value):
    return isinstance(value, ast.Constant) and str(value.value).startswith("--")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_argument_becomes_a_parameter_by_the_rules_of_yaml(file):
    """launch_ros reads a bare one as YAML: 2026-10-01 would be a date, 007 the number 7, `/x #1` the path `/x`."""
    pairs = [pair for each in nodes(file, ast.Dict) for pair in zip(each.keys, each.values, strict=True)]
    assert [ast.unparse(key) for key, value in pairs if is_bare(value)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_of_parameters_goes_to_the_node_itself_which_refuses_one_that_is_not_there(file):
    """Among a node's `parameters` launch_ros leaves it out with a warning, and a robot walks with other limits."""
    lists = nodes(file, (ast.List, ast.Tuple))
    pairs = [pair for each in lists for pair in itertools.pairwise([None, *each.elts])]
    assert [ast.unparse(value) for before, value in pairs if is_bare(value) and not is_option(before)] == []
    starts_nodes = any(is_call(call, "Node", "LifecycleNode") for call in nodes(file, ast.Call))
    if starts_nodes and "params_file" in declared(file):
        options = {before.value: ast.unparse(value) for before, value in pairs if is_option(before)}
        assert options["--params-file"] == "LaunchConfiguration('params_file')"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_node_has_a_name_so_that_arguments_win_over_the_file_of_parameters(file):
    """Those of a node without one launch_ros writes for all nodes (`/**`), and a file may speak of this one by name."""
    calls = [call for call in nodes(file, ast.Call) if is_call(call, "Node", "LifecycleNode")]
    assert [call.lineno for call in calls if "name" not in {keyword.arg for keyword in call.keywords}] == []


def declarations(file):
    return [call for call in nodes(file, ast.Call) if is_call(call, "DeclareLaunchArgument")]


def declared(file):
    return [call.args[0].value for call in declarations(file)]


def handed_on(file, included):
    """Names of the arguments that a launch file hands on to the one that it includes."""
    variables = {ast.unparse(each.targets[0]): each.value for each in nodes(file, ast.Assign)}
    calls = [call for call in nodes(file, ast.Call) if is_call(call, "include")]
    [names] = [call.args[1] for call in calls if call.args[0].value == included]
    return [name.value for name in variables.get(ast.unparse(names), names).elts]


@pytest.mark.parametrize("name", ["demo", "robot"])
def test_a_simulation_can_leave_the_clock_to_another(name):
    file = ROOT / f"launch/{name}.launch.py"
    assert "publish_clock" in handed_on(file, "simulation")
    for each in [file, ROOT / "launch/simulation.launch.py"]:
        [argument] = [call for call in declarations(each) if call.args[0].value == "publish_clock"]
        default = {keyword.arg: keyword.value for keyword in argument.keywords}["default_value"]
        assert default.value == "", "where nobody gives it, the file of parameters counts"


def test_there_are_launch_files_to_look_at():
    expected = {"display.launch.py", "evolution.launch.py", "policy.launch.py", "simulation.launch.py"}
    assert expected <= {file.name for file in FILES}
