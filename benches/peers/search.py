"""The same searches by evosax; started by `hebb bench search --peers PYTHON`.

Reads one line of JSON from stdin: settings, functions, dimensions, seeds. Answers with the best value that each search
found.
"""

import importlib.metadata
import json
import os
import platform
import sys

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
import optax
from evosax.algorithms import SNES, Open_ES

FUNCTIONS = {
    "sphere": lambda x: jnp.sum(x**2, axis=-1),
    "rosenbrock": lambda x: jnp.sum(100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2, axis=-1),
    "rastrigin": lambda x: jnp.sum(10 + x**2 - 10 * jnp.cos(2 * jnp.pi * x), axis=-1),
}


def standardized_ranks(population, fitness, state, params):
    """Centred ranks of standard deviation 1, as in the code of arXiv 2503.12406 and in the suite."""
    ranks = jax.scipy.stats.rankdata(fitness, axis=-1)
    return (ranks - jnp.mean(ranks)) / jnp.std(ranks)


def algorithm(task):
    rate, sigma, size = task["learning_rate"], task["sigma"], task["population"]
    solution = jnp.zeros(task["dimensions"])
    if task["method"] == "snes":
        # Its optimiser's rate is the rate of the mean.
        search = SNES(size, solution, optimizer=optax.sgd(rate))
        return search, search.default_params.replace(std_init=sigma)
    optimizers = {
        "adam": lambda: optax.adam(rate, b1=task["beta1"], b2=task["beta2"], eps=1e-8),
        "sgd": lambda: optax.sgd(rate, momentum=task["momentum"]),
    }
    search = Open_ES(
        size,
        solution,
        optimizer=optimizers[task["optimiser"]](),
        std_schedule=optax.constant_schedule(sigma),
        fitness_shaping_fn=standardized_ranks,
    )
    return search, search.default_params


def best_values(task):
    search, params = algorithm(task)
    function = FUNCTIONS[task["function"]]

    def generation(carry, key):
        state, best = carry
        ask, tell = jax.random.split(key)
        population, state = search.ask(ask, state, params)
        fitness = function(population)
        state, _ = search.tell(tell, population, fitness, state, params)
        return (state, jnp.minimum(best, jnp.min(fitness))), None

    @jax.jit
    def run(key, start):
        state = search.init(key, start, params)
        (_, best), _ = jax.lax.scan(generation, (state, jnp.inf), jax.random.split(key, task["generations"]))
        return best

    def start(seed):
        return jnp.asarray(np.random.default_rng(seed).normal(0, task["spread"], task["dimensions"]), jnp.float32)

    return [float(run(jax.random.key(seed), start(seed))) for seed in range(task["seeds"])]


def main():
    tasks = json.loads(sys.stdin.readline())
    versions = {
        "python": platform.python_version(),
        "evosax": importlib.metadata.version("evosax"),
        "jax": jax.__version__,
    }
    print(json.dumps({"versions": versions, "best": [best_values(task) for task in tasks]}), flush=True)


if __name__ == "__main__":
    main()
