"""Scripted gaits in our world at training settings, against small steps of the same world and against MuJoCo.

MuJoCo gets the model of `hebb robot export --mjcf` and the same joint targets.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy
import pytest

import gaits
import tensors

ROOT = Path(__file__).resolve().parents[2]
BUILDS = [ROOT / "target" / profile / "hebb" for profile in ("release", "debug")]
HEBB = os.environ.get("HEBB") or next((path for path in BUILDS if path.exists()), BUILDS[0])

SECONDS = 10.0
DISTANCE_OF_OURS, DISTANCE_OF_OTHERS, YAW = 0.03, 0.05, 0.1


def hebb(*arguments):
    subprocess.run([HEBB, *map(str, arguments)], check=True, stdout=subprocess.PIPE)


def yaw(x, y, z, w):
    return numpy.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


class Walk:
    """Way over the ground [m] and turn [rad] from the end of the first second on, when the gait has come in."""

    def __init__(self, name, base):
        start, end = base[round(gaits.CONTROL_RATE)], base[-1]
        self.name = name
        self.way = end[:2] - start[:2]
        self.distance = numpy.hypot(*self.way)
        self.turn = yaw(*end[3:]) - yaw(*start[3:])

    def __str__(self):
        return f"{self.name}: {self.distance:.4f} m ({self.way[0]:.4f}, {self.way[1]:.4f}), turn {self.turn:.4f} rad"

    def assert_like(self, other, tolerance):
        assert abs(self.distance / other.distance - 1) <= tolerance, f"{self}; {other}"
        assert abs(self.turn - other.turn) <= YAW, f"{self}; {other}"


def in_our_world(robot, targets, folder, rate):
    tensors.write(folder / "targets.safetensors", {"targets": targets.astype("f4")})
    hebb("robot", "drive", robot, folder / "targets.safetensors", folder / "out.safetensors", "--physics-rate", rate)
    return Walk(f"ours at {rate} Hz", tensors.read(folder / "out.safetensors")[0]["base"])


@pytest.fixture(scope="module", params=gaits.GAITS)
def walks(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    robot = ROOT / f"config/robots/{request.param}.yaml"
    hebb("robot", "export", robot, "--mjcf", folder / "model.xml")
    model = mujoco.MjModel.from_xml_path(str(folder / "model.xml"))
    targets = gaits.GAITS[request.param](model, SECONDS)
    walks = {rate: in_our_world(robot, targets, folder, rate) for rate in (100, 1000)}
    walks["mujoco"] = Walk("MuJoCo", gaits.in_mujoco(model, targets)[0])
    for walk in walks.values():
        print(f"{request.param}, {walk}")
    assert walks[1000].distance > 0.3, "a robot that hardly moves shows nothing"
    return walks


def test_training_steps_walk_like_steps_of_a_millisecond(walks):
    walks[100].assert_like(walks[1000], DISTANCE_OF_OURS)


def test_our_world_walks_like_mujoco(walks):
    walks[100].assert_like(walks["mujoco"], DISTANCE_OF_OTHERS)


@pytest.mark.parametrize("robot", ["beetle", "gecko", "ant"])
def test_the_exported_model_has_the_masses_and_ranges_of_the_urdf(robot, tmp_path):
    hebb("robot", "export", ROOT / f"config/robots/{robot}.yaml", "--mjcf", tmp_path / "model.xml")
    ours = mujoco.MjModel.from_xml_path(str(tmp_path / "model.xml"))
    # MuJoCo reads URDF itself: an independent reading of the same file.
    theirs = mujoco.MjModel.from_xml_path(str(ROOT / f"config/robots/{robot}.urdf"))
    for index in range(theirs.njnt):
        name = theirs.joint(index).name
        assert ours.joint(name).range == pytest.approx(theirs.joint(name).range, abs=1e-5), name
        masses = [model.body_subtreemass[model.joint(name).bodyid[0]] for model in (ours, theirs)]
        assert masses[0] == pytest.approx(masses[1], rel=1e-4), name


def test_flat_and_mended_inertias_are_exported_as_mujoco_accepts_them(tmp_path):
    """A plate and what rounding made of one are at the edge of what a body can have, and MuJoCo knows no tolerance."""
    moments = {
        "plate": (1e-3, 2e-3, 3e-3),
        "rounded": (1e-3, 2e-3, 3.02e-3),
        "clamped": (1e-3, 1e-3, 5e-3),
        "rod": (1e-8, 1e-3, 1e-3),
    }
    links, joints = "", ""
    for name, (xx, yy, zz) in moments.items():
        links += f"""<link name='{name}'><inertial><origin rpy='0.3 0.2 0.1'/><mass value='1'/>
            <inertia ixx='{xx}' iyy='{yy}' izz='{zz}' ixy='0' ixz='0' iyz='0'/></inertial>
            <collision><origin xyz='0 0 -0.2'/><geometry><sphere radius='0.02'/></geometry></collision></link>"""
        joints += f"""<joint name='{name}_joint' type='revolute'><parent link='base'/><child link='{name}'/>
            <axis xyz='0 1 0'/><limit lower='-1' upper='1' effort='50' velocity='5'/></joint>"""
    base = "<link name='base'><inertial><mass value='1'/></inertial></link>"
    (tmp_path / "flat.urdf").write_text(f"<robot name='flat'>{base}{links}{joints}</robot>")
    names = list(moments)
    (tmp_path / "flat.yaml").write_text(
        f"name: flat\nurdf: flat.urdf\nbase_link: base\njoints: [{', '.join(f'{name}_joint' for name in names)}]\n"
        f"feet: [{', '.join(names)}]\nactuator: {{stiffness: 400, damping: 20}}\n"
    )
    hebb("robot", "export", tmp_path / "flat.yaml", "--mjcf", tmp_path / "model.xml")
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "model.xml"))
    for name, wanted in moments.items():
        body = model.body(name)
        expected = sorted([*wanted[:2], min(wanted[2], wanted[0] + wanted[1])])
        assert body.mass[0] == pytest.approx(1), name
        assert sorted(body.inertia) == pytest.approx(expected, abs=2e-5 * expected[2]), name


def test_the_benchmark_sees_how_accurate_both_are(tmp_path):
    hebb("bench", "sim", "--rounds", 1, "--peers", sys.executable, "--json", tmp_path / "sim.json")
    gait = json.loads((tmp_path / "sim.json").read_text())["gait"]
    for settings in (gait["ours"], gait["mujoco"]):
        rates = {setting["rate"]: setting for setting in settings}
        assert rates[gait["reference_rate"]]["accuracy"]["deviation"] == 0
        assert 0 < rates[500]["accuracy"]["deviation"] < rates[50]["accuracy"]["deviation"]
        assert all(setting["speed"] > 0 for setting in settings)
    ours = next(setting for setting in gait["ours"] if setting["rate"] == 100)
    assert ours["accuracy"]["deviation"] < DISTANCE_OF_OURS
    match = next(match for match in gait["matches"] if match["rate"] == 100)
    assert match["mujoco_rate"] > 100 and match["ratio"] > 0 and match["step_ratio"] > 0
