import type { History } from "./history";
import type { Layout, Weights } from "./protocol";
import { divergingTable, type Theme } from "./theme";

/** How long ago the weights are that changes are measured from [s]. */
const CHANGE_OVER = 1;

interface Layer {
  name: string;
  inputs: number;
  outputs: number;
  offset: number;
  figure: HTMLElement;
  canvas: HTMLCanvasElement;
  image: ImageData;
  pixels: Uint32Array;
}

/** The layers' weights as images: one pixel per synapse, rows are inputs, columns outputs. */
export class WeightImages {
  private layers: Layer[] = [];
  private table = new Uint32Array(256);
  private layout: Layout | null = null;
  private shown: { values: Float32Array; before: Float32Array | null } | null = null;
  private changes = false;
  private range = 1;

  constructor(
    private readonly parts: {
      layers: HTMLElement;
      scale: HTMLCanvasElement;
      low: HTMLElement;
      high: HTMLElement;
      detail: HTMLElement;
      legend: HTMLElement;
      showWeights: HTMLButtonElement;
      showChange: HTMLButtonElement;
    },
  ) {
    const choose = (changes: boolean) => {
      this.changes = changes;
      parts.showWeights.setAttribute("aria-pressed", String(!changes));
      parts.showChange.setAttribute("aria-pressed", String(changes));
      this.range = 0;
      this.draw();
    };
    parts.showWeights.onclick = () => choose(false);
    parts.showChange.onclick = () => choose(true);
  }

  setLayout(layout: Layout) {
    this.layout = layout;
    this.shown = null;
    let offset = 0;
    this.layers = layout.layers.map((name, index) => {
      const inputs = layout.inputs[index] ?? 0;
      const outputs = layout.outputs[index] ?? 0;
      const figure = document.createElement("figure");
      const canvas = document.createElement("canvas");
      canvas.width = outputs;
      canvas.height = inputs;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Weights of layer ${index + 1}: ${inputs} inputs, ${outputs} outputs`);
      const caption = document.createElement("figcaption");
      caption.innerHTML = "<span>layer </span>";
      caption.append(`${index + 1} · ${inputs}→${outputs}`);
      figure.append(canvas, caption);
      // All synapses are of one size.
      figure.style.flex = `${outputs} 1 0`;
      const image = new ImageData(Math.max(1, outputs), Math.max(1, inputs));
      const layer = { name, inputs, outputs, offset, figure, canvas, image, pixels: new Uint32Array(image.data.buffer) };
      canvas.addEventListener("pointermove", (event) => this.explain(layer, index, event));
      canvas.addEventListener("pointerleave", () => this.idle());
      offset += inputs * outputs;
      return layer;
    });
    this.parts.layers.replaceChildren(...this.layers.map((layer) => layer.figure));
    if (this.layers.length === 0) this.parts.layers.textContent = "This policy has no plastic weights.";
    // Where the first layer leaves room below it, the legend stands there.
    const [first] = this.layers;
    const isRoom = first && first.inputs < 0.7 * Math.max(...layout.inputs) && first.outputs > 40;
    (isRoom ? first.figure : this.parts.layers.parentElement!).append(this.parts.legend);
    this.idle();
  }

  setTheme(theme: Theme) {
    this.table = divergingTable(theme.diverging);
    const context = this.parts.scale.getContext("2d")!;
    const bar = new ImageData(256, 1);
    new Uint32Array(bar.data.buffer).set(this.table);
    context.putImageData(bar, 0, 0);
    this.draw();
  }

  show(weights: Weights, history: History) {
    const before = history.weightsAt(weights.time - CHANGE_OVER);
    this.shown = { values: weights.values, before: before && before !== weights ? before.values : null };
    this.draw();
  }

  private value(index: number): number {
    const { values, before } = this.shown!;
    const value = values[index] ?? 0;
    return this.changes ? (before ? value - (before[index] ?? 0) : 0) : value;
  }

  private draw() {
    if (!this.shown) return;
    const length = this.shown.values.length;
    let largest = 0;
    for (let index = 0; index < length; index++) largest = Math.max(largest, Math.abs(this.value(index)));
    // A scale that does not flicker: it grows at once, in steps, and shrinks only when it is much too large.
    const step = niceAbove(largest);
    if (step > this.range || step < this.range / 3 || this.range === 0) this.range = step || 1;
    const unit = 127.5 / this.range;
    for (const { offset, canvas, image, pixels } of this.layers) {
      for (let index = 0; index < pixels.length; index++) {
        const level = Math.round(127.5 + unit * this.value(offset + index));
        pixels[index] = this.table[Math.max(0, Math.min(255, level))]!;
      }
      canvas.getContext("2d")!.putImageData(image, 0, 0);
    }
    this.parts.low.textContent = `−${this.range}`;
    this.parts.high.textContent = `+${this.range}`;
  }

  private explain({ inputs, outputs, offset, canvas }: Layer, index: number, event: PointerEvent) {
    if (!this.shown || !this.layout) return;
    const box = canvas.getBoundingClientRect();
    const column = Math.min(outputs - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * outputs)));
    const row = Math.min(inputs - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * inputs)));
    const from = index === 0 ? this.layout.input_names[row] : undefined;
    const to = index === this.layers.length - 1 ? this.layout.output_names[column] : undefined;
    const value = this.value(offset + row * outputs + column);
    const what = this.changes ? "Δw" : "w";
    this.parts.detail.textContent = `${from ?? `unit ${row}`} → ${to ?? `unit ${column}`}   ${what} = ${value.toFixed(4)}`;
  }

  private idle() {
    this.parts.detail.textContent = "rows: inputs, columns: outputs";
  }
}

/** The smallest of 1, 2, 5 × 10ⁿ that is not below `value`. */
function niceAbove(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 0;
  const unit = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((factor) => factor * unit >= value * 0.9999) ?? 10;
  return Number((factor * unit).toPrecision(1));
}
