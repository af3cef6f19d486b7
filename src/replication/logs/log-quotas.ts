/**
 * The quotas of named logs, as the leader decides them: logs of the cluster, and of each subject the logs that it created,
 * the bytes in them, and how many it creates in a minute. A decision costs the same with one log and with all.
 *
 * What is committed is counted in the table of the rows (LogTable), so it is the same on every node and after a restart.
 * Creates and appends that are under way are counted here: no other node has them. So is the minute, which starts again on
 * a new leader. A quota that is lowered refuses what comes next, and takes nothing away.
 *
 * What is under way can still fail. So a refusal waits for it (settled()), and is decided again with what is committed then.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { LogRow, LogTable, QueuedGroup } from "../../log/mod.ts";
import { UnderWay } from "./under-way.ts";

/** The limits. One that is absent or 0 does not exist, but for `logsMax`. */
export interface QuotaLimits {
  /** Logs of the cluster. Default: `logsMost`. */
  readonly logsMax?: number;
  /** Logs that one subject has created. */
  readonly subjectLogsMax?: number;
  /** Bytes of the records in these logs, from any subject. */
  readonly subjectLogBytesMax?: number;
  /** Logs that one subject creates in a minute. */
  readonly subjectCreatesPerMinute?: number;
  /** Cursors of one log. Default: 1,000. */
  readonly logCursorsMax?: number;
  /** Cursors of the cluster. Default: `cursorsMost`. */
  readonly cursorsMax?: number;
  /** Subjects without quotas of their own. */
  readonly unlimitedSubjects?: readonly string[];
}

/** Largest number of logs of a cluster. A snapshot and a backup hold all rows that there were at the start of the log. */
export const logsMost = 1_000_000;
/** Largest number of cursors of a cluster, for the same reason. */
const cursorsMost = 1_000_000;
const logCursorsDefault = 1_000;

const minuteMs = 60_000;
/** Minutes of subjects are kept up to this number before those that are over are removed. */
const minutesKept = 1_024;

/** What a refusal was about: all logs, of one subject its logs, their bytes or its creates in a minute, or cursors. */
export type QuotaName = "logs" | "subject-logs" | "subject-bytes" | "subject-creates" | "cursors";

interface QuotaRefusal {
  readonly quota: QuotaName;
  readonly fault: Fault;
}

interface Minute {
  readonly sinceMs: number;
  readonly creates: number;
}

export class LogQuotas {
  /** Creates and appends that were refused since the start, by quota. */
  readonly refused: Record<QuotaName, number> = {
    logs: 0,
    "subject-logs": 0,
    "subject-bytes": 0,
    "subject-creates": 0,
    cursors: 0,
  };
  readonly #limits: QuotaLimits;
  readonly #unlimited: ReadonlySet<string>;
  readonly #table: () => Pick<LogTable, "size" | "usageOf">;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** Creates that are under way: all, and those of each subject. They are not in the table yet. */
  #creating = 0;
  readonly #creatingBy = new Map<string, number>();
  /** Bytes of appends that are under way, by the subject that created their log. */
  readonly #appending = new Map<string, number>();
  readonly #minutes = new Map<string, Minute>();
  readonly #underWay = new UnderWay();

  constructor(
    table: () => Pick<LogTable, "size" | "usageOf">,
    clock: Pick<Clock, "monotonicMs">,
    limits: QuotaLimits = {},
  ) {
    this.#table = table;
    this.#clock = clock;
    this.#limits = limits;
    this.#unlimited = new Set(limits.unlimitedSubjects);
  }

  /** The limit of the cluster. */
  get logsMax(): number {
    return this.#limits.logsMax ?? logsMost;
  }

  get cursorLimits(): { readonly ofLog: number; readonly all: number } {
    const { logCursorsMax: ofLog = logCursorsDefault, cursorsMax: all = cursorsMost } = this.#limits;
    return { ofLog, all };
  }

