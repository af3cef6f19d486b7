/** Draws series as small multiples in SVG: one panel for each, with the same time below all of them. */

export interface Line {
  readonly name: string;
  readonly color: string;
  /** Undefined values interrupt the line. */
  readonly points: readonly { readonly x: number; readonly y: number | undefined }[];
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
  /** Default "linear", from 0. */
  readonly scale?: "log";
  readonly lines: readonly Line[];
}

export interface Graph {
  readonly title: string;
  readonly subtitle: string;
  readonly panels: readonly Panel[];
  /** The largest x, in minutes. */
  readonly minutes: number;
}

const columns = 2;
const [panelWidth, panelHeight] = [520, 190];
const [left, right, above, below] = [58, 14, 34, 26];
const headHeight = 62;
const ink = "#1f2933";
const faint = "#6b7785";
const grid = "#e3e7ec";

export function drawGraph({ title, subtitle, panels, minutes }: Graph): string {
  const rows = Math.ceil(panels.length / columns);
  const [width, height] = [columns * panelWidth, headHeight + rows * panelHeight + 8];
  const drawn = panels.map((panel, n) => {
    const [x, y] = [(n % columns) * panelWidth, headHeight + Math.floor(n / columns) * panelHeight];
    return `<g transform="translate(${x},${y})">\n${drawPanel(panel, minutes)}\n</g>`;
  });
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="11">`,
    `<title>${escaped(title)}: ${escaped(subtitle)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(14, 26, title, { size: 17, weight: 600 }),
    text(14, 46, subtitle, { size: 12, color: faint }),
    ...drawn,
    "</svg>",
  ].join("\n")}\n`;
}

function drawPanel(panel: Panel, minutes: number): string {
  const [width, height] = [panelWidth - left - right, panelHeight - above - below];
  const { ticks, toY } = panel.scale === "log" ? logScale(panel, height) : linearScale(panel, height);
  const toX = (x: number): number => (minutes === 0 ? 0 : (x / minutes) * width);
  const parts = [text(left, 14, panel.title, { size: 12.5, weight: 600 })];
  let keyAt = panelWidth - right;
  for (const { name, color } of panel.lines.toReversed()) {
    parts.push(text(keyAt, 14, name, { anchor: "end", color, weight: 600 }));
    keyAt -= name.length * 6.6 + 12;
  }
  for (const tick of ticks) {
    const y = (above + toY(tick)).toFixed(1);
    parts.push(`<path d="M${left} ${y}H${panelWidth - right}" stroke="${grid}"/>`);
    parts.push(text(left - 6, above + toY(tick) + 3.5, label(tick), { anchor: "end", color: faint }));
  }
  parts.push(text(left - 6, above - 9, panel.unit, { anchor: "end", color: faint }));
  for (const tick of timeTicks(minutes))
    parts.push(text(left + toX(tick), panelHeight - 10, `${tick} min`, { anchor: "middle", color: faint }));
  for (const line of panel.lines) {
    const d = pathOf(line, toX, toY);
    if (d !== "")
      parts.push(
        `<path transform="translate(${left},${above})" d="${d}" fill="none" stroke="${line.color}" stroke-width="1.1" stroke-linejoin="round"/>`,
      );
  }
  return parts.join("\n");
}

/** Points of one pixel are drawn as the highest of them. */
function pathOf(line: Line, toX: (x: number) => number, toY: (y: number) => number): string {
  let [d, isDown, column] = ["", false, -1];
  let highest = Number.NEGATIVE_INFINITY;
  const draw = (): void => {
    if (column < 0) return;
    d += `${isDown ? "L" : "M"}${column} ${toY(highest).toFixed(1)}`;
    [isDown, column, highest] = [true, -1, Number.NEGATIVE_INFINITY];
  };
  for (const { x, y } of line.points) {
    const at = Math.round(toX(x));
    if (at !== column || y === undefined) draw();
    if (y === undefined) isDown = false;
    else [column, highest] = [at, Math.max(highest, y)];
  }
  draw();
  return d;
}

interface Scale {
  readonly ticks: readonly number[];
  readonly toY: (y: number) => number;
}

const valuesOf = ({ lines }: Panel): number[] =>
  lines.flatMap(({ points }) => points.flatMap(({ y }) => (y === undefined ? [] : [y])));

function linearScale(panel: Panel, height: number): Scale {
  const most = Math.max(1e-9, ...valuesOf(panel));
  const step = niceStep(most / 4);
  const top = Math.ceil(most / step) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step);
  return { ticks, toY: (y) => height - (y / top) * height };
}

/** Whole powers of ten. Values below the lowest tick are drawn on it. */
function logScale(panel: Panel, height: number): Scale {
  const values = valuesOf(panel).filter((value) => value > 0);
  const low = Math.max(-1, Math.floor(Math.log10(Math.min(...values, 1e3))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values, 1e-3))));
  const ticks = Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n));
  const toY = (y: number): number =>
    height - ((Math.log10(Math.max(y, 10 ** low)) - low) / (high - low)) * height;
  return { ticks, toY };
}

function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 2.5, 5].find((one) => one * power >= least) ?? 10);
}

function timeTicks(minutes: number): number[] {
  const step = Math.max(0.5, niceStep(minutes / 6));
  return Array.from({ length: Math.floor(minutes / step + 1e-9) + 1 }, (_, n) => n * step);
}

const label = (value: number): string => String(Number(value.toPrecision(6)));

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

interface TextStyle {
  readonly size?: number;
  readonly weight?: number;
  readonly color?: string;
  readonly anchor?: "middle" | "end";
}

function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size, weight, color = ink, anchor } = style;
  const attributes = Object.entries({ "font-size": size, "font-weight": weight, "text-anchor": anchor })
    .flatMap(([name, value]) => (value === undefined ? [] : [` ${name}="${value}"`]))
    .join("");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${color}"${attributes}>${escaped(content)}</text>`;
}
