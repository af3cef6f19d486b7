/**
 * Checks the answers to clients of named logs against the committed frames. Pure. The rules of one log are those of `default`
 * (checker.ts), applied to each log that ever was; the rules here are about names, ids, and logs that come and go.
 */
import { check, type Violation } from "../checker.ts";
import type { Append, Change, Failure, Operation } from "../history.ts";
import type { CommittedLog, CommittedLogs } from "./committed-logs.ts";
import { isRetained, numberOf, retainedBytes } from "./known-logs.ts";

type Named = Operation & { readonly log: string };
type WithFailure = Named & { readonly failure?: Failure };

interface Facts {
  readonly operations: readonly Named[];
  readonly appends: readonly (Append & { readonly log: string })[];
  readonly changes: readonly Change[];
  readonly logs: ReadonlyMap<number, CommittedLog>;
  /** Value → the log that holds it. */
  readonly homes: ReadonlyMap<string, CommittedLog>;
  /** Log id → when a change of it was acknowledged for the first time. */
  readonly deletedAt: ReadonlyMap<number, number>;
  readonly closedAt: ReadonlyMap<number, number>;
}

type Rule = (facts: Facts) => Generator<string>;

const idOf = (id: string | undefined): number | undefined => (id === undefined ? undefined : numberOf(id));
const failureIn = (operation: Operation): Failure | undefined => (operation as WithFailure).failure;

const never = Number.POSITIVE_INFINITY;
/** Retention removes by share: records of up to 8 KiB, half of that on average, fill what is kept. */
const retainedRecordsMin = retainedBytes / 4096 / 2;
const sequenceKinds = ["out-of-sequence", "unknown-producer", "producer-fenced", "sequence-too-old"];

