import type { State, Weights } from "./protocol";

/** How far back one can look [s]. */
export const SPAN = 60;
/** Most states and bytes of weights kept, whatever the rates are. */
const MOST_STATES = 4000;
const MOST_BYTES = 64e6;

/** The last minute, by the robot's time. */
export class History {
  readonly states: State[] = [];
  readonly weights: Weights[] = [];

  /** Takes a state; returns false when the robot's time jumped back, so that all before is forgotten. */
  addState(state: State): boolean {
    const last = this.states.at(-1);
    const continues = !last || state.time >= last.time;
    if (!continues) this.clear();
    // The robot stands still in time (paused, or no sensors): only the newest view of that instant counts.
    if (last && state.time === last.time) this.states.pop();
    this.states.push(state);
    trim(this.states, state.time, MOST_STATES);
    return continues;
  }

  addWeights(weights: Weights) {
    const last = this.weights.at(-1);
    if (last && weights.time < last.time) this.weights.length = 0;
    if (last && weights.time === last.time) this.weights.pop();
    this.weights.push(weights);
    trim(this.weights, weights.time, Math.max(2, Math.floor(MOST_BYTES / (weights.values.byteLength || 1))));
  }

  clear() {
    this.states.length = 0;
    this.weights.length = 0;
  }

  get now(): number {
    return this.states.at(-1)?.time ?? 0;
  }

  get begin(): number {
    return this.states[0]?.time ?? 0;
  }

  stateAt(time: number): State | undefined {
    return this.states[lastBefore(this.states, time)] ?? this.states[0];
  }

  weightsAt(time: number): Weights | undefined {
    return this.weights[lastBefore(this.weights, time)];
  }
}

function trim(items: { time: number }[], now: number, most: number) {
  let old = 0;
  while (old < items.length && (items[old]!.time < now - SPAN || items.length - old > most)) old++;
  // Many at a time: removing from the front moves all the rest.
  if (old > 32 || (old > 0 && items.length > most)) items.splice(0, old);
}

/** Index of the last item at or before `time`; -1: none. Items are sorted by time. */
export function lastBefore(items: readonly { time: number }[], time: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle]!.time <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
