/** The graph of a run. */
import type { NodeSample, Sample } from "./samples.ts";
import { drawGraph, type Line, type Panel } from "./svg.ts";

const nodeColors = ["#2563c9", "#c2410c", "#15803d"];
const [darker, lighter] = ["#4338ca", "#0e9aa7"];

const known = (value: number | undefined): number | undefined =>
  value === undefined || Number.isNaN(value) ? undefined : value;

export function graphOf(samples: readonly Sample[], title: string, subtitle: string): string {
  const nodes = samples[0]?.nodes.length ?? 0;
  const minutes = (samples.at(-1)?.t ?? 0) / 60;
  /** A line ends with each life of a process. */
  const byNode = (field: keyof NodeSample): Line[] =>
    Array.from({ length: nodes }, (_, n) => ({
      name: `n${n + 1}`,
      color: nodeColors[n % nodeColors.length]!,
      points: samples.flatMap(({ t, nodes }, at) => {
        const [node, before] = [nodes[n], samples[at - 1]?.nodes[n]];
        const isNew = node !== undefined && before !== undefined && node.age < before.age;
        const point = { x: t / 60, y: known(node?.[field]) };
        return isNew ? [{ x: t / 60, y: undefined }, point] : [point];
      }),
    }));
  const whole = (name: string, color: string, field: Exclude<keyof Sample, "nodes">): Line => ({
    name,
    color,
    points: samples.map((sample) => ({ x: sample.t / 60, y: known(sample[field]) })),
  });
  const client: Line = whole("clients", "#7c3aed", "clientRssMiB");
  const panels: Panel[] = [
    { title: "Resident memory", unit: "MiB", lines: [...byNode("rssMiB"), client] },
    { title: "Heap in use", unit: "MiB", lines: byNode("heapMiB") },
    { title: "Open descriptors", unit: "", lines: byNode("descriptors") },
    { title: "Data directory", unit: "MiB", lines: byNode("diskMiB") },
    {
      title: "Event-loop delay, longest between two samples",
      unit: "ms",
      scale: "log",
      lines: byNode("loopMs"),
    },
    {
      ...{ title: "Latency of appends", unit: "ms", scale: "log" },
      lines: [whole("p99", lighter, "appendP99Ms"), whole("p50", darker, "appendP50Ms")],
    },
    {
      ...{ title: "Lag of tails", unit: "ms", scale: "log" },
      lines: [whole("p99", lighter, "lagP99Ms"), whole("p50", darker, "lagP50Ms")],
    },
    { title: "Acknowledged records", unit: "/s", lines: [whole("", darker, "appendsPerSecond")] },
    { title: "Load of the machine, for each processor", unit: "", lines: [whole("", "#52606d", "load")] },
  ];
  return drawGraph({ title, subtitle, panels, minutes });
}
