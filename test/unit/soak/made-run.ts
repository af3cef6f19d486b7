/** Samples of a run of ten minutes that did not happen, in which one thing may be wrong. */
import type { NodeSample, Sample } from "../../soak/samples.ts";

interface At {
  /** Seconds since the start of the run. */
  readonly t: number;
  /** Seconds since the start of the process. */
  readonly age: number;
}

interface Made {
  /** Each node is restarted after three times as long. Default: never. */
  readonly restartSeconds?: number;
  /** MiB. Default 100. */
  readonly rss?: (at: At) => number;
  /** What differs from an ordinary sample. */
  readonly sample?: (t: number) => Partial<Sample>;
  readonly node?: (at: At) => Partial<NodeSample>;
}

const seconds = 600;
const every = 5;

export function run({ restartSeconds, rss = () => 100, sample, node }: Made = {}): Sample[] {
  const life = restartSeconds === undefined ? Number.POSITIVE_INFINITY : 3 * restartSeconds;
  return Array.from({ length: seconds / every + 1 }, (_, n) => {
    const t = n * every;
    const at = (number: number): At => ({ t, age: (t + number * (restartSeconds ?? 0)) % life });
    return {
      ...{ t, appendsPerSecond: 1_000, appendP50Ms: 5, appendP99Ms: 20, appendMaxMs: 30, lagP50Ms: 5 },
      ...{
        lagP99Ms: 20,
        behind: 0,
        clientRssMiB: 200,
        clientHeapMiB: 50,
        clientLoopMs: 10,
        clientCpu: t / 10,
        load: 0.5,
      },
      nodes: [0, 1, 2].map((number) => ({
        ...{ age: at(number).age, rssMiB: rss(at(number)), heapMiB: 40, descriptors: 50, diskMiB: 60 },
        ...{ loopMs: 10, loopP99Ms: 5, cpu: t / 10, segments: 20, tails: 5, bufferedKiB: 100, leads: 0 },
        ...node?.(at(number)),
      })),
      ...sample?.(t),
    };
  });
}
