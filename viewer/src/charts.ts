import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { GaitDiagram } from "./gait";
import { type History, lastBefore, SPAN } from "./history";
import type { State } from "./protocol";
import { DASHES, type Theme } from "./theme";

interface Chart {
  title: string;
  unit: string;
  /** One line per entry: of a single quantity, or of each layer. */
  lines: (state: State) => (number | null)[];
  perLayer?: boolean;
  range?: [number, number];
  digits: number;
}

/** Speed is averaged over this, which is about a stride [s]. */
const SPEED_OVER = 1;

/** Height of a chart with its axis [px]. */
const HEIGHT = 112;

/** Points of a line; more than a small chart has pixels helps nobody. */
const POINTS = 400;

const layers = (value: (plasticity: NonNullable<State["plasticity"]>) => number[]) => (state: State) =>
  state.plasticity ? value(state.plasticity) : [];

const CHARTS: Chart[] = [
  { title: "Gate", unit: "0 … 1", lines: ({ plasticity }) => [plasticity?.gate ?? null], range: [0, 1], digits: 2 },
  { title: "Update size", unit: "mean |Δw|", lines: layers(({ weight_change_mean }) => weight_change_mean), perLayer: true, digits: 4 },
  { title: "Weight norm", unit: "‖W‖", lines: layers(({ weights_norm }) => weights_norm), perLayer: true, digits: 2 },
  { title: "Step time", unit: "µs", lines: ({ plasticity }) => [plasticity ? plasticity.compute_time * 1e6 : null], digits: 0 },
];

/** What is plotted over the last minute. A click goes to that moment. */
export class Charts {
  private plots: uPlot[] = [];
  private captions: HTMLElement[] = [];
  private readonly gait: GaitDiagram;
  private theme: Theme | null = null;
  private layerCount = 0;

  constructor(
    private readonly container: HTMLElement,
    private readonly seek: (time: number) => void,
  ) {
    this.gait = new GaitDiagram();
  }

  setFeet(names: string[]) {
    this.gait.setFeet(names);
  }

  setTheme(theme: Theme) {
    this.theme = theme;
    this.gait.setTheme(theme);
    this.build();
  }

  setLayers(count: number) {
    if (count === this.layerCount) return;
    this.layerCount = count;
    this.build();
  }

  /** Redraws all charts up to now, with a line at the moment that is shown. */
  draw(history: History, shown: number) {
    this.gait.draw(history, shown);
    const now = history.now;
    const every = Math.max(1, Math.floor(history.states.length / POINTS));
    const times: number[] = [];
    // null: the robot was silent, and no line joins what was before with what came after.
    const states: (State | null)[] = [];
    history.states.forEach((state, index, all) => {
      const returns = index > 0 && history.isAfterSilence(state);
      if (returns) {
        times.push((all[index - 1]!.time + state.time) / 2 - now);
        states.push(null);
      }
      if (returns || index % every === 0 || index === all.length - 1) {
        times.push(state.time - now);
        states.push(state);
      }
    });
    this.all().forEach((chart, index) => {
      const plot = this.plots[index];
      if (!plot) return;
      const count = plot.series.length - 1;
      const lines = Array.from({ length: count }, () => new Array<number | null>(states.length));
      states.forEach((state, at) => {
        const values = state ? chart.lines(state) : [];
        for (let line = 0; line < count; line++) lines[line]![at] = values[line] ?? null;
      });
      (plot as uPlot & { shown?: number }).shown = shown - now;
      plot.setData([times, ...lines] as uPlot.AlignedData);
      this.caption(this.captions[index]!, chart, history.stateAt(shown));
    });
  }

  /** The present numbers, each in its line's colour: they are the legend as well. */
  private caption(output: HTMLElement, chart: Chart, state: State | undefined) {
    const lines = state ? chart.lines(state) : [];
    while (output.children.length > lines.length) output.lastChild!.remove();
    lines.forEach((value, index) => {
      const span = output.children[index] ?? output.appendChild(document.createElement("span"));
      span.textContent = value === null ? "–" : value.toFixed(chart.digits);
      (span as HTMLElement).style.color = chart.perLayer && this.theme ? this.theme.layers[index % this.theme.layers.length]! : "";
    });
  }

  private all(): Chart[] {
    return [speedChart, ...CHARTS];
  }

