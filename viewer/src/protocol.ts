// What the node sends, as documented in src/viewer/protocol.rs.

export type Presence = "absent" | "live" | "silent" | "lost";
export type NodeName = "robot" | "policy" | "simulator";

export interface Plasticity {
  step: number;
  gate: number;
  layer_gates: number[];
  gate_reason: string;
  gate_detail: string;
  weights_max_abs: number[];
  weights_norm: number[];
  weight_change_mean: number[];
  compute_time: number;
  sensor_age: number;
  missed_steps: number;
  rejected_messages: number;
}

export interface Simulation {
  seed: number;
  mode: string;
  paused: boolean;
  control_steps: number;
  unanswered_steps: number;
  real_time_factor: number;
  rejected_messages: number;
}

export interface State {
  type: "state";
  time: number;
  nodes: Record<NodeName, { presence: Presence; age: number | null }>;
  joints: (number | null)[];
  feet: { contact: boolean[]; force: number[] };
  base: { link: string; position: Vector; orientation: Quaternion; velocity: Vector } | null;
  imu: Quaternion | null;
  plasticity: Plasticity | null;
  simulation: Simulation | null;
  safety: Safety | null;
}

export interface Safety {
  phase: string;
  fault: string;
  fault_detail: string;
  warning: string;
  warning_detail: string;
}

export type Vector = [number, number, number];
export type Quaternion = [number, number, number, number];

export interface Names {
  type: "names";
  joints: string[];
  feet: string[];
  /** Joints that the simulator takes damage to: not those that mimic others, and not locked ones. Null: none has said so. */
  motors: string[] | null;
}

export interface Layout {
  type: "layout";
  policy: string;
  policy_hash: string;
  layers: string[];
  inputs: number[];
  outputs: number[];
  input_names: string[];
  output_names: string[];
}

export interface Service {
  name: string;
  type: string;
  offered: boolean;
  /** Its request's fields and their types. */
  request: Record<string, string>;
}

/** A piece of the ground: a box of a size, or triangles of points. */
export interface GroundShape {
  position: Vector;
  orientation: Quaternion;
  size?: Vector;
  points?: number[];
}

export interface Weights {
  step: number;
  time: number;
  values: Float32Array;
}

/** Axes to draw weights in, and a cloud to compare with. */
export interface Reference {
  mean: Float32Array;
  /** One row of mean.length numbers per component. */
  basis: Float32Array;
  /** Three numbers per point. */
  points: Float32Array;
}

export type Text =
  | State
  | Names
  | Layout
  | { type: "description"; urdf: string }
  | { type: "ground"; shapes: GroundShape[] }
  | { type: "services"; services: Service[]; weights_file: string }
  | { type: "answer"; id: number; response?: Record<string, unknown>; error?: string };

export type Binary = { kind: "weights"; weights: Weights } | { kind: "reference"; reference: Reference };

const HEADER = 24;

/** Reads a binary frame; null for a kind of a later version. */
export function readBinary(buffer: ArrayBuffer): Binary | null {
  const view = new DataView(buffer);
  const number = (at: number) => Number(view.getBigUint64(at, true));
  switch (view.getUint8(0)) {
    case 1:
      return {
        kind: "weights",
        weights: { step: number(8), time: view.getFloat64(16, true), values: new Float32Array(buffer, HEADER) },
      };
    case 2: {
      const components = view.getUint8(1);
      const synapses = number(8);
      const floats = new Float32Array(buffer, HEADER);
      const end = synapses * (1 + components);
      if (components !== 3) return null;
      return {
        kind: "reference",
        reference: { mean: floats.subarray(0, synapses), basis: floats.subarray(synapses, end), points: floats.subarray(end) },
      };
    }
    default:
      return null;
  }
}
