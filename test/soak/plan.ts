/** What a soak does, and when: the logs and their retention, the flags of the nodes, the times of restarts and backups. */
import { prng } from "../../src/lib/prng.ts";

export interface Plan {
  readonly durationMs: number;
  /** Named logs, without `default`. */
  readonly logs: number;
  /** Records per second, spread over all logs; "half": of what a first minute without a limit reaches. */
  readonly rate: number | "half";
  /** Time between two samples. */
  readonly sampleMs: number;
  /** Time between two restarts of a node. */
  readonly restartMs: number;
  readonly backupMs: number;
  /** How long records are kept, by age or by as many bytes as are appended in that time. */
  readonly keptMs: number;
  readonly segmentBytes: number;
}

const minute = 60_000;

/** The long form. */
export const longPlan: Omit<Plan, "durationMs" | "rate"> = {
  logs: 100,
  sampleMs: 5_000,
  restartMs: minute,
  backupMs: 5 * minute,
  keptMs: 4 * minute,
  segmentBytes: 2 * 2 ** 20,
};

/** The form for a test: everything happens several times in two minutes. */
export const shortPlan: Plan = {
  durationMs: 2 * minute,
  logs: 20,
  rate: 400,
  sampleMs: 2_000,
  restartMs: 20_000,
  backupMs: 40_000,
  keptMs: 30_000,
  segmentBytes: 256 * 1024,
};

export interface SoakLog {
  readonly name: string;
  /** Runs of records that it gets in each round of the writers. */
  readonly weight: number;
  /** Exactly one is set. For `default` it is a setting of the nodes. */
  readonly retentionAgeMs?: number;
  readonly retentionBytes?: number;
}

export const prefix = "soak/";
/** About the size of a record in a log: its value and what is around it. */
const recordBytes = 250;
const rateGuess = 1_000;

/** `default` and the named logs: every second one keeps its records by age, the others by bytes. */
export function logsOf(plan: Plan): SoakLog[] {
  const chance = prng("soak logs");
  const named = Array.from({ length: plan.logs }, (_, n) => ({
    name: `${prefix}${String(n).padStart(3, "0")}`,
    weight: chance.between(1, 4),
  }));
  const weights = 1 + named.reduce((sum, { weight }) => sum + weight, 0);
  const rate = plan.rate === "half" ? rateGuess : plan.rate;
  const bytesOf = (weight: number): number =>
    Math.ceil(((rate * weight) / weights) * (plan.keptMs / 1_000) * recordBytes);
  const kept = named.map((log, n) =>
    n % 2 === 0 ? { ...log, retentionAgeMs: plan.keptMs } : { ...log, retentionBytes: bytesOf(log.weight) },
  );
  return [{ name: "default", weight: 1, retentionAgeMs: plan.keptMs }, ...kept];
}

/** Everything else has its default. */
export const nodeFlags = (plan: Plan): string[] => [
  ...["--segment-store-bytes-max", String(plan.segmentBytes)],
  ...["--retention-age", `${plan.keptMs}ms`, "--retention-bytes", String(64 * 2 ** 20)],
  ...["--reserve-bytes", "0", "--log-level", "warn"],
];

export interface Restart {
  readonly node: number;
  readonly signal: "SIGTERM" | "SIGKILL";
  /** Leadership is moved to the node before. */
  readonly asLeader: boolean;
}

/**
 * The k-th restart. For a third of the run each, one node is left alone, so that what grows in a long life of a process shows. The
 * other two are restarted in turn, each by both signals, and every third restart is that of the leader.
 */
export function restartOf(plan: Plan, k: number): Restart {
  const third = Math.min(2, Math.floor((3 * (k + 1) * plan.restartMs) / plan.durationMs));
  const spared = [2, 0, 1][third]!;
  const others = [0, 1, 2].filter((node) => node !== spared);
  return {
    node: others[k % 2]!,
    signal: (k >> 1) % 2 === 0 ? "SIGTERM" : "SIGKILL",
    asLeader: k % 3 === 2,
  };
}

const sizesOf = (sequence: number): number => 100 + ((sequence * 37) % 200);

/** The value of a record: it names its log and its sequence, and has a length of 100 to 299 bytes. */
export function recordValue(log: string, sequence: number): Buffer {
  const value = Buffer.alloc(sizesOf(sequence), 97 + (sequence % 26));
  value.write(`${log} ${sequence} `);
  return value;
}

/** The sequence in a value; undefined if it is not the value of a record of this log. */
export function sequenceOf(log: string, value: Uint8Array): number | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const [name, sequence] = bytes.toString("latin1", 0, 40).split(" ");
  if (name !== log || sequence === undefined) return undefined;
  return bytes.equals(recordValue(log, Number(sequence))) ? Number(sequence) : undefined;
}
