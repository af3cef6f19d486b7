/** One plot on a canvas: an area and a line over five minutes, a read-out, and the value under the pointer. */
import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { span } from "../core/format.ts";
import { nearest, niceMax, type Point, runs, type Sample, seriesMs } from "../core/series.ts";
import { cluster, darkScheme, second, theme } from "../state/app.ts";

export interface PlotLine {
  readonly name: string;
  readonly pick: (sample: Sample) => number | undefined;
  readonly kind: "area" | "line";
}

interface PlotProps {
  readonly title: string;
  readonly lines: readonly PlotLine[];
  readonly format: (value: number) => string;
  /** The axis is at least this high. */
  readonly least: number;
  /** The round number at or above a value where the axis ends. */
  readonly nice?: (value: number, least: number) => number;
}

const gapMs = 3500;
/** A young page draws its first minute over the whole width. */
const spanMsLeast = 60_000;

export function Plot({ title, lines, format, least, nice = niceMax }: PlotProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(canvas);
  const pointer = useSignal<number | undefined>(undefined);
  const samples = cluster.samples.value;
  const now = Math.max(second.value, samples.at(-1)?.atMs ?? 0);
  const highest = samples.reduce(
    (most, sample) => Math.max(most, ...lines.map(({ pick }) => pick(sample) ?? 0)),
    0,
  );
  const top = nice(highest, least);
  const spanMs = Math.min(seriesMs, Math.max(spanMsLeast, now - (samples[0]?.atMs ?? now)));
  const at = pointer.value === undefined ? undefined : now - (1 - pointer.value) * spanMs;
  const shown = at === undefined ? samples.at(-1) : nearest(samples, at);
  useLayoutEffect(() => {
    const marked = at === undefined ? undefined : shown;
    if (width.value > 0)
      draw(canvas.current as HTMLCanvasElement, samples, lines, { top, now, spanMs, marked });
  }, [width.value, samples, now, top, shown, at, theme.value, darkScheme.value]);
  const textOf = (sample: Sample | undefined, pick: PlotLine["pick"]): string => {
    const value = sample === undefined ? undefined : pick(sample);
    return value === undefined ? "—" : format(value);
  };
  const words = lines.map(({ name, pick }) => `${name} ${textOf(shown, pick)}`);
  return (
    <figure class="plot">
      <figcaption class="plot-head">
        <span class="plot-title">{title}</span>
        {lines.map(({ name, pick, kind }) => (
          <span key={name} class={`plot-value plot-${kind}`}>
            <span class="plot-name">{name}</span> {textOf(shown, pick)}
          </span>
        ))}
        <span class="plot-when">
          {at === undefined || shown === undefined
            ? `${format(top)} · ${span(spanMs)}`
            : `${span(now - shown.atMs)} ago`}
        </span>
      </figcaption>
      <canvas
        ref={canvas}
        class="plot-canvas"
        role="img"
        aria-label={`${title}: ${words.join(", ")}`}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          pointer.value = (event.clientX - box.left) / box.width;
        }}
        onPointerLeave={() => {
          pointer.value = undefined;
        }}
      />
    </figure>
  );
}

/** The width of an element, in whole pixels. */
function useWidth(element: RefObject<HTMLElement | null>): Signal<number> {
  const width = useSignal(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      width.value = Math.round(entry?.contentRect.width ?? 0);
    });
    observer.observe(element.current as HTMLElement);
    return () => observer.disconnect();
  }, [element, width]);
  return width;
}

function draw(
  canvas: HTMLCanvasElement,
  samples: readonly Sample[],
  lines: readonly PlotLine[],
  { top, now, spanMs, marked }: { top: number; now: number; spanMs: number; marked: Sample | undefined },
): void {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  if (pen === null) return;
  const style = getComputedStyle(canvas);
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineWidth = 1;
  pen.strokeStyle = style.borderTopColor;
  pen.beginPath();
  for (const y of [0.5, height / 2, height - 0.5]) {
    pen.moveTo(0, Math.round(y) - 0.5 + (y < 1 ? 1 : 0));
    pen.lineTo(width, Math.round(y) - 0.5 + (y < 1 ? 1 : 0));
  }
  pen.stroke();
  const box = { width, height: height - 2, top, nowMs: now, spanMs, gapMs };
  for (const { pick, kind } of lines.toReversed()) {
    pen.strokeStyle = kind === "area" ? style.color : style.outlineColor;
    pen.lineWidth = kind === "area" ? 1.5 : 1.25;
    for (const points of runs(samples, pick, box))
      drawRun(pen, points, height, kind === "area" ? style.color : undefined);
  }
  if (marked !== undefined) {
    const x = width - ((now - marked.atMs) / spanMs) * width;
    pen.strokeStyle = style.color;
    pen.globalAlpha = 0.5;
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, height);
    pen.stroke();
    pen.globalAlpha = 1;
  }
}

function drawRun(
  pen: CanvasRenderingContext2D,
  points: readonly Point[],
  height: number,
  fill: string | undefined,
): void {
  const [first, last] = [points[0] as Point, points.at(-1) as Point];
  pen.beginPath();
  pen.moveTo(first.x, first.y + 1);
  for (const { x, y } of points) pen.lineTo(x, y + 1);
  if (points.length === 1) pen.lineTo(first.x + 1, first.y + 1);
  pen.stroke();
  if (fill === undefined) return;
  pen.lineTo(last.x, height);
  pen.lineTo(first.x, height);
  pen.closePath();
  pen.globalAlpha = 0.13;
  pen.fillStyle = fill;
  pen.fill();
  pen.globalAlpha = 1;
}
