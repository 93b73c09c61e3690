"""The networks of the suite in double precision, from their equations alone: what the Rust ones are held against.

A network is made from its description in a policy file and from the file's tensors. `step(input, gates)` is one control
step and returns the outputs. `disturb` is applied to every parameter, weight and activity whenever it is used or made:
the identity, or a disturbance that shows how sensitive the equations themselves are.
"""

import itertools
from collections import deque

import numpy

TERMS = "A", "B", "C", "D", "eta"


def shapes(description):
    """The policy file's tensors: name to shape. All are f32, but for the clusters (u16), which do not evolve."""
    (kind, given), tensors = next(iter(description.items())), {}
    layers = list(itertools.pairwise(given["layers"]))

    def matrices(group, sizes=layers):
        tensors.update({f"layers.{index}.{group}": size for index, size in enumerate(sizes)})

    if kind == "plastic":
        rule = given.get("rule", {})
        clusters = rule.get("clusters", 0)
        for term in TERMS:
            source = rule.get(term, "own")
            if source == "own" and not clusters:
                matrices(term)
            elif source in ("own", "layer", "network"):
                tensors[f"rule.{term}"] = ({"own": clusters, "layer": len(layers), "network": 1}[source],)
        if given["initial_weights"] == "evolved":
            matrices("weights")
        if clusters:
            tensors["rule.clusters"] = (sum(n * m for n, m in layers),)
    elif kind == "lstm":
        for index, ((inputs, outputs), hidden) in enumerate(zip(layers, given["hidden"], strict=True)):
            tensors[f"cells.{index}.input"] = inputs, 4 * hidden
            tensors[f"cells.{index}.recurrent"] = hidden, 4 * hidden
            tensors[f"cells.{index}.biases"] = (4 * hidden,)
            tensors[f"cells.{index}.output"] = inputs + hidden, outputs
    else:
        (inputs, outputs), *rest = layers
        matrices("weights", [(inputs * given.get("steps", 1), outputs), *rest])
        if given.get("biases"):
            matrices("biases", [(outputs,) for _, outputs in layers])
    return tensors


def exactly(values):
    return values


def make(description, tensors, initial_weights=None, disturb=exactly):
    """The network of a policy file at the start of an episode."""
    kind, given = next(iter(description.items()))
    tensors = {name: values.astype(int if name == "rule.clusters" else float) for name, values in tensors.items()}
    if kind == "plastic":
        return Plastic(given, tensors, initial_weights, disturb)
    return {"feed_forward": FeedForward, "lstm": Lstm, "history": History}[kind](given, tensors, disturb)


def in_matrices(layers, values):
    """One number per synapse, layer after layer, as matrices [inputs, outputs]; leading axes stay."""
    sizes = list(itertools.pairwise(layers))
    parts = numpy.split(values, numpy.cumsum([n * m for n, m in sizes])[:-1], axis=-1)
    return [part.reshape(*values.shape[:-1], *size) for part, size in zip(parts, sizes, strict=True)]


def normalise(kind, v, mass):
    """N of a layer's weights `v`, whose sum of |w| was `mass` at the start; a zero matrix stays zero."""

    def scaled(size, target=1.0):
        return v * numpy.divide(target, size, out=numpy.zeros_like(size), where=size > 0)

    match kind:
        case "max":
            return scaled(numpy.abs(v).max(keepdims=True))
        case "neuron_max":
            return scaled(numpy.abs(v).max(axis=0, keepdims=True))
        case "mass":
            return scaled(numpy.abs(v).sum(keepdims=True), mass)
        case "standardize":
            return (v - v.mean()) / numpy.sqrt(v.var(ddof=1) + 1e-5)
        case "clip":
            return v.clip(-1, 1)
        case "none":
            return v
    raise ValueError(kind)


