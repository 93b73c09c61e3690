import { type History, lastBefore } from "./history";
import type { Theme } from "./theme";

/** How much of the past is drawn [s]: a few strides. */
const SPAN = 8;

/** Which feet touched when: one row per foot, a bar while it stands. */
export class GaitDiagram {
  readonly figure = document.createElement("figure");
  private readonly canvas = document.createElement("canvas");
  private feet: string[] = [];
  private theme: Theme | null = null;

  constructor() {
    const caption = document.createElement("figcaption");
    caption.innerHTML = "<span><b>Feet on the ground</b> <i>last 8 s</i></span>";
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "Which feet touched the ground over the last seconds");
    this.canvas.className = "gait";
    this.figure.append(caption, this.canvas);
  }

  setFeet(names: string[]) {
    this.feet = names;
  }

  setTheme(theme: Theme) {
    this.theme = theme;
  }

  draw(history: History, shown: number) {
    const { canvas, theme, feet } = this;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!theme || width === 0) return;
    const ratio = Math.min(devicePixelRatio, 2);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const left = 44;
    const row = height / Math.max(1, feet.length);
    context.font = "10.5px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "right";
    feet.forEach((name, foot) => {
      const y = (foot + 0.5) * row;
      context.fillStyle = theme.muted;
      context.fillText(name.slice(0, 7), left - 7, y);
      context.fillStyle = theme.line;
      context.fillRect(left, y - 0.5, width - left, 1);
    });
    const x = (time: number) => left + ((time - shown + SPAN) / SPAN) * (width - left);
    const thickness = Math.min(9, 0.62 * row);
    context.fillStyle = theme.touch;
    const states = history.states;
    const end = lastBefore(states, shown);
    for (let index = Math.max(0, lastBefore(states, shown - SPAN)); index < end; index++) {
      const from = Math.max(left, x(states[index]!.time));
      // A gap in what was heard is no standing.
      const to = Math.min(x(states[index + 1]!.time), from + ((width - left) / SPAN) * 0.25);
      states[index]!.feet.contact.forEach((touches, foot) => {
        if (touches) context.fillRect(from, (foot + 0.5) * row - thickness / 2, to - from + 0.5, thickness);
      });
    }
  }
}
