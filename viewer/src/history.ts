import type { State, Weights } from "./protocol";

/** How far back one can look [s]. */
export const SPAN = 60;
/** Who was not heard for longer than this may have been anywhere meanwhile [s]. */
const SILENCE = 1.5;
/** Most states and bytes of weights kept, whatever the rates are. */
const MOST_STATES = 4000;
const MOST_BYTES = 64e6;

/** The last minute, by the robot's time. */
export class History {
  readonly states: State[] = [];
  readonly weights: Weights[] = [];
  /** States before which the robot was silent. */
  private readonly returns = new WeakSet<State>();
  /** When the last instant was first heard of, by the page's clock [s]. */
  private heard = 0;

  /** Takes a state; returns false when the robot's time jumped back, so that all before is forgotten. */
  addState(state: State): boolean {
    const last = this.states.at(-1);
    const continues = !last || state.time >= last.time;
    if (!continues) this.clear();
    const now = performance.now() / 1000;
    if (last && state.time === last.time) {
      // The robot stands still in time (paused, or no sensors): only the newest view of that instant counts.
      this.states.pop();
      if (this.returns.has(last)) this.returns.add(state);
    } else {
      // By both clocks: a pause is none of the robot's time, and simulated time may fly.
      if (last && continues && state.time - last.time > SILENCE && now - this.heard > SILENCE) this.returns.add(state);
      this.heard = now;
    }
    this.states.push(state);
    trim(this.states, state.time, MOST_STATES);
    return continues;
  }

  /** Whether the robot was silent before `state`, so that nothing is known of the way there. */
  isAfterSilence(state: State): boolean {
    return this.returns.has(state);
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
  let old = Math.max(0, items.length - most);
  while (old < items.length && items[old]!.time < now - SPAN) old++;
  if (old > 0) items.splice(0, old);
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
