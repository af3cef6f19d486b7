/** A sample of the run, and its line in the CSV file. An empty field is a node that did not answer. */

/** What is known of one node at one time. */
export interface NodeSample {
  /** Seconds since its process began. */
  readonly age: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  readonly descriptors: number;
  readonly diskMiB: number;
  /** The longest delay of a timer since the sample before, and the 99th percentile. NaN in the first sample of a process. */
  readonly loopMs: number;
  readonly loopP99Ms: number;
  /** CPU seconds of its process. */
  readonly cpu: number;
  readonly segments: number;
  readonly tails: number;
  readonly bufferedKiB: number;
  /** 1 if it leads. */
  readonly leads: number;
}

const nodeFields = [
  ...(["age", "rssMiB", "heapMiB", "descriptors", "diskMiB", "loopMs", "loopP99Ms"] as const),
  ...(["cpu", "segments", "tails", "bufferedKiB", "leads"] as const),
] satisfies readonly (keyof NodeSample)[];

/** What is known of all at one time. Milliseconds are of the time since the sample before. */
export interface Sample {
  /** Seconds since the start. */
  readonly t: number;
  readonly nodes: readonly (NodeSample | undefined)[];
  readonly appendsPerSecond: number;
  readonly appendP50Ms: number;
  readonly appendP99Ms: number;
  readonly appendMaxMs: number;
  /** From the time of a record to its arrival at a tail. */
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
  /** Acknowledged records that the slowest tail of a log has not read. */
  readonly behind: number;
  /** The process with the clients. */
  readonly clientRssMiB: number;
  readonly clientHeapMiB: number;
  readonly clientLoopMs: number;
  readonly clientCpu: number;
  /** The load average of the last minute, for each processor: above 1 there is more work than processors. NaN if unknown. */
  readonly load: number;
}

const runFields = [
  ...([
    "t",
    "appendsPerSecond",
    "appendP50Ms",
    "appendP99Ms",
    "appendMaxMs",
    "lagP50Ms",
    "lagP99Ms",
  ] as const),
  ...(["behind", "clientRssMiB", "clientHeapMiB", "clientLoopMs", "clientCpu", "load"] as const),
] satisfies readonly (keyof Sample)[];

export const csvHeader = (nodes: number): string =>
  [
    ...runFields,
    ...Array.from({ length: nodes }, (_, n) => nodeFields.map((field) => `n${n + 1}.${field}`)).flat(),
  ].join(",");

export function csvLine(sample: Sample): string {
  const nodes = sample.nodes.flatMap((node) => nodeFields.map((field) => node?.[field]));
  const values = [...runFields.map((field) => sample[field]), ...nodes];
  const textOf = (value: number | undefined): string =>
    value === undefined || Number.isNaN(value) ? "" : String(Math.round(value * 100) / 100);
  return values.map(textOf).join(",");
}

/** Reads what csvHeader() and csvLine() wrote. A field that is missing is NaN. */
export function parseCsv(text: string): Sample[] {
  const [header = "", ...lines] = text.trim().split("\n");
  const names = header.split(",");
  const nodes = names.filter((name) => /^n\d+\.age$/.test(name)).length;
  return lines.map((line) => {
    const cells = line.split(",");
    const textOf = (name: string): string => cells[names.indexOf(name)] ?? "";
    const read = <Field extends string>(fields: readonly Field[], prefix = ""): Record<Field, number> => {
      const values = fields.map((field) => [field, Number(textOf(prefix + field) || Number.NaN)]);
      return Object.fromEntries(values) as Record<Field, number>;
    };
    const node = (name: string): NodeSample | undefined =>
      textOf(`${name}.age`) === "" ? undefined : read(nodeFields, `${name}.`);
    return { ...read(runFields), nodes: Array.from({ length: nodes }, (_, n) => node(`n${n + 1}`)) };
  });
}