  /**
   * Checks whether a log more may be created. Without a subject, only the limit of the cluster counts.
   * @throws Fault "quota-exceeded"; "overloaded" for too many creates in a minute
   */
  checkCreate(subject: string | undefined): void {
    const logs = this.#table().size + this.#creating;
    const limited = this.#limited(subject);
    const ofSubject = limited === undefined ? 0 : (this.#creatingBy.get(limited) ?? 0);
    const found = this.#createRefusal(limited, logs, ofSubject);
    if (found === undefined) return;
    this.refused[found.quota]++;
    throw found.fault;
  }

  /** Why a log more is refused by what is committed, if so. For a create that checkCreate() has refused, after settled(). */
  refusedCreate(subject: string | undefined): Fault | undefined {
    return this.#createRefusal(this.#limited(subject), this.#table().size, 0)?.fault;
  }

  /** Resolves once all creates and appends that are under way now have ended. */
  settled(): Promise<void> {
    return this.#underWay.settled();
  }

  #createRefusal(limited: string | undefined, logs: number, ofSubject: number): QuotaRefusal | undefined {
    const { subjectLogsMax = 0, subjectCreatesPerMinute = 0 } = this.#limits;
    if (logs >= this.logsMax) return { quota: "logs", fault: tooManyLogs(logs, this.logsMax) };
    if (limited === undefined) return undefined;
    const own = this.#table().usageOf(limited).logs + ofSubject;
    if (subjectLogsMax > 0 && own >= subjectLogsMax)
      return { quota: "subject-logs", fault: tooManyOwnLogs(limited, own, subjectLogsMax) };
    const created = this.#minuteOf(limited).creates;
    if (subjectCreatesPerMinute > 0 && created >= subjectCreatesPerMinute)
      return { quota: "subject-creates", fault: tooFast(limited, created, subjectCreatesPerMinute) };
    return undefined;
  }