const rules: Readonly<Record<string, Rule>> = {
  /** A record is in one log only. */
  *oneLog({ logs }) {
    const homes = new Map<string, CommittedLog>();
    for (const log of logs.values()) {
      for (const { value } of ownRecords(log)) {
        const other = homes.get(value);
        if (other !== undefined && other !== log)
          yield `${value} is in ${textOf(other)} and in ${textOf(log)}`;
        homes.set(value, log);
      }
    }
  },

  /** A record is in the log that its request named, and in that of the stated id. */
  *meant({ appends, homes }) {
    for (const { client, values, log, statedId } of appends) {
      const home = homes.get(values[0]!);
      if (home === undefined) continue;
      if (home.name !== log) yield `${client}: ${values[0]} was for ${log} and is in ${textOf(home)}`;
      if (statedId !== undefined && numberOf(statedId) !== home.id)
        yield `${client}: ${values[0]} was for ${log} ${statedId} and is in ${textOf(home)}`;
    }
  },

  /** Records reported as not written are in no log. */
  *notWrittenAnywhere({ appends, homes }) {
    for (const { client, values, failure } of appends) {
      if (failure?.written !== "no") continue;
      const found = values.find((value) => homes.has(value));
      if (found !== undefined)
        yield `${client}: ${found} is in ${textOf(homes.get(found)!)}, but ${failure.kind} said not written`;
    }
  },

  /** An answer about a log has the name and the id of the request. */
  *answered({ operations, logs }) {
    for (const { client, op, log, statedId, logId } of operations) {
      if (logId === undefined) continue;
      if (statedId !== undefined && statedId !== logId)
        yield `${client}: ${op} of ${statedId} was answered by ${logId}`;
      const found = logs.get(numberOf(logId));
      if (found?.name !== log)
        yield `${client}: ${op} of ${log} was answered by ${logId}, ${found?.name ?? "no log"}`;
    }
  },

  /** A create makes a log of its own. */
  *created({ changes }) {
    const made = new Set<string>();
    for (const { client, change, logId, created } of changes) {
      if ((change !== "create" && change !== "fork") || created !== true || logId === undefined) continue;
      if (made.has(logId)) yield `${client}: ${logId} was created twice`;
      made.add(logId);
    }
  },

  /** A fork is one of the log and at the offset of its request. */
  *forked({ changes, logs }) {
    for (const { client, change, log: name, logId, source, at, failure } of changes) {
      const log = logs.get(idOf(logId) ?? 0);
      if (change !== "fork" || failure !== undefined || log === undefined) continue;
      const { fork } = log;
      if (fork === undefined || fork.source.name !== source || (at !== undefined && fork.next !== at))
        yield `${client}: ${name} ${logId} was to be a fork of ${source} at ${at ?? "its end"}, and is ${
          fork === undefined ? "none" : `one of ${textOf(fork.source)} at ${fork.next}`
        }`;
    }
  },

  /** A log that was deleted takes no appends and is shown by no linearizable read. */
  *deleted({ operations, deletedAt, logs }) {
    for (const id of deletedAt.keys())
      if (logs.get(id)?.deleted !== true) yield `the delete of ${id} was acknowledged, and the log is there`;
    for (const operation of operations) {
      const { client, op, logId, start } = operation;
      if (start <= (deletedAt.get(idOf(logId) ?? 0) ?? never) || failureIn(operation) !== undefined) continue;
      if (
        op === "append" ||
        op === "change" ||
        op === "cursor" ||
        ((op === "read" || op === "end") && operation.mode === "linearizable")
      )
        yield `${client}: ${op} reached ${logId} after its delete`;
    }
  },

  /** A log that was closed takes no appends. */
  *closed({ appends, closedAt, logs }) {
    for (const id of closedAt.keys())
      if (logs.get(id)?.closed !== true) yield `the close of ${id} was acknowledged, and the log is open`;
    for (const { client, values, logId, start, offset } of appends)
      if (offset !== undefined && start > (closedAt.get(idOf(logId) ?? 0) ?? never))
        yield `${client}: ${values[0]} was appended to ${logId} after its close`;
  },

  /** A producer that repeats its sequences in order is never refused because of them. */
  *sequence({ appends }) {
    for (const { client, values, producer, failure } of appends)
      if (producer !== undefined && failure !== undefined && sequenceKinds.includes(failure.kind))
        yield `${client}: ${values[0]} was refused, ${failure.kind}: ${failure.message}`;
  },

  /** Retention by size keeps the newest records. */
  *retained({ changes, logs }) {
    for (const log of logs.values()) {
      if (!isRetained(log.name)) continue;
      const trims = changes.filter(({ log: name }) => name === log.name);
      const most = Math.max(0, ...trims.map(({ before = 0 }) => before));
      const left = log.records.length - log.lowest;
      if (log.lowest > most && left < retainedRecordsMin)
        yield `${textOf(log)} has ${left} records, and begins at ${log.lowest}`;
    }
  },

  /** What is settled could not be read any more. */
  *settled({ logs }) {
    for (const log of logs.values())
      if (!log.deleted && log.settledBelow > log.lowest)
        yield `${textOf(log)} is settled below ${log.settledBelow}, and begins at ${log.lowest}`;
  },

  /** Only a delete of a client deletes a log, and only a trim removes records: no clock does. */
  *unasked({ changes, logs }) {
    for (const log of logs.values()) {
      const about = changes.filter(
        ({ log: name, statedId }) =>
          name === log.name && (statedId === undefined || numberOf(statedId) === log.id),
      );
      if (log.deleted && !about.some(({ change }) => change === "delete"))
        yield `no client deleted ${textOf(log)}`;
      if (log.closed && !about.some(({ change }) => change === "close"))
        yield `no client closed ${textOf(log)}`;
      const most = Math.max(log.fork?.lowest ?? 0, ...about.map(({ before = 0 }) => before));
      if (log.lowest > most && !isRetained(log.name))
        yield `${textOf(log)} begins at ${log.lowest}, no client trimmed beyond ${most}`;
    }
  },

  /** An acknowledged trim holds. */
  *trimmed({ changes, logs }) {
    for (const { client, logId, lowest = 0 } of changes) {
      const log = logs.get(idOf(logId) ?? 0);
      if (log !== undefined && log.lowest < lowest)
        yield `${client}: ${textOf(log)} was trimmed to ${lowest} and begins at ${log.lowest}`;
    }
  },

  /** A log that is known to be there is not denied, unless a client began to delete it. */
  *denied({ operations, changes }) {
    const known = new Map<string, { readonly log: string; readonly since: number }>();
    for (const { log, logId, end } of operations) {
      if (logId === undefined) continue;
      const { since } = known.get(logId) ?? { since: never };
      known.set(logId, { log, since: Math.min(since, end) });
    }
    const deletes = changes.filter(({ change }) => change === "delete");
    const begun = ([id, { log }]: readonly [string, { readonly log: string }], before: number): boolean =>
      deletes.some(
        ({ log: name, statedId, start }) =>
          name === log && (statedId === undefined || statedId === id) && start <= before,
      );
    for (const operation of operations) {
      if (!isDenial(failureIn(operation))) continue;
      const { client, op, log, statedId, start, end } = operation;
      for (const one of known) {
        const [id, { log: name, since }] = one;
        if (name !== log || since >= start || (statedId !== undefined && statedId !== id)) continue;
        if (!begun(one, end)) yield `${client}: ${op} of ${log} ${statedId ?? ""} denied ${id}`;
      }
    }
  },
};