  private build() {
    const theme = this.theme;
    if (!theme) return;
    for (const plot of this.plots) plot.destroy();
    this.captions = [];
    const figures: HTMLElement[] = [this.gait.figure];
    const holders = this.all().map((chart) => {
      const figure = document.createElement("figure");
      const caption = document.createElement("figcaption");
      const title = document.createElement("span");
      title.innerHTML = `<b></b> <i></i>`;
      title.querySelector("b")!.textContent = chart.title;
      title.querySelector("i")!.textContent = chart.unit;
      const value = document.createElement("output");
      caption.append(title, value);
      const holder = document.createElement("div");
      holder.className = "plot";
      figure.append(caption, holder);
      this.captions.push(value);
      figures.push(figure);
      return holder;
    });
    this.container.replaceChildren(...figures);
    this.plots = this.all().map((chart, index) => this.plot(chart, holders[index]!, theme));
  }

  private plot(chart: Chart, holder: HTMLElement, theme: Theme): uPlot {
    const count = chart.perLayer ? this.layerCount : 1;
    const axis = {
      stroke: theme.muted,
      font: "10.5px system-ui, sans-serif",
      grid: { stroke: theme.line, width: 1 },
      ticks: { show: false },
    };
    const series: uPlot.Series[] = Array.from({ length: count }, (_, index) => ({
      stroke: chart.perLayer ? theme.layers[index % theme.layers.length]! : theme.ink,
      dash: DASHES[index % DASHES.length]!,
      width: 1.4,
      points: { show: false },
    }));
    const plot = new uPlot(
      {
        width: Math.max(120, holder.clientWidth),
        height: HEIGHT,
        padding: [6, 14, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: false, range: [-SPAN, 0] }, y: { range: (_, low, high) => chart.range ?? around(low, high) } },
        axes: [
          { ...axis, size: 20, splits: () => [-60, -40, -20, 0], values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "now" : `${tick} s`)) },
          { ...axis, size: 44, space: 22 },
        ],
        series: [{}, ...series],
        hooks: { draw: [(plot) => drawShown(plot, theme)] },
      },
      [[], ...series.map(() => [])] as uPlot.AlignedData,
      holder,
    );
    plot.over.addEventListener("click", () => {
      const at = plot.posToVal(plot.cursor.left ?? 0, "x");
      if (Number.isFinite(at)) this.seek(at);
    });
    new ResizeObserver(() => plot.setSize({ width: Math.max(120, holder.clientWidth), height: HEIGHT })).observe(holder);
    return plot;
  }
}

const speedChart: Chart = { title: "Speed", unit: "m/s", lines: (state) => [speeds.get(state) ?? null], digits: 2 };
const speeds = new WeakMap<State, number>();

/** Notes the speed along the robot's heading over the last second, where something measures it; `last` is the state before. */
export function noteSpeed(history: History, last: State | undefined) {
  const { states } = history;
  const state = states.at(-1);
  if (!state) return;
  if (last?.time === state.time) {
    // Another view of one instant: a pose that came since is of the next one.
    const speed = speeds.get(last);
    if (speed !== undefined) speeds.set(state, speed);
    return;
  }
  let from = Math.max(0, lastBefore(states, state.time - SPEED_OVER));
  // Not over a silence, whose way nobody saw.
  const next = states[from + 1];
  if (next && history.isAfterSilence(next)) from++;
  const before = states[from]!;
  const elapsed = state.time - before.time;
  if (!state.base || !before.base || elapsed < 0.2) return;
  const [x, y, z, w] = before.base.orientation;
  const heading = Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
  const way = (axis: 0 | 1) => state.base!.position[axis] - before.base!.position[axis];
  speeds.set(state, (Math.cos(heading) * way(0) + Math.sin(heading) * way(1)) / elapsed);
}

/** The speed that was noted of a state [m/s]; null: none. */
export function speedOf(state: State): number | null {
  return speeds.get(state) ?? null;
}

/** Axes that do not jitter: from zero, or with room around. */
function around(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const room = 0.12 * (high - Math.min(low, 0)) || 1;
  return [low < 0 ? low - room : 0, high + room];
}

function drawShown(plot: uPlot, theme: Theme) {
  const shown = (plot as uPlot & { shown?: number }).shown;
  if (shown === undefined || shown > -0.05) return;
  const x = plot.valToPos(shown, "x", true);
  plot.ctx.save();
  plot.ctx.strokeStyle = theme.accent;
  plot.ctx.lineWidth = 2 * devicePixelRatio;
  plot.ctx.beginPath();
  plot.ctx.moveTo(x, plot.bbox.top);
  plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
  plot.ctx.stroke();
  plot.ctx.restore();
}