class Plastic:
    """V = W + g eta (A x y + B x + C y + D), W = N(V)."""

    def __init__(self, description, tensors, initial_weights, disturb):
        self.disturb = disturb
        self.layers = description["layers"]
        self.normalisation = description.get("normalisation", "max")
        self.convention = description.get("convention", "leung2025")
        update = {"every": 1, "average": 1} | description.get("update", {})
        self.every = update["every"]
        # Of each step, the activities of all neurons: inputs, then layer after layer.
        self.recent = deque(maxlen=update["average"])
        self.steps, self.update_is_due = 0, False

        sizes = list(itertools.pairwise(self.layers))
        synapses = [n * m for n, m in sizes]
        rule = description.get("rule", {})

        def coefficients(term):
            match rule.get(term, "own"), rule.get("clusters", 0):
                case "own", 0:
                    return numpy.concatenate([tensors[f"layers.{i}.{term}"].ravel() for i in range(len(sizes))])
                case "own", _:
                    return tensors[f"rule.{term}"][tensors["rule.clusters"]]
                case "layer", _:
                    return numpy.repeat(tensors[f"rule.{term}"], synapses)
                case "network", _:
                    return numpy.repeat(tensors[f"rule.{term}"], sum(synapses))
                case {"fixed": value}, _:
                    return numpy.full(sum(synapses), float(numpy.float32(value)))

        per_term = [in_matrices(self.layers, coefficients(term)) for term in TERMS]
        self.rules = [numpy.stack(terms) for terms in zip(*per_term, strict=True)]
        if initial_weights is None:
            self.weights = [tensors[f"layers.{i}.weights"] for i in range(len(sizes))]
        else:
            self.weights = in_matrices(self.layers, initial_weights.astype(float))
        self.mass = [numpy.abs(w).sum() for w in self.weights]

    def flat(self):
        return numpy.concatenate([w.ravel() for w in self.weights])

    def step(self, x, gates):
        if self.convention == "leung2025":
            return self.step_at_once(x, gates)
        # Here the environment's step lies between the forward pass and the update.
        if self.update_is_due:
            for layer in range(len(self.weights)):
                self.update(layer, gates[layer])
        activities = [self.disturb(x)]
        for w in self.weights:
            activities.append(self.disturb(numpy.tanh(activities[-1] @ self.disturb(w))))
        self.recent.append(activities)
        self.steps += 1
        self.update_is_due = self.steps % self.every == 0
        return activities[-1]

    def step_at_once(self, x, gates):
        self.steps += 1
        activities = [self.disturb(x)]
        self.recent.append(activities)
        for layer, w in enumerate(self.weights):
            activities.append(self.disturb(numpy.tanh(activities[-1] @ self.disturb(w))))
            if self.steps % self.every == 0:
                self.update(layer, gates[layer])
        return activities[-1]

    def update(self, layer, gate):
        if gate == 0:
            return
        count = len(self.recent)
        pre = sum(activities[layer] for activities in self.recent)[:, None] / count
        post = sum(activities[layer + 1] for activities in self.recent)[None, :] / count
        a, b, c, d, eta = self.disturb(self.rules[layer])
        if self.convention == "dittrich2026":
            b, c = c, b
        v = self.disturb(self.weights[layer]) + gate * eta * (a * pre * post + b * pre + c * post + d)
        self.weights[layer] = normalise(self.normalisation, v, self.mass[layer])


class FeedForward:
    """y = tanh(x W + b) on every layer."""

    def __init__(self, description, tensors, disturb):
        self.disturb = disturb
        count = len(description["layers"]) - 1
        self.layers = [(tensors[f"layers.{i}.weights"], tensors.get(f"layers.{i}.biases", 0.0)) for i in range(count)]

    def step(self, x, _gates=None):
        for w, b in self.layers:
            x = self.disturb(numpy.tanh(x @ self.disturb(w) + b))
        return x


class History(FeedForward):
    """A feed-forward network of the last observations, newest first, zeros before the start."""

    def __init__(self, description, tensors, disturb):
        super().__init__(description, tensors, disturb)
        self.window = [numpy.zeros(description["layers"][0])] * description["steps"]

    def step(self, x, _gates=None):
        self.window = [x, *self.window[:-1]]
        return super().step(numpy.concatenate(self.window))


class Lstm:
    """A chain of LSTM cells, each with outputs tanh([x h'] W_y), from zero states on."""

    def __init__(self, description, tensors, disturb):
        self.disturb = disturb
        parts = "input", "recurrent", "biases", "output"
        self.cells = [[tensors[f"cells.{i}.{part}"] for part in parts] for i in range(len(description["hidden"]))]
        self.states = [(numpy.zeros(hidden), numpy.zeros(hidden)) for hidden in description["hidden"]]

    def step(self, x, _gates=None):
        for index, cell in enumerate(self.cells):
            w_x, w_h, bias, w_y = map(self.disturb, cell)
            h, c = self.states[index]
            i, f, g, o = numpy.split(x @ w_x + h @ w_h + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * numpy.tanh(g)
            h = sigmoid(o) * numpy.tanh(c)
            self.states[index] = self.disturb(h), self.disturb(c)
            x = numpy.tanh(numpy.concatenate([x, h]) @ w_y)
        return x


def sigmoid(x):
    return 0.5 * (1 + numpy.tanh(x / 2))
