"""One step of the plastic network as others would write it; started by `hebb bench step --peers PYTHON`.

Reads one line of JSON from stdin: the networks. Answers with the weights after one step for each input, so that the two
sides can be compared, then each further line with the seconds that one step takes. One core.
"""

import json
import os
import platform
import sys
import time

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

SCAN_STEPS = 1000
BATCH_SCAN_STEPS = 10
SECONDS = 0.01  # that calls of one step are repeated for in a round


class Numpy:
    """Vectorised, in place, nothing allocated."""

    def __init__(self, weights, coefficients, inputs):
        self.inputs = inputs
        self.weights = [w.copy() for w in weights]
        self.layers = [
            (w, a, b, c, d, np.empty(w.shape[1], w.dtype), np.empty_like(w), np.empty_like(w))
            for w, (a, b, c, d) in zip(self.weights, coefficients, strict=True)
        ]

    def step(self, x):
        for w, a, b, c, d, y, change, alone in self.layers:
            np.dot(x, w, out=y)
            np.tanh(y, out=y)
            np.multiply(a, y, out=change)
            np.add(change, b, out=change)
            np.multiply(change, x[:, None], out=change)
            np.multiply(c, y, out=alone)
            np.add(alone, d, out=alone)
            np.add(change, alone, out=change)
            np.add(w, change, out=w)
            np.multiply(w, np.float32(1) / max(w.max(), -w.min()), out=w)
            x = y
        return x

    def run(self, steps):
        for step in range(steps):
            self.step(self.inputs[step % len(self.inputs)])

    def seconds(self):
        return per_step(self.run)


def step(weights, coefficients, x):
    new = []
    for w, (a, b, c, d) in zip(weights, coefficients, strict=True):
        y = jnp.tanh(x @ w)
        v = w + (x[:, None] * (a * y + b) + (c * y + d))
        new.append(v * (1 / jnp.max(jnp.abs(v))))
        x = y
    return new, x


def scan(weights, coefficients, inputs):
    return jax.lax.scan(lambda weights, x: step(weights, coefficients, x), weights, inputs)


def batch_scan(weights, coefficients, inputs):
    """Networks of one batch have weights and coefficients of their own."""
    many = jax.vmap(step, in_axes=(0, 0, None))
    return jax.lax.scan(lambda weights, x: many(weights, coefficients, x), weights, inputs)


class JaxJit:
    """One call for each step, as a control loop has it: weights stay where they are, the output is waited for."""

    def __init__(self, weights, coefficients, inputs):
        self.weights, self.coefficients = jax.tree.map(jnp.array, (weights, coefficients))
        self.inputs = [jnp.array(x) for x in inputs]
        self.step = jax.jit(step, donate_argnums=0)

    def run(self, steps):
        for index in range(steps):
            self.weights, y = self.step(self.weights, self.coefficients, self.inputs[index % len(self.inputs)])
            y.block_until_ready()

    def seconds(self):
        return per_step(self.run)


class JaxScan:
    """Many steps in one call."""

    def __init__(self, function, weights, coefficients, inputs, steps):
        self.weights, self.coefficients = jax.tree.map(jnp.array, (weights, coefficients))
        self.function = jax.jit(function, donate_argnums=0)
        self.inputs = jnp.array(inputs)
        self.many = jnp.array(np.resize(inputs, (steps, inputs.shape[1])))

    def call(self, inputs):
        self.weights, y = self.function(self.weights, self.coefficients, inputs)
        y.block_until_ready()

    def run(self, steps):
        self.call(self.inputs[:steps])

    def seconds(self):
        self.call(self.many)
        start = time.perf_counter()
        self.call(self.many)
        return (time.perf_counter() - start) / len(self.many)


def per_step(run):
    """Seconds of one step; a quarter as many steps go before to fill the caches."""
    start = time.perf_counter()
    run(8)
    steps = max(8, int(SECONDS * 8 / (time.perf_counter() - start)))
    run(steps // 4)
    start = time.perf_counter()
    run(steps)
    return (time.perf_counter() - start) / steps


def contestants(task):
    shapes = list(zip(task["layers"], task["layers"][1:], strict=False))
    ends = np.cumsum([rows * columns for rows, columns in shapes])

    def matrices(flat):
        parts = np.split(np.array(flat, np.float32), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    weights, inputs = matrices(task["weights"]), np.array(task["inputs"], np.float32)
    coefficients = list(zip(*map(matrices, task["coefficients"]), strict=True))
    scales = np.array(task["batch"], np.float32)[:, None, None]
    many = jax.tree.map(lambda term: term * scales, coefficients)
    repeated = [np.repeat(w[None], len(scales), axis=0) for w in weights]
    return {
        "numpy": Numpy(weights, coefficients, inputs),
        "jax_jit": JaxJit(weights, coefficients, inputs),
        "jax_scan": JaxScan(scan, weights, coefficients, inputs, SCAN_STEPS),
        "jax_batch": JaxScan(batch_scan, repeated, many, inputs, BATCH_SCAN_STEPS),
    }


def flat(name, contestant):
    last = (lambda w: w[-1]) if name == "jax_batch" else (lambda w: w)
    return np.concatenate([np.ravel(last(w)) for w in contestant.weights]).tolist()


def main():
    answer = sys.stdout
    sys.stdout = sys.stderr  # what packages print must not get into the answers
    tasks = json.loads(sys.stdin.readline())
    nets = [contestants(task) for task in tasks]
    for net, task in zip(nets, tasks, strict=True):
        for contestant in net.values():
            contestant.run(len(task["inputs"]))
    versions = {"python": platform.python_version(), "numpy": np.__version__, "jax": jax.__version__}
    weights = [{name: flat(name, contestant) for name, contestant in net.items()} for net in nets]
    print(json.dumps({"versions": versions, "weights": weights}), file=answer, flush=True)
    for _ in sys.stdin:
        times = [{name: contestant.seconds() for name, contestant in net.items()} for net in nets]
        print(json.dumps(times), file=answer, flush=True)


if __name__ == "__main__":
    main()
