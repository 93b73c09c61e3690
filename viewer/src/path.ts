import { alignTo, fitComponents, project } from "./components";
import type { History } from "./history";
import type { Reference, Weights } from "./protocol";
import type { Theme } from "./theme";

type Point = [number, number, number];

/** Without a reference: components are fitted to the weights of so many seconds, at most so many of them, and again after so long. */
const FIT_SPAN = 20;
const FIT_SAMPLES = 90;
const FIT_EVERY = 10_000;
/** Length of the path that is drawn [s]; older parts fade. */
const PATH_SPAN = 20;

/** The path of all weights in their first three principal components, as a small scene that can be turned. */
export class WeightPath {
  private reference: Reference | null = null;
  private fitted: Reference | null = null;
  private fittedAt = -Infinity;
  private cloud: Point[] = [];
  private coordinates = new WeakMap<Float32Array, Point>();
  private turn = { around: -0.6, up: 0.45 };
  private scale = 0;
  private theme: Theme | null = null;
  private last: { history: History; time: number } | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly detail: HTMLElement,
  ) {
    let from: { x: number; y: number } | null = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, y: event.clientY };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.rotate((event.clientX - from.x) * 0.01, (event.clientY - from.y) * 0.01);
      from = { x: event.clientX, y: event.clientY };
    });
    canvas.addEventListener("pointerup", () => (from = null));
    canvas.addEventListener("pointercancel", () => (from = null));
    canvas.addEventListener("keydown", (event) => {
      const turn = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (!turn) return;
      event.preventDefault();
      event.stopPropagation();
      this.rotate(turn[0]!, turn[1]!);
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Takes the node's reference: axes and cloud of undisturbed episodes. */
  setReference(reference: Reference) {
    this.reference = reference;
    this.coordinates = new WeakMap();
    this.cloud = [];
    for (let i = 0; i + 2 < reference.points.length; i += 3) {
      this.cloud.push([reference.points[i]!, reference.points[i + 1]!, reference.points[i + 2]!]);
    }
    this.scale = 0;
    this.draw();
  }

  /** Another policy: neither axes nor cloud hold any longer. */
  forget() {
    this.reference = this.fitted = null;
    this.fittedAt = -Infinity;
    this.cloud = [];
    this.coordinates = new WeakMap();
    this.scale = 0;
  }

  setTheme(theme: Theme) {
    this.theme = theme;
    this.draw();
  }

  show(history: History, time: number) {
    this.last = { history, time };
    if (!this.axes(history)) this.fit(history);
    this.draw();
  }

  /** Once in a while, so that the axes go on fitting what is seen. */
  private fit(history: History) {
    const now = performance.now();
    if (now - this.fittedAt < (this.fitted ? FIT_EVERY : 1000)) return;
    this.fittedAt = now;
    const recent = history.weights.filter((weights) => weights.time > history.now - FIT_SPAN);
    const every = Math.max(1, Math.ceil(recent.length / FIT_SAMPLES));
    const fitted = fitComponents(recent.filter((_, index) => index % every === 0).map((weights) => weights.values));
    if (!fitted) return;
    alignTo(fitted, this.fitted);
    this.fitted = fitted;
    this.coordinates = new WeakMap();
  }

  private axes(history: History): Reference | null {
    const synapses = history.weights.at(-1)?.values.length;
    if (this.reference?.mean.length === synapses) return this.reference;
    return null;
  }

  private point(axes: Reference, weights: Weights): Point {
    let point = this.coordinates.get(weights.values);
    if (!point) {
      point = project(axes, weights.values);
      this.coordinates.set(weights.values, point);
    }
    return point;
  }

  private rotate(around: number, up: number) {
    this.turn.around += around;
    this.turn.up = Math.max(-1.5, Math.min(1.5, this.turn.up + up));
    this.draw();
  }

  private draw() {
    const { canvas, theme, last } = this;
    if (!theme) return;
    const ratio = Math.min(devicePixelRatio, 2);
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const axes = last && (this.axes(last.history) ?? this.fitted);
    if (!last || axes?.mean.length !== last.history.weights.at(-1)?.values.length || !axes) {
      this.detail.textContent = last?.history.weights.length ? "finding the directions they move in …" : "";
      return;
    }
    this.detail.textContent = this.reference ? "cloud: walking undisturbed on flat ground" : "axes fitted to the last 20 s";
    const path = last.history.weights.filter(({ time }) => time <= last.time && time > last.time - PATH_SPAN);
    const points = path.map((weights) => this.point(axes, weights));

    // One scale for all directions; it follows what is drawn, slowly.
    let extent = 1e-6;
    for (const point of this.cloud) extent = Math.max(extent, Math.hypot(...point));
    // The first steps of a life are far from where it settles; with a cloud only the latest count.
    for (const point of this.cloud.length > 0 ? points.slice(-60) : points) extent = Math.max(extent, Math.hypot(...point));
    const target = (0.56 * Math.min(0.8 * width, height)) / extent;
    this.scale = this.scale === 0 || Math.abs(target - this.scale) > 2 * this.scale ? target : this.scale + 0.15 * (target - this.scale);

    const [ca, sa, cu, su] = [Math.cos(this.turn.around), Math.sin(this.turn.around), Math.cos(this.turn.up), Math.sin(this.turn.up)];
    const place = ([a, b, c]: Point): [number, number] => {
      const x = ca * a - sa * b;
      const y = sa * a + ca * b;
      return [width / 2 + this.scale * x, height / 2 - this.scale * (cu * c + su * y)];
    };

    this.drawAxes(context, theme, place, extent);
    context.fillStyle = theme.muted;
    context.globalAlpha = theme.dark ? 0.28 : 0.22;
    for (const point of this.cloud) {
      const [x, y] = place(point);
      context.fillRect(x - 0.8, y - 0.8, 1.6, 1.6);
    }
    context.strokeStyle = theme.accent;
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    for (let index = 1; index < points.length; index++) {
      context.globalAlpha = 0.08 + 0.92 * (index / points.length) ** 2;
      context.beginPath();
      context.moveTo(...place(points[index - 1]!));
      context.lineTo(...place(points[index]!));
      context.stroke();
    }
    context.globalAlpha = 1;
    const here = points.at(-1);
    if (here) {
      const [x, y] = place(here);
      context.fillStyle = theme.touch;
      context.strokeStyle = theme.surface;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, 5.5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }

  private drawAxes(context: CanvasRenderingContext2D, theme: Theme, place: (point: Point) => [number, number], extent: number) {
    const ends: Point[] = [[extent, 0, 0], [0, extent, 0], [0, 0, extent]];
    context.strokeStyle = theme.line;
    context.fillStyle = theme.muted;
    context.lineWidth = 1;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    ends.forEach((end, index) => {
      end = end.map((value) => 0.78 * value) as Point;
      const start = end.map((value) => -value) as Point;
      context.beginPath();
      context.moveTo(...place(start));
      context.lineTo(...place(end));
      context.stroke();
      const [x, y] = place(end.map((value) => 1.1 * value) as Point);
      context.fillText(`PC ${index + 1}`, x, y);
    });
  }
}
