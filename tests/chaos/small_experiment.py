"""A small experiment that still walks through everything, and the hash of what an evolution leaves."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def write_experiment(folder, name="small", **changes):
    """The beetle's experiment, small: 12 candidates of a third of a second. `changes`: its keys and their values."""
    text = (ROOT / "config/experiments/beetle.yaml").read_text()
    values = {
        "robot": ROOT / "config/robots/beetle.yaml",
        "duration": 0.3,
        "from": 0.1,
        "population": 12,
        "generations": 4,
        **changes,
    }
    lines = []
    for line in text.splitlines():
        key = line.strip().partition(":")[0]
        if key in values and not line.lstrip().startswith("#"):
            line = f"{line[: len(line) - len(line.lstrip())]}{key}: {values.pop(key)}"
        lines.append(line)
    assert not values, f"no such keys: {values}"
    path = folder / f"{name}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def checkpoint_hash(folder):
    return hashlib.sha256((folder / "checkpoint.safetensors").read_bytes()).hexdigest()
