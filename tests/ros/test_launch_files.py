"""The launch files, as text: the package launch is nothing that these tests install."""

import ast

import pytest

from conftest import ROOT

FILES = sorted((ROOT / "launch").glob("*.launch.py"))


def is_bare(value):
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "LaunchConfiguration"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_argument_becomes_a_parameter_by_the_rules_of_yaml(file):
    """launch_ros reads a bare one as YAML: 2026-10-01 would be a date, 007 the number 7, `/x #1` the path `/x`."""
    dictionaries = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Dict)]
    pairs = [pair for each in dictionaries for pair in zip(each.keys, each.values, strict=True)]
    assert [ast.unparse(key) for key, value in pairs if is_bare(value)] == []


def test_there_are_launch_files_to_look_at():
    assert {"evolution.launch.py", "policy.launch.py", "simulation.launch.py"} <= {file.name for file in FILES}
