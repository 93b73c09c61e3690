// Colours that scripts draw with. Blue, vermilion and green can be told apart with any kind of colour vision (Okabe and Ito), and
// lines differ in their dashes as well.

export interface Theme {
  dark: boolean;
  ink: string;
  muted: string;
  line: string;
  surface: string;
  accent: string;
  touch: string;
  layers: string[];
  /** From the most negative weight to the most positive one. */
  diverging: [number, number, number][];
  stage: { sky: string; ground: string; grid: string; trail: string };
}

export const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

const LIGHT: Theme = {
  dark: false,
  ink: "#1c2128",
  muted: "#5a646e",
  line: "#dddad2",
  surface: "#fffefb",
  accent: "#0b6b86",
  touch: "#e08a00",
  layers: ["#0072b2", "#c8500a", "#00845f", "#8a5a9e"],
  diverging: [
    [8, 48, 107],
    [33, 113, 181],
    [146, 190, 222],
    [250, 249, 245],
    [247, 183, 112],
    [214, 96, 20],
    [127, 39, 4],
  ],
  stage: { sky: "#f0efeb", ground: "#e4e3df", grid: "#c3c2bd", trail: "#0b6b86" },
};

const DARK: Theme = {
  dark: true,
  ink: "#e9e7e2",
  muted: "#9ba5ae",
  line: "#2b3138",
  surface: "#171b20",
  accent: "#63bdd6",
  touch: "#ffb52e",
  layers: ["#56b4e9", "#f0913a", "#45c79b", "#c79bdb"],
  diverging: [
    [190, 225, 255],
    [74, 158, 222],
    [28, 78, 120],
    [22, 26, 31],
    [122, 66, 18],
    [236, 140, 46],
    [255, 226, 178],
  ],
  stage: { sky: "#12161a", ground: "#191e23", grid: "#333b43", trail: "#63bdd6" },
};

const KEY = "hebbian-viewer-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** The theme in force: chosen on the page, else that of the system. */
export function theme(): Theme {
  const chosen = localStorage.getItem(KEY);
  return (chosen ? chosen === "dark" : system.matches) ? DARK : LIGHT;
}

/** Applies the theme, now and whenever it changes. */
export function followTheme(button: HTMLButtonElement, apply: (theme: Theme) => void) {
  const update = () => {
    const present = theme();
    document.documentElement.dataset.theme = present.dark ? "dark" : "light";
    button.textContent = present.dark ? "☀" : "☾";
    button.title = present.dark ? "Light" : "Dark";
    apply(present);
  };
  button.onclick = () => {
    localStorage.setItem(KEY, theme().dark ? "light" : "dark");
    update();
  };
  system.onchange = update;
  update();
}

/** 256 colours from the most negative to the most positive, as RGBA in memory order. */
export function divergingTable(stops: Theme["diverging"]): Uint32Array<ArrayBuffer> {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let index = 0; index < 256; index++) {
    const at = (index / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const from = stops[low]![channel]!;
      bytes[4 * index + channel] = from + (at - low) * (stops[low + 1]![channel]! - from);
    }
    bytes[4 * index + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}
