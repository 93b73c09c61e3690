"""`hebb analyze` against numpy's SVD, and its reports in a browser without network."""

import json
import subprocess

import numpy
import pytest

import tensors
from find_browser import browser_or_skip
from test_networks import HEBB, POLICY, ROOT

ROBOT = ROOT / "config/robots/beetle.yaml"
TOLERANCE = 1e-5


def hebb(*arguments):
    done = subprocess.run([HEBB, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def trace(folder, name, *extra):
    path = folder / f"{name}.safetensors"
    hebb("trace", POLICY, path, "--robot", ROBOT, "--duration", 6, "--weights", *extra)
    return path


def analyse(folder, *paths):
    report = folder / "weights.json"
    hebb("analyze", *paths, "--json", report, "--components", 5)
    return json.loads(report.read_text())


def weights(path):
    return tensors.read(path)[0]["weights"].astype(float)


def test_components_of_one_recording_are_those_of_numpys_svd(tmp_path):
    path = trace(tmp_path, "walk")
    report = analyse(tmp_path, path)
    samples = weights(path)
    u, s, _ = numpy.linalg.svd(samples - samples.mean(0), full_matrices=False)
    explained, scores = s**2 / (s**2).sum(), (u * s)[:, :5]
    assert report["fitted"] == len(samples) == 300
    assert numpy.allclose(report["explained"], explained[:5], rtol=0, atol=TOLERANCE)
    [recording] = report["recordings"]
    components = recording["components"]
    assert numpy.allclose(components["spread"], scores.std(0, ddof=1), rtol=0, atol=TOLERANCE)
    # A component has no sign of its own.
    extent = numpy.array([components["min"], components["max"]])
    expected = numpy.array([scores.min(0), scores.max(0)])
    same = numpy.abs(extent - expected).max(0)
    turned = numpy.abs(extent + expected[::-1]).max(0)
    assert (numpy.minimum(same, turned) < TOLERANCE).all()
    norms = [numpy.linalg.norm(samples[:, : 27 * 64], axis=1).mean()]
    assert numpy.allclose([recording["layers"][0]["norm_mean"]], norms, rtol=0, atol=TOLERANCE)


def test_two_recordings_share_the_basis_of_both(tmp_path):
    paths = [trace(tmp_path, "ground"), trace(tmp_path, "air", "--suspended")]
    report = analyse(tmp_path, *paths)
    both = [weights(path) for path in paths]
    joint = numpy.concatenate(both)
    _, s, basis = numpy.linalg.svd(joint - joint.mean(0), full_matrices=False)
    assert numpy.allclose(report["explained"], (s**2 / (s**2).sum())[:5], rtol=0, atol=TOLERANCE)
    for samples, recording in zip(both, report["recordings"], strict=True):
        spread = ((samples - joint.mean(0)) @ basis[:5].T).std(0, ddof=1)
        assert numpy.allclose(recording["components"]["spread"], spread, rtol=0, atol=TOLERANCE)
    ground, air = report["recordings"]
    assert ground["motion"] != air["motion"] == "fixed_point", "the gait does not need the ground"


@pytest.fixture
def browser():
    return browser_or_skip()


def plots_of(browser, report):
    """How many plots the page draws, as a browser without network sees it, and its elements."""
    command = [browser, "--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--enable-logging=stderr"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=60000", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{report}/report.html"], capture_output=True, text=True, timeout=300, check=True
    )
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "INFO" not in line]
    assert not said, said
    return done.stdout.count('class="main-svg"'), done.stdout


def assert_drawn(report, *names):
    for name in names:
        assert (report / f"{name}.svg").read_text().startswith("<svg")
        assert (report / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_on_weights_draws_itself_without_network(tmp_path, browser):
    report = tmp_path / "report"
    hebb("analyze", trace(tmp_path, "walk"), "--out", report)
    plots, page = plots_of(browser, report)
    # The trajectory, three components, and norms and updates of three layers; the first is drawn by WebGL.
    assert plots >= 9 and "<canvas" in page
    assert_drawn(report, "trajectory", "scores", "norms", "updates")


def test_the_report_on_runs_draws_itself_without_network(tmp_path, browser):
    run, report = tmp_path / "run", tmp_path / "report"
    run.mkdir()
    (run / "history.csv").write_text((ROOT / "config/policies/beetle.history.csv").read_text())
    hebb("analyze", run, "--out", report)
    plots, _ = plots_of(browser, report)
    # Mean, best and spread of fitness, two speeds, two losses, sigma and pace.
    assert plots >= 9
    assert_drawn(report, "fitness", "speed", "losses", "search")
