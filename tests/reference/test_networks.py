"""The networks of `hebb feed` against the double-precision reference in networks.py, over files of our own making.

Each case runs 300 control steps and is compared twice:

- in free run: both start from the same weights and never meet again. The tolerance holds for all steps, unless the
  equations themselves are sensitive. Single precision changes every number by up to 6e-8 of itself at each step, some
  several times over; a reference whose numbers are changed by 1e-7 of themselves, up or down at random, shows what that
  does. The tolerance then holds until the disturbed reference has left half of it: the `horizon`.
- step by step: the reference takes each step from the weights that the network had before it, so that no step of any
  case goes unchecked. The tolerance holds for each, or, where that is more, four times what the disturbance does to
  that one step (a small difference of large terms has lost its digits).

The report at the end says how many cases hold for all steps, and of the others for how many, and why no more.
"""

import itertools
import json
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy
import pytest

import networks
import tensors

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "config/policies/beetle.safetensors"
BUILDS = [ROOT / "target" / profile / "hebb" for profile in ("release", "debug")]
HEBB = os.environ.get("HEBB") or next((path for path in BUILDS if path.exists()), BUILDS[0])

STEPS = 300
# Absolute, and relative for numbers beyond 1.
TOLERANCE = 1e-5
DISTURBANCE = 1e-7
DISTURBED_RUNS = 3
# The network is a fourth run of their kind. The largest deviation of one step is that of one sum, which rounds once per
# term; over many steps such luck evens out.
FREE_MARGIN, STEP_MARGIN = 2, 4

BEETLE = [27, 64, 32, 18]
# Widths that fill no SIMD register.
ODD = [5, 9, 3, 2]
NORMALISATIONS = "max", "standardize", "clip", "none", "neuron_max", "mass"
PAPER, SLOW, AVERAGED = {}, {"every": 4}, {"average": 10}
SCHEDULES = {"paper": PAPER, "every4": SLOW, "average10": AVERAGED, "both": SLOW | AVERAGED}
SMALL, LARGE = 0.1, 2.0


def parameters(names, cases):
    """Parametrises a test by a dict of named cases."""
    return pytest.mark.parametrize(names, cases.values(), ids=cases.keys())


def listed(name, values):
    return pytest.mark.parametrize(name, values, ids=lambda value: "-".join(map(str, numpy.atleast_1d(value))))


def plastic(layers, **others):
    return {"plastic": {"layers": layers, "initial_weights": {"random": 0.1}, **others}}


def write_policy(path, description, values):
    """A policy file of a robot that fits any network: a foot for each input, a joint for each output."""
    inputs, *_, outputs = next(iter(description.values()))["layers"]
    metadata = json.loads(tensors.read(POLICY)[1]["hebbian_locomotion"])
    limits = {"lower": -1.0, "upper": 1.0, "nominal": 0.0}
    joints = [{"name": f"joint{index}"} | limits for index in range(outputs)]
    metadata["robot"] = {"name": "any", "joints": joints, "feet": [f"foot{index}" for index in range(inputs)]}
    metadata["observation"] = [{"foot_contact": {"scale": 1.0}}]
    metadata["network"] = description
    tensors.write(path, values, {"hebbian_locomotion": json.dumps(metadata)})


def draw_tensors(description, std, rng):
    """The tensors of a policy file, drawn from N(0, std)."""

    def draw(name, shape):
        if name == "rule.clusters":
            return rng.integers(0, next(iter(description.values()))["rule"]["clusters"], shape, numpy.uint16)
        return rng.normal(0, std, shape).astype(numpy.float32)

    return {name: draw(name, shape) for name, shape in networks.shapes(description).items()}


