/**
 * Opens a tail of several logs: resolves their names and finds where it begins. The place that a client states can be one
 * that this node has not reached yet. Then, and for a name that it does not know, the node first gets as fresh as its leader.
 */
import { Fault } from "../../fault.ts";
import { type FollowedLogs, LogsTail, type SegmentedLog, shown } from "../../log/mod.ts";
import type {
  Freshness,
  LogRef,
  MultiStart,
  MultiTail,
  RaftPosition,
  TailedLogName,
  TailedLogs,
} from "../../types.ts";
import { anotherLife, anotherLog, isOtherLife, noSuchLog } from "./log-refusals.ts";

export interface FollowPorts {
  readonly log: SegmentedLog;
  readonly cutOff: () => Fault | undefined;
  /** Resolves when names can be resolved here as fresh as it was asked for. */
  readonly beforeName: (freshness: Freshness) => Promise<void>;
  /** Resolves once everything acknowledged before the call is applied here. */
  readonly confirm: (freshness: Freshness) => Promise<void>;
}

/** How a name is called that means `default`. It has no row. */
const defaultName = "default";

/** @throws see LogCatalog.follow */
export async function followLogs(
  ports: FollowPorts,
  logs: TailedLogs,
  start: MultiStart,
  freshness: Freshness,
): Promise<MultiTail> {
  const { log, cutOff } = ports;
  await ports.beforeName(freshness);
  if (!knowsAll(log, logs) || !hasReached(log, start)) await ports.confirm(freshness);
  const from = placeOf(log, start);
  const isResumed = typeof start !== "string";
  const followed = "prefix" in logs ? logs : resolved(log, logs.names, isResumed);
  return new LogsTail({ log: log.committed, logs: followed, from, cutOff });
}

function knowsAll({ state }: SegmentedLog, logs: TailedLogs): boolean {
  if ("prefix" in logs) return true;
  return logs.names.every(({ name, id, life }) => {
    if (life !== undefined && life !== state.logs.life) return false;
    const row = shown(state.logs.named(name));
    return name === defaultName || (row !== undefined && (id === undefined || id === row.id));
  });
}

function hasReached({ state, commitIndex }: SegmentedLog, start: MultiStart): boolean {
  if (typeof start === "string") return true;
  return start.index <= commitIndex + 1 && start.life === state.logs.life;
}

/** @throws Fault "failed-precondition" for a place in another life, "out-of-range" for one that this node does not hold */
function placeOf(log: SegmentedLog, start: MultiStart): RaftPosition {
  const { commitIndex, firstIndex, state } = log;
  if (start === "end") return { index: commitIndex + 1, sent: 0 };
  if (start === "start") return { index: firstIndex, sent: 0 };
  const { life } = state.logs;
  if (start.life !== life) {
    throw new Fault("failed-precondition", {
      message: `the token is of another life of the cluster: ${start.life}, it is ${life} now`,
      facts: { reason: "ANOTHER_LIFE" },
    });
  }
  if (start.index >= firstIndex && start.index <= commitIndex + 1) return start;
  throw new Fault("out-of-range", {
    message: `the index ${start.index} of the token is not on this node, which holds ${firstIndex} to ${commitIndex}`,
    facts: { index: start.index, lowest: firstIndex, next: commitIndex + 1 },
  });
}

/**
 * Resolves the names. A tail that is resumed goes on without the logs that were deleted meanwhile.
 * @throws Fault "not-found", "failed-precondition" if the name means another log than the stated one, and for another life
 */
function resolved({ state }: SegmentedLog, names: readonly LogRef[], isResumed: boolean): FollowedLogs {
  const named: TailedLogName[] = [];
  const deleted: TailedLogName[] = [];
  for (const { name, id, life } of names) {
    if (isOtherLife(life, state.logs.life)) throw anotherLife(name, life, state.logs.life);
    const found = name === defaultName ? 0 : shown(state.logs.named(name))?.id;
    if (found !== undefined && (id === undefined || id === found)) named.push({ id: found, name });
    else if (isResumed) deleted.push({ id: id ?? 0, name });
    else throw found === undefined ? noSuchLog(name) : anotherLog(name);
  }
  if (named.length > 0) return { named, deleted };
  throw deleted.length === 1 ? noSuchLog(deleted[0]!.name) : noneLeft();
}

const noneLeft = (): Fault =>
  new Fault("not-found", {
    message: "all logs of the tail were deleted",
    facts: { reason: "NO_SUCH_LOG" },
  });
