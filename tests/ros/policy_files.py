"""Policies that are the shipped one but for a number."""

import json

import tensors
from conftest import POLICY


def policy_at(folder, rate):
    """The shipped policy with another control rate [Hz]; its path."""
    values, metadata = tensors.read(POLICY)
    description = {**json.loads(metadata["hebbian_locomotion"]), "control_rate": rate}
    path = folder / f"at_{rate:g}_hz.safetensors"
    tensors.write(path, values, {"hebbian_locomotion": json.dumps(description)})
    return path