def walk(inputs, rng):
    """Something like a gait at 50 Hz: oscillations with noise, and a quarter of contacts."""
    time = numpy.arange(STEPS)[:, None] / 50
    phase = 2 * numpy.pi * (rng.uniform(0.3, 2, inputs) * time + rng.uniform(0, 1, inputs))
    values = rng.uniform(0.1, 1, inputs) * numpy.sin(phase) + rng.normal(0, 0.02, (STEPS, inputs))
    contacts = inputs - inputs // 4
    values[:, contacts:] = values[:, contacts:] > 0
    return values.astype(numpy.float32)


def hebb(*arguments):
    return subprocess.run(
        [str(word) for word in (HEBB, *arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def feed(description, values, *options, **inputs):
    """Runs `hebb feed`; returns the tensors that it wrote and what it complained of."""
    with tempfile.TemporaryDirectory() as folder:
        policy, given, out = (Path(folder) / name for name in ("policy", "inputs", "out"))
        write_policy(policy, description, values)
        tensors.write(given, inputs)
        done = hebb("feed", policy, given, out, *options)
        assert (done.returncode == 0) == out.exists(), done.stderr
        return (tensors.read(out)[0] if out.exists() else {}), done.stderr


def deviation(given, expected):
    """The largest of each step."""
    return (numpy.abs(given - expected) / numpy.maximum(1, numpy.abs(expected))).max(axis=1)


def larger_of_both(given, expected):
    return numpy.maximum(*map(deviation, given, expected))


def steps_within(deviations):
    """Steps before the first beyond the tolerance."""
    beyond = deviations > TOLERANCE
    return int(beyond.argmax()) if beyond.any() else len(beyond)


def effect_of_disturbance(run, exact):
    """How far disturbed runs are from the exact one at each step that `run` makes."""
    rng = numpy.random.default_rng(5)
    factors = 1 + DISTURBANCE * rng.choice((-1, 1), 1 << 20)

    def disturb(values):
        start = rng.integers(len(factors) - values.size)
        return values * factors[start : start + values.size].reshape(values.shape)

    runs = [run(disturb) for _ in range(DISTURBED_RUNS)]
    return numpy.max([larger_of_both(made, [part[: len(made[0])] for part in exact]) for made in runs], axis=0)


class Report:
    """What was compared, printed at the end of the run."""

    def __init__(self):
        self.rows = defaultdict(list)

    def add(self, request, free, steps, worst, **others):
        group, _, case = request.node.name.removeprefix("test_").rstrip("]").partition("[")
        self.rows[group].append({"case": case, "free": free, "steps": steps, "worst": worst, **others})

    def lines(self):
        for group, rows in self.rows.items():
            full = [row["worst"] for row in rows if row["free"] == STEPS]
            single = max((row.get("worst_step", 0.0) for row in rows), default=0.0)
            yield f"{group}: {len(full)} of {len(rows)} cases within the tolerance for all {STEPS} steps of free run"
            yield f"    worst of them {max(full, default=0.0):.1e}; worst single step of all cases {single:.1e}"
            for row in rows:
                if row["free"] < STEPS or row.get("sensitive"):
                    yield (
                        f"    {row['case']}: sensitive after {row['steps']} steps, within the tolerance for "
                        f"{row['free']}; single steps that needed the second bound: {row.get('sensitive', 0)}"
                    )


@pytest.fixture(scope="module")
def report(request):
    report = Report()
    yield report
    plugin = request.config.pluginmanager.get_plugin
    with plugin("capturemanager").global_and_fixture_disabled():
        plugin("terminalreporter").write("\n" + "\n".join(report.lines()) + "\n")


def compare_free_run(run, given):
    """Compares a free run with `run(disturb, steps)`, the reference's. Returns what to report."""
    exact = run(networks.exactly, STEPS)
    deviations = larger_of_both(given, exact)
    free = horizon = steps_within(deviations)
    if free < STEPS:
        horizon = steps_within(FREE_MARGIN * effect_of_disturbance(lambda disturb: run(disturb, free + 1), exact))
        assert horizon >= 1
        assert horizon <= free, f"{deviations[free]:.1e} at step {free}, where the equations are not sensitive"
    return {"free": free, "steps": horizon, "worst": deviations[:horizon].max()}


def compare_plastic(description, values, given, inputs, gates):
    """Compares a run of `hebb feed --weights` with the reference, in free run and step by step."""
    gates = gates.astype(float)
    layers = description["plastic"]["layers"]
    start = None if description["plastic"]["initial_weights"] == "evolved" else given["initial_weights"]
    before = numpy.vstack([given["initial_weights"], given["weights"][:-1]]).astype(float)
    matrices_before = networks.in_matrices(layers, before)

    def run(disturb, steps=STEPS, step_by_step=False):
        network = networks.make(description, values, start, disturb)
        outputs, weights, kept = [], [], []
        for step in range(steps):
            if step_by_step:
                network.weights = [matrices[step] for matrices in matrices_before]
            old = network.weights.copy()
            outputs.append(network.step(inputs[step].astype(float), gates[step]))
            weights.append(network.flat())
            kept.append([now is then for now, then in zip(network.weights, old, strict=True)])
        return numpy.array(outputs), numpy.array(weights), numpy.array(kept)

    result = given["output"], given["weights"]
    assert all(numpy.isfinite(tensor).all() for tensor in result)
    *exact, kept = run(networks.exactly, step_by_step=True)
    # Where the gate is shut or no update is due, not a bit changes.
    sizes = [n * m for n, m in itertools.pairwise(layers)]
    assert (given["weights"] == before)[numpy.repeat(kept, sizes, axis=1)].all()
    deviations = larger_of_both(result, exact)
    bound = numpy.full(STEPS, TOLERANCE)
    if (deviations > TOLERANCE).any():
        by_disturbance = effect_of_disturbance(lambda disturb: run(disturb, step_by_step=True)[:2], exact)
        bound = numpy.maximum(bound, STEP_MARGIN * by_disturbance)
    excess = deviations / bound
    step = excess.argmax()
    assert excess[step] <= 1, f"step {step} from the network's own weights: {deviations[step]:.1e} > {bound[step]:.1e}"
    within = deviations <= TOLERANCE
    single = {"worst_step": deviations[within].max(), "sensitive": int((~within).sum())}
    return compare_free_run(lambda disturb, steps: run(disturb, steps)[:2], result) | single


@pytest.fixture
def check_plastic(request, report):
    """Runs a plastic network on drawn numbers and compares it."""

    def check(description, std, gates=None):
        layers = description["plastic"]["layers"]
        rng = numpy.random.default_rng(5)
        values, inputs = draw_tensors(description, std, rng), walk(layers[0], rng)
        open_gates = numpy.ones((STEPS, len(layers) - 1), numpy.float32)
        given, complaint = feed(
            description, values, "--weights", input=inputs, **({} if gates is None else {"gate": gates})
        )
        assert given, complaint
        found = compare_plastic(description, values, given, inputs, open_gates if gates is None else gates)
        report.add(request, **found)
        return given

    return check


@listed("layers", [BEETLE, ODD])
@parameters("std", {"small": SMALL, "large": LARGE})
@listed("normalisation", NORMALISATIONS)
@parameters("update", SCHEDULES)
def test_normalisations_and_schedules(check_plastic, layers, std, normalisation, update):
    check_plastic(plastic(layers, normalisation=normalisation, update=update), std)


def gate_patterns(layers):
    count = len(layers) - 1
    rows = {
        "open": numpy.ones(count),
        "shut": numpy.zeros(count),
        "half": numpy.full(count, 0.5),
        "per_layer": numpy.arange(count) / (count - 1) * 0.7,
    }
    patterns = {name: numpy.tile(row, (STEPS, 1)) for name, row in rows.items()}
    # Every 25 steps another layer is shut, or none.
    shut = numpy.arange(STEPS)[:, None] // 25 % (count + 1) == numpy.arange(count)
    patterns["toggling"] = numpy.where(shut, 0.0, 0.8)
    return {name: pattern.astype(numpy.float32) for name, pattern in patterns.items()}


@listed("normalisation", NORMALISATIONS)
@listed("pattern", ["open", "shut", "half", "per_layer", "toggling"])
@parameters(("layers", "update"), {"beetle": (BEETLE, PAPER), "odd-both": (ODD, SCHEDULES["both"])})
def test_gates(check_plastic, layers, update, pattern, normalisation):
    given = check_plastic(
        plastic(layers, normalisation=normalisation, update=update), SMALL, gate_patterns(layers)[pattern]
    )
    if pattern == "shut":
        assert (given["weights"] == given["initial_weights"]).all()


@listed("convention", ["najarro2020", "dittrich2026"])
@listed("normalisation", NORMALISATIONS)
@parameters("update", {"paper": PAPER, "both": SCHEDULES["both"]})
@parameters(("layers", "std"), {"beetle-small": (BEETLE, SMALL), "odd-large": (ODD, LARGE)})
def test_conventions_with_toggling_gates(check_plastic, layers, std, convention, normalisation, update):
    description = plastic(layers, normalisation=normalisation, update=update, convention=convention)
    check_plastic(description, std, gate_patterns(layers)["toggling"])


OUT, FIXED_RATE = {"fixed": 0.0}, {"fixed": 0.1}
FAMILIES = {
    "A": {"B": OUT, "C": OUT, "D": OUT, "eta": FIXED_RATE},
    "AD": {"B": OUT, "C": OUT},
    "ABC-one-eta": {"D": OUT, "eta": "network"},
    "D-per-layer": {"D": "layer"},
    "clusters": {"clusters": 7},
    "clusters-mixed": {"clusters": 7, "B": OUT, "C": "layer", "eta": "network"},
}


@parameters("rule", FAMILIES)
@listed("normalisation", ["max", "standardize"])
@parameters(("layers", "std"), {"beetle-small": (BEETLE, SMALL), "odd-large": (ODD, LARGE)})
def test_rule_families(check_plastic, layers, std, rule, normalisation):
    check_plastic(plastic(layers, normalisation=normalisation, rule=rule), std)


@listed("normalisation", NORMALISATIONS)
@listed("convention", ["leung2025", "dittrich2026"])
def test_evolved_initial_weights(check_plastic, normalisation, convention):
    description = plastic(
        ODD, normalisation=normalisation, convention=convention, initial_weights="evolved", rule={"D": "layer"}
    )
    check_plastic(description, SMALL)


def test_the_shipped_policy(request, report, tmp_path):
    values, metadata = tensors.read(POLICY)
    description = json.loads(metadata["hebbian_locomotion"])["network"]
    inputs = walk(BEETLE[0], numpy.random.default_rng(5))
    tensors.write(tmp_path / "inputs", {"input": inputs})
    done = hebb("feed", POLICY, tmp_path / "inputs", tmp_path / "out", "--weights")
    assert done.returncode == 0, done.stderr
    given, _ = tensors.read(tmp_path / "out")
    found = compare_plastic(description, values, given, inputs, numpy.ones((STEPS, 3)))
    report.add(request, **found)


BASELINES = {
    "feed_forward": {"feed_forward": {"layers": BEETLE}},
    "feed_forward-biases": {"feed_forward": {"layers": ODD, "biases": True}},
    "lstm27": {"lstm": {"layers": [27, 18], "hidden": [27]}},
    "lstm60": {"lstm": {"layers": [27, 18], "hidden": [60]}},
    "lstm-odd": {"lstm": {"layers": [5, 2], "hidden": [3]}},
    "lstm-stacked": {"lstm": {"layers": [27, 27, 27, 18], "hidden": [27, 27, 27]}},
    "history": {"history": {"layers": BEETLE, "steps": 11}},
    "history-odd": {"history": {"layers": ODD, "steps": 3}},
}


@parameters("description", BASELINES)
@parameters("std", {"small": SMALL, "large": LARGE})
def test_baselines(request, report, description, std):
    rng = numpy.random.default_rng(5)
    values, inputs = draw_tensors(description, std, rng), walk(next(iter(description.values()))["layers"][0], rng)
    given, complaint = feed(description, values, input=inputs)
    assert set(given) == {"output"}, complaint

    def run(disturb, steps):
        network = networks.make(description, values, disturb=disturb)
        return (numpy.array([network.step(row.astype(float)) for row in inputs[:steps]]),) * 2

    report.add(request, **compare_free_run(run, (given["output"],) * 2))


def draw_start(description, *options, **inputs):
    zeros = numpy.zeros((1, ODD[0]), numpy.float32)
    given, complaint = feed(
        description, draw_tensors(description, SMALL, numpy.random.default_rng(1)), *options, input=zeros, **inputs
    )
    assert given, complaint
    return given["initial_weights"]


@listed("kind", ["random", "kept"])
def test_initial_weights_are_drawn_by_the_seed_within_their_bound(kind):
    description = plastic(ODD, initial_weights={kind: 0.25})
    first = draw_start(description, "--seed", 1)
    assert (first == draw_start(description, "--seed", 1)).all()
    assert (first != draw_start(description, "--seed", 2)).all()
    # Of 78 draws from U(-0.25, 0.25): within it, spread over it, centred (4 standard errors of the mean).
    assert numpy.abs(first).max() <= 0.25
    assert first.min() < -0.2 < 0.2 < first.max() and abs(first.mean()) < 0.066
    assert len(set(first)) == len(first)


def test_evolved_and_given_initial_weights_are_taken_as_they_are():
    description = plastic(ODD, initial_weights="evolved")
    values = draw_tensors(description, SMALL, numpy.random.default_rng(1))
    evolved = numpy.concatenate([values[f"layers.{index}.weights"].ravel() for index in range(3)])
    assert (draw_start(description) == evolved).all()
    other = numpy.linspace(-1, 1, len(evolved), dtype=numpy.float32)
    assert (draw_start(description, initial_weights=other) == other).all()


@listed("normalisation", NORMALISATIONS)
def test_given_initial_weights_are_the_start_of_life(request, report, normalisation):
    description = plastic(ODD, normalisation=normalisation)
    rng = numpy.random.default_rng(5)
    values, inputs = draw_tensors(description, SMALL, rng), walk(ODD[0], rng)
    start = rng.uniform(-1, 1, 78).astype(numpy.float32)
    given, complaint = feed(description, values, "--weights", input=inputs, initial_weights=start)
    assert given, complaint
    assert (given["initial_weights"] == start).all()
    report.add(request, **compare_plastic(description, values, given, inputs, numpy.ones((STEPS, 3))))


@listed("normalisation", NORMALISATIONS)
def test_a_zero_matrix_stays_zero(normalisation):
    # Drawn as 0 they are refused with `mass`, which could never move them; evolved ones may be 0 all the same.
    start = "evolved" if normalisation == "mass" else {"random": 0.0}
    description = plastic(ODD, normalisation=normalisation, initial_weights=start)
    values = draw_tensors(description, 0.0, numpy.random.default_rng(1))
    given, complaint = feed(description, values, "--weights", input=numpy.ones((9, ODD[0]), numpy.float32))
    assert given, complaint
    assert not given["weights"].any() and not given["output"].any()


# paper.md is the authors' code: what each network of theirs evolves.
COUNTS = {
    "beetle-plastic": (plastic(BEETLE), 21_760),
    "beetle-feed-forward": ({"feed_forward": {"layers": BEETLE}}, 4_352),
    "beetle-lstm27": ({"lstm": {"layers": [27, 18], "hidden": [27]}}, 6_912),
    "beetle-lstm60": ({"lstm": {"layers": [27, 18], "hidden": [60]}}, 22_686),
    "beetle-lstm100": ({"lstm": {"layers": [27, 18], "hidden": [100]}}, 53_486),
    "beetle-lstm-stacked": (BASELINES["lstm-stacked"], 21_708),
    "gecko-plastic": (plastic([51, 64, 32, 16]), 29_120),
    "gecko-feed-forward": ({"feed_forward": {"layers": [51, 20, 10, 16]}}, 1_380),
    "gecko-lstm": ({"lstm": {"layers": [51, 16], "hidden": [20]}}, 6_896),
}


@parameters(("description", "count"), COUNTS)
def test_parameter_counts_are_those_of_the_paper(tmp_path, description, count):
    values = draw_tensors(description, SMALL, numpy.random.default_rng(1))
    assert sum(tensor.size for tensor in values.values()) == count
    write_policy(tmp_path / "policy", description, values)
    assert f"{count} numbers evolved" in hebb("inspect", tmp_path / "policy").stdout
    name = next(iter(values))
    write_policy(tmp_path / "policy", description, values | {name: values[name][:, 1:]})
    assert f"the tensor `{name}` is F32" in hebb("inspect", tmp_path / "policy").stderr


def with_value(shape, index, value):
    array = numpy.zeros(shape, numpy.float32)
    array[index] = value
    return array


INPUT = numpy.zeros((20, ODD[0]), numpy.float32)
REFUSED = {
    "no-input": ({}, ["`input` is missing", "[steps, inputs]"]),
    "width": ({"input": INPUT[:, 1:]}, ["`input` is F32 [20, 4]", "[steps, 5]"]),
    "rank": ({"input": INPUT.ravel()}, ["`input` is F32 [100]"]),
    "type": ({"input": INPUT.astype(numpy.uint16)}, ["`input` is U16"]),
    "not-finite": ({"input": with_value((20, 5), (13, 2), numpy.nan)}, ["step 13", "input", "NaN at index 2"]),
    "gate-rows": ({"input": INPUT, "gate": numpy.ones((19, 3), numpy.float32)}, ["`gate` is F32 [19, 3]", "[20, 3]"]),
    "gate-layers": ({"input": INPUT, "gate": numpy.ones((20, 2), numpy.float32)}, ["`gate` is F32 [20, 2]"]),
    "gate-range": ({"input": INPUT, "gate": with_value((20, 3), (7, 1), 1.5)}, ["step 7, layer 1", "1.5"]),
    "weights": ({"input": INPUT, "initial_weights": numpy.zeros(77, numpy.float32)}, ["`initial_weights`", "[78]"]),
    "weights-finite": ({"input": INPUT, "initial_weights": with_value(78, 5, numpy.inf)}, ["`initial_weights`", "inf"]),
    "unknown": ({"input": INPUT, "gates": INPUT}, ["no use for the tensor `gates`", "`gate`"]),
}


@parameters(("inputs", "words"), REFUSED)
def test_unusable_inputs_are_refused_by_name(inputs, words):
    description = plastic(ODD)
    given, complaint = feed(description, draw_tensors(description, SMALL, numpy.random.default_rng(1)), **inputs)
    assert not given
    assert all(word in complaint for word in words), complaint


@parameters(
    ("options", "inputs"), {"weights": (["--weights"], {}), "gate": ([], {"gate": numpy.ones((20, 3), numpy.float32)})}
)
def test_baselines_have_neither_gates_nor_weights_that_change(options, inputs):
    description = {"feed_forward": {"layers": ODD}}
    values = draw_tensors(description, SMALL, numpy.random.default_rng(1))
    given, complaint = feed(description, values, *options, input=INPUT, **inputs)
    assert not given
    assert "kind feed_forward" in complaint
