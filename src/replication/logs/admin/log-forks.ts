/**
 * Where a log may be forked: what a leader checks, and what its command says. Pure.
 *
 * A fork shows the records of its source before `next`. It is written as one create, which says nothing to the source: the forks of
 * a log are counted from the rows, so the count is right after any crash. While a log has forks, it is not trimmed, and deleting it
 * only hides it from its clients; the leader removes it with the last fork.
 */
import { Fault } from "../../../fault.ts";
import { type ForkCommand, type LogRow, outOfRange } from "../../../log/mod.ts";
import type { LogFork, LogId } from "../../../types.ts";

/** A fork of a fork, and so on: the most logs of which one shows records. */
const sourcesMax = 16;

/**
 * Returns the command of a fork of the log at `at`. `rowOf` returns the sources of the log.
 * @throws Fault "out-of-range" for a place that the log does not hold; "failed-precondition" for too many forks of forks
 */
export function forkCommandOf(
  from: LogRow,
  { next, cut }: Omit<LogFork, "source">,
  rowOf: (id: LogId) => LogRow | undefined = () => undefined,
): ForkCommand {
  const { id: source, lowest } = from;
  if (next < lowest || next > from.next) throw outOfRange(next, from);
  if (cut !== undefined && next === lowest) throw outOfRange(next - 1, from);
  let sources = 1;
  for (let row: LogRow | undefined = from; row?.fork !== undefined; row = rowOf(row.fork.source)) sources++;
  if (sources > sourcesMax) throw tooDeep(from.name);
  return { source, lowest, next, ...(cut === undefined ? {} : { cut }) };
}

/** Returns whether a log was forked there. */
export const isSameFork = (
  { fork }: LogRow,
  source: LogId | undefined,
  { next, cut }: Omit<LogFork, "source">,
): boolean => source !== undefined && fork?.source === source && fork.next === next && fork.cut === cut;

export const otherFork = ({ name, fork }: LogRow): Fault =>
  new Fault("already-exists", {
    message:
      fork === undefined
        ? `there is a log "${name}", which is no fork`
        : `there is a log "${name}", which is a fork of another log, or of another place`,
    facts: { name },
  });

const tooDeep = (name: string): Fault =>
  new Fault("failed-precondition", {
    message: `log "${name}" is a fork of a fork ${sourcesMax} times over, and cannot be forked again`,
    facts: { name, reason: "TOO_MANY_FORKS_OF_FORKS" },
  });