const isDenial = (failure: Failure | undefined): boolean =>
  failure !== undefined &&
  failure.written === "no" &&
  (failure.reason === "NO_SUCH_LOG" || failure.reason === "ANOTHER_LOG");

export const namedRuleNames = Object.keys(rules);

const violationsMax = 5;

/** Returns all violations. Operations on `default` are passed over. */
export function checkNamed(operations: readonly Operation[], committed: CommittedLogs): readonly Violation[] {
  const facts = factsOf(operations, committed);
  const found: Violation[] = committed.flaws
    .slice(0, violationsMax)
    .map((text) => ({ rule: "frames", text }));
  for (const [rule, violations] of Object.entries(rules)) {
    let count = 0;
    for (const text of violations(facts)) if (++count <= violationsMax) found.push({ rule, text });
    if (count > violationsMax) found.push({ rule, text: `… ${count - violationsMax} more` });
  }
  for (const [log, about] of byLog(facts)) {
    const known = log.records.slice(log.unknownBelow);
    for (const { rule, text } of check(about, known, log.unknownBelow, log.fork?.next))
      found.push({ rule, text: `${textOf(log)}: ${text}` });
  }
  return found;
}

function factsOf(operations: readonly Operation[], { logs }: CommittedLogs): Facts {
  const named = operations.filter((operation): operation is Named => operation.log !== undefined);
  const homes = new Map<string, CommittedLog>();
  for (const log of logs.values()) for (const { value } of ownRecords(log)) homes.set(value, log);
  const changes = named.filter((operation) => operation.op === "change");
  return {
    operations: named,
    appends: named.filter((operation) => operation.op === "append"),
    changes,
    logs,
    homes,
    deletedAt: firstAcks(changes, "delete"),
    closedAt: firstAcks(changes, "close"),
  };
}

function firstAcks(changes: readonly Change[], kind: Change["change"]): ReadonlyMap<number, number> {
  const acks = new Map<number, number>();
  for (const { change, statedId, logId, end, failure } of changes) {
    const id = idOf(logId ?? statedId);
    if (change !== kind || failure !== undefined || id === undefined) continue;
    acks.set(id, Math.min(acks.get(id) ?? end, end));
  }
  return acks;
}

/** The operations on each log: by the id of the answer, by that of the request, and by the log that holds the record. */
function byLog({ operations, logs, homes }: Facts): ReadonlyMap<CommittedLog, readonly Operation[]> {
  const found = new Map<CommittedLog, Operation[]>([...logs.values()].map((log) => [log, []]));
  for (const operation of operations) {
    const home = operation.op === "append" ? homes.get(operation.values[0]!) : undefined;
    const log = logs.get(idOf(operation.logId) ?? 0) ?? home ?? logs.get(idOf(operation.statedId) ?? 0);
    if (log !== undefined) found.get(log)!.push(operation);
  }
  return found;
}

/** The records that are not those of a log of which this one is a fork. */
const ownRecords = ({ records, fork }: CommittedLog) =>
  fork === undefined ? records : records.slice(fork.next);

const textOf = ({ name, id }: CommittedLog): string => `${name} ${id}`;
