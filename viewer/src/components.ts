// Principal components of the weights that were seen, for when the node has none to compare with.

import type { Reference } from "./protocol";

/** Fits the first three components to `samples` by their Gram matrix, whose size does not depend on the number of weights. */
export function fitComponents(samples: Float32Array[]): Reference | null {
  const count = samples.length;
  const synapses = samples[0]?.length ?? 0;
  if (count < 8 || synapses === 0) return null;
  const mean = new Float32Array(synapses);
  for (const sample of samples) for (let i = 0; i < synapses; i++) mean[i]! += sample[i]! / count;
  const centred = samples.map((sample) => sample.map((value, i) => value - mean[i]!));
  const gram = centred.map((a, row) => {
    const line = new Float64Array(count);
    for (let column = 0; column <= row; column++) {
      const b = centred[column]!;
      let sum = 0;
      for (let i = 0; i < synapses; i++) sum += a[i]! * b[i]!;
      line[column] = sum;
    }
    return line;
  });
  for (let row = 0; row < count; row++) for (let column = row + 1; column < count; column++) gram[row]![column] = gram[column]![row]!;
  const total = gram.reduce((sum, line, row) => sum + line[row]!, 0);
  if (!(total > 1e-12)) return null;

  const basis = new Float32Array(3 * synapses);
  for (let component = 0; component < 3; component++) {
    const [vector, value] = powerIteration(gram, component);
    // Directions that rounding alone makes say nothing.
    if (!(value > 1e-9 * total)) return null;
    const row = basis.subarray(component * synapses, (component + 1) * synapses);
    centred.forEach((sample, index) => {
      const share = vector[index]! / Math.sqrt(value);
      for (let i = 0; i < synapses; i++) row[i]! += share * sample[i]!;
    });
    // What this component explains is taken away for the next.
    for (let i = 0; i < count; i++) for (let j = 0; j < count; j++) gram[i]![j]! -= value * vector[i]! * vector[j]!;
  }
  return { mean, basis, points: new Float32Array() };
}

function powerIteration(matrix: Float64Array[], seed: number): [Float64Array, number] {
  const count = matrix.length;
  let vector = Float64Array.from({ length: count }, (_, i) => Math.sin(1 + i * (seed + 1.7)));
  let value = 0;
  for (let round = 0; round < 200; round++) {
    const next = Float64Array.from(matrix, (line) => line.reduce((sum, entry, i) => sum + entry * vector[i]!, 0));
    const length = Math.hypot(...next);
    if (length === 0) return [vector, 0];
    const before = value;
    value = length / Math.hypot(...vector);
    vector = next.map((entry) => entry / length);
    if (Math.abs(value - before) < 1e-10 * value) break;
  }
  return [vector, value];
}

/** Turns the axes of `next` so that they go on from those of `last`: otherwise each new fit could mirror the picture. */
export function alignTo(next: Reference, last: Reference | null) {
  const synapses = next.mean.length;
  if (last?.mean.length !== synapses) return;
  for (let component = 0; component < 3; component++) {
    let dot = 0;
    for (let i = component * synapses; i < (component + 1) * synapses; i++) dot += next.basis[i]! * last.basis[i]!;
    if (dot < 0) for (let i = component * synapses; i < (component + 1) * synapses; i++) next.basis[i]! *= -1;
  }
}

/** Coordinates of `weights` along the three axes. */
export function project({ mean, basis }: Reference, weights: Float32Array): [number, number, number] {
  const synapses = mean.length;
  const sums: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < synapses; i++) {
    const value = weights[i]! - mean[i]!;
    sums[0] += basis[i]! * value;
    sums[1] += basis[synapses + i]! * value;
    sums[2] += basis[2 * synapses + i]! * value;
  }
  return sums;
}