  /**
   * A create begins. Returns the function that ends it, to be called when its log gets into the table, or with why it failed:
   * later, it would count twice. What failed does not count in the minute. Further calls do nothing.
   */
  creates(subject: string | undefined): (failure?: Fault) => void {
    this.#creating++;
    const ended = this.#underWay.began();
    const limited = this.#limited(subject);
    if (limited !== undefined) add(this.#creatingBy, limited, 1);
    const sinceMs = limited === undefined ? undefined : this.#countInMinute(limited);
    let isUnderWay = true;
    return (failure) => {
      if (!isUnderWay) return;
      isUnderWay = false;
      this.#creating--;
      if (limited !== undefined) add(this.#creatingBy, limited, -1);
      if (limited !== undefined && failure !== undefined) this.#uncountInMinute(limited, sinceMs);
      ended();
    };
  }

  /**
   * Checks whether the logs of the subject that created this one take more bytes: those of a frame with these records.
   * @throws Fault "quota-exceeded"
   */
  checkAppend({ name, owner }: Pick<LogRow, "name" | "owner">, bytes: number): void {
    const limit = this.#limits.subjectLogBytesMax ?? 0;
    if (limit === 0) return;
    const limited = this.#limited(owner);
    if (limited === undefined) return;
    const found = this.#table().usageOf(limited).bytes + (this.#appending.get(limited) ?? 0);
    if (found + bytes <= limit) return;
    this.refused["subject-bytes"]++;
    throw tooManyBytes(name, limited, found, limit);
  }

  /**
   * Returns the function that says why an append is refused by what is committed, if so. For one that checkAppend() has
   * refused, after settled().
   */
  refusedAppend({ name, owner }: Pick<LogRow, "name" | "owner">, bytes: number): () => Fault | undefined {
    return () => {
      const limit = this.#limits.subjectLogBytesMax ?? 0;
      const limited = this.#limited(owner);
      if (limit === 0 || limited === undefined) return undefined;
      const found = this.#table().usageOf(limited).bytes;
      return found + bytes > limit ? tooManyBytes(name, limited, found, limit) : undefined;
    };
  }

  /** An append was accepted. Its bytes count until its group is in the table or has failed. */
  appends({ owner }: Pick<LogRow, "owner">, bytes: number, group: Pick<QueuedGroup, "onSettled">): void {
    if ((this.#limits.subjectLogBytesMax ?? 0) === 0) return;
    const limited = this.#limited(owner);
    if (limited === undefined) return;
    add(this.#appending, limited, bytes);
    const ended = this.#underWay.began();
    group.onSettled(() => {
      add(this.#appending, limited, -bytes);
      ended();
    });
  }

  #limited(subject: string | undefined): string | undefined {
    return subject === undefined || this.#unlimited.has(subject) ? undefined : subject;
  }

  /** The minute that began with the first create of the subject after the one before. */
  #minuteOf(subject: string): Minute {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#minutes.get(subject);
    return known !== undefined && nowMs - known.sinceMs < minuteMs ? known : { sinceMs: nowMs, creates: 0 };
  }

  /** Returns when the minute began; undefined without a limit. */
  #countInMinute(subject: string): number | undefined {
    if ((this.#limits.subjectCreatesPerMinute ?? 0) === 0) return undefined;
    const { sinceMs, creates } = this.#minuteOf(subject);
    // The minute that began first is the first in the map.
    if (creates === 0) this.#minutes.delete(subject);
    this.#minutes.set(subject, { sinceMs, creates: creates + 1 });
    if (this.#minutes.size > minutesKept) this.#removeOver();
    return sinceMs;
  }

  #uncountInMinute(subject: string, sinceMs: number | undefined): void {
    const minute = this.#minutes.get(subject);
    if (minute === undefined || minute.sinceMs !== sinceMs) return;
    this.#minutes.set(subject, { sinceMs, creates: minute.creates - 1 });
  }

  /** Removes the minutes that are over. */
  #removeOver(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [one, { sinceMs }] of this.#minutes) {
      if (nowMs - sinceMs < minuteMs) return;
      this.#minutes.delete(one);
    }
  }
}

/** Adds to a number of a map. A number that is 0 then is removed. */
function add(numbers: Map<string, number>, key: string, change: number): void {
  const sum = (numbers.get(key) ?? 0) + change;
  if (sum === 0) numbers.delete(key);
  else numbers.set(key, sum);
}

const tooManyLogs = (found: number, limit: number): Fault =>
  new Fault("quota-exceeded", {
    message: `the cluster has ${found} logs, and takes at most ${limit} (--logs-max). Delete a log first`,
    facts: { reason: "TOO_MANY_LOGS", limit, found },
  });

const tooManyOwnLogs = (subject: string, found: number, limit: number): Fault =>
  new Fault("quota-exceeded", {
    message: `"${subject}" has created ${found} logs that are there, and may have at most ${limit} (--subject-logs-max). Delete a log first`,
    facts: { reason: "TOO_MANY_LOGS_OF_SUBJECT", subject, limit, found },
  });

const tooManyBytes = (name: string, subject: string, found: number, limit: number): Fault =>
  new Fault("quota-exceeded", {
    message: `log "${name}" takes no more records now: the logs that "${subject}" created hold ${found} bytes, and may hold at most ${limit} (--subject-log-bytes-max). Trim or delete one of them first`,
    facts: { reason: "TOO_MANY_BYTES_OF_SUBJECT", name, subject, limit, found },
  });

const tooFast = (subject: string, found: number, limit: number): Fault =>
  new Fault("overloaded", {
    message: `"${subject}" has created ${found} logs in this minute, with those that are being created, and may create at most ${limit} (--subject-creates-per-minute). Try again in a minute`,
    facts: { reason: "TOO_MANY_CREATES", subject, limit, found },
  });
