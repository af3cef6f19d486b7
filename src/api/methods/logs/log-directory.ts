/**
 * Finds the log that a request names. The caller's permission for that log is checked first: only a caller who holds it
 * learns whether the log exists.
 *
 *   name → valid? → permission for it → log, or the reference of an append
 *
 * A name that a stream uses keeps the id of the first acknowledged append until the stream ends. So a stream uses at most 256
 * names without an id, and any number with one.
 *
 * A stated id is compared where the log is looked up, with everything that is acknowledged: by the leader for a write.
 */
import { logObject } from "../../../access/mod.ts";
import { Fault } from "../../../fault.ts";
import type { CursorPage } from "../../../lib/names/cursor-info.ts";
import { defaultLog, namedLogOf } from "../../../lib/names/log-name.ts";
import type {
  Bounds,
  CommitLog,
  Freshness,
  LogCatalog,
  LogId,
  LogInfo,
  LogPage,
  LogRef,
  MultiTail,
  Offset,
} from "../../../types.ts";
import { type Call, type CallTracker, decisionsOfTurn } from "../../calls/call-tracker.ts";
import type { AskedLogs } from "../tails/asked-logs.ts";
import { type ListPlan, listLogs, rangesFrom } from "./list-logs.ts";
import { logIdText, parseLogId, type StatedId } from "./log-id.ts";
import { seenToken } from "./seen-token.ts";

/** How a request names its log. */
export interface LogInRequest {
  readonly log: string;
  readonly logId?: string | undefined;
}

/** The log of a read. */
export interface OpenedLog {
  readonly log: CommitLog;
  /** Undefined for `default`. */
  readonly logId: string | undefined;
  /** The setting of a named log. */
  readonly contentType?: string | undefined;
  /** Returns what this node shows of a named log now, as the token of a session. */
  token(): string | undefined;
}

/** A log and its extent. */
export interface LogExtent extends Bounds {
  readonly name: string;
  /** 0 for `default`. */
  readonly id: LogId;
  /** The id as clients see it. Undefined for `default`. */
  readonly logId: string | undefined;
}

/** The object of the permission to do something with a log. */
export const objectOfLog = (name: string): string => (name === defaultLog ? logObject : name);

/** Names that one stream may use without the id. Each keeps its id until the stream ends. */
export const resolvedMax = 256;

export interface LogDirectoryOptions {
  readonly log: CommitLog;
  readonly named: LogCatalog | undefined;
  readonly calls: Pick<CallTracker, "useLog" | "useLogs" | "mayUse" | "patternsOf" | "deny" | "beginTail">;
}

export class LogDirectory {
  readonly #default: OpenedLog;
  readonly #named: LogCatalog | undefined;
  readonly #calls: LogDirectoryOptions["calls"];

  constructor({ log, named, calls }: LogDirectoryOptions) {
    this.#default = { log, logId: undefined, token: () => undefined };
    this.#named = named;
    this.#calls = calls;
  }

  /** @throws Fault "unimplemented" */
  get named(): LogCatalog {
    if (this.#named !== undefined) return this.#named;
    throw noNamedLogs();
  }

  /**
   * Returns the log of a write. Undefined: `default`, unless its id is stated in a life that this node does not know. In a
   * stream, a name means the same log until its end: from the first append to it that was acknowledged on.
   * @throws Fault "bad-request", also for the 257th name of a stream without an id; "permission-denied", "failed-precondition" for an id that `default` never has
   */
  refFor(call: Call, request: LogInRequest): LogRef | undefined {
    const name = this.#use(call, request);
    if (name === undefined) {
      const stated = this.#unknownDefault(request);
      return stated === undefined ? undefined : { name: defaultLog, ...stated };
    }
    if (request.logId !== undefined) return { name, ...parseLogId(request.logId) };
    keepName(call, name);
    return pinned(call, { name });
  }

  /**
   * Opens the log of a read.
   * @throws as refFor(); rejects with Fault "not-found"
   */
  openFor(call: Call, request: LogInRequest, freshness: Freshness): OpenedLog | Promise<OpenedLog> {
    const name = this.#use(call, request);
    if (name !== undefined) return this.#openNamed(name, request.logId, freshness);
    const stated = this.#unknownDefault(request);
    if (stated === undefined) return this.#default;
    return this.named.checkLife(stated.life, freshness).then(() => this.#default);
  }

  /** Returns the description of a log, after the same checks. Undefined: `default`. */
  async infoFor(call: Call, request: LogInRequest, freshness: Freshness): Promise<LogInfo | undefined> {
    const name = this.#use(call, request);
    if (name === undefined) {
      const stated = this.#unknownDefault(request);
      if (stated !== undefined) await this.named.checkLife(stated.life, freshness);
      return undefined;
    }
    return (await this.#resolve(name, request.logId, freshness)).info;
  }

  /** Returns the extent of a log, after the same checks. */
  async extentFor(call: Call, request: LogInRequest, freshness: Freshness): Promise<LogExtent> {
    const info = await this.infoFor(call, request, freshness);
    if (info === undefined)
      return { name: defaultLog, id: 0, logId: undefined, ...(await this.#default.log.bounds(freshness)) };
    const { name, id, life, lowest, next } = info;
    return { name, id, logId: logIdText(life, id), lowest, next };
  }

  /** Returns a page of the logs to which the caller may do what the method does. */
  list(
    call: Call,
    page: Pick<ListPlan, "prefix" | "after" | "limit">,
    turn: () => Promise<void>,
  ): Promise<LogPage> {
    const patterns = this.#calls.patternsOf(call);
    const may = (name: string): boolean => this.#calls.mayUse(call, name);
    return listLogs(this.named, { ...page, patterns, may, turn });
  }

  /**
   * Opens a tail of several logs. The permission for each named log is checked; of the logs of a prefix, those are shown that
   * the caller may read.
   * @throws Fault "permission-denied", also for a prefix under which the caller may read nothing; as LogCatalog.follow()
   */
  async followFor(call: Call, asked: AskedLogs, freshness: Freshness): Promise<MultiTail> {
    const { named } = this;
    if ("names" in asked) {
      await this.#calls.useLogs(
        call,
        asked.names.map(({ log }) => objectOfLog(log)),
      );
      const tail = await named.follow({ names: asked.names.map(statedRef) }, asked.start, freshness);
      const names = new Set(asked.names.map(({ log }) => log));
      this.#calls.beginTail(call, { reads: (name) => names.has(name) });
      return tail;
    }
    const { prefix, start } = asked;
    const patterns = this.#calls.patternsOf(call);
    const isRefused = patterns !== undefined && rangesFrom(patterns, prefix, "").next().done === true;
    if (isRefused) this.#calls.deny(call, `${prefix}*`);
    const may = (name: string): boolean => this.#calls.mayUse(call, name);
    const tail = await named.follow({ prefix, may, asksMax: decisionsOfTurn(patterns) }, start, freshness);
    const reads = (name: string): boolean => name !== defaultLog && name.startsWith(prefix) && may(name);
    this.#calls.beginTail(call, { reads });
    return tail;
  }

  /** The first cursors of a log, 0 for `default`, and how many it has. */
  firstCursors(id: LogId, limit: number): Pick<CursorPage, "cursors" | "count"> {
    return this.#named?.cursors(id, "", limit) ?? { cursors: [], count: 0 };
  }

  mayDescribe(call: Call, name: string): boolean {
    return this.#calls.mayUse(call, objectOfLog(name), "describe");
  }

  /** The id of a log as clients see it. Undefined for `default`, and while the life of the cluster is not known here. */
  idText(id: LogId | undefined): string | undefined {
    if (id === undefined) return undefined;
    const life = this.#named?.life ?? 0;
    return life === 0 ? undefined : logIdText(life, id);
  }

  /** The token of a session that has seen a log up to `next`; undefined for `default`, and if this node does not show it. */
  tokenOf(id: LogId | undefined, next: Offset): string | undefined {
    const index = id === undefined ? undefined : this.#named?.seenIndex(id, next);
    return index === undefined ? undefined : seenToken({ life: this.named.life, index });
  }

  /** The id of a log that was just changed; undefined if it is gone by now, and for `default`. */
  async idOf(ref: LogRef | undefined): Promise<string | undefined> {
    if (ref === undefined) return undefined;
    const info = this.named.open(ref).info({ mode: "any" });
    return info.then(({ id }) => this.idText(id)).catch(() => undefined);
  }

  /** Checks name and permission. Returns undefined for `default`. */
  #use(call: Call, { log }: LogInRequest): string | undefined {
    const name = log === "" ? undefined : namedLogOf(log);
    this.#calls.useLog(call, name ?? logObject);
    if (name !== undefined && this.#named === undefined) throw noNamedLogs();
    return name;
  }

  /**
   * Returns the stated id of `default` if it is of a life that this node does not know.
   * @throws Fault "bad-request"; "failed-precondition" for a number other than 0, which `default` has in every life
   */
  #unknownDefault({ logId }: LogInRequest): StatedId | undefined {
    if (logId === undefined) return undefined;
    const stated = parseLogId(logId);
    if (stated.id === 0) return stated.life === (this.#named?.life ?? 0) ? undefined : stated;
    throw new Fault("failed-precondition", {
      message: `the stated id is not that of log "${defaultLog}"`,
      facts: { name: defaultLog, reason: "ANOTHER_LOG" },
    });
  }

  async #openNamed(name: string, logId: string | undefined, freshness: Freshness): Promise<OpenedLog> {
    const { log, info } = await this.#resolve(name, logId, freshness);
    const { contentType } = info.settings;
    const token = (): string | undefined => this.tokenOf(info.id, 0);
    return { log, logId: logIdText(info.life, info.id), contentType, token };
  }

  async #resolve(name: string, logId: string | undefined, freshness: Freshness) {
    const log = this.named.open(logId === undefined ? { name } : { name, ...parseLogId(logId) });
    return { log, info: await log.info(freshness) };
  }
}

const noNamedLogs = (): Fault => new Fault("unimplemented", { message: "this node has no named logs" });

/** The log with the id that it must have. */
function statedRef({ log: name, logId }: LogInRequest): LogRef {
  return logId === undefined ? { name } : { name, ...parseLogId(logId, "log_ids") };
}

/** Stores the id of a log that a stream has appended to. The name has its place since refFor(). */
export function pin(call: Call, name: string, id: LogId): void {
  if (call.resolved?.has(name) === true && call.resolved.get(name) === undefined) call.resolved.set(name, id);
}

/** Adds the id that the name has had in this stream. */
export function pinned(call: Call, ref: LogRef): LogRef {
  if (call.resolved === undefined || ref.id !== undefined) return ref;
  const id = call.resolved.get(ref.name);
  return id === undefined ? ref : { name: ref.name, id };
}

/**
 * Keeps a place for the id of this name until the stream ends.
 * @throws Fault "bad-request" for one name more than a stream may use without the id
 */
function keepName(call: Call, name: string): void {
  if (call.order === undefined || call.resolved?.has(name) === true) return;
  call.resolved ??= new Map();
  if (call.resolved.size >= resolvedMax) {
    throw new Fault("bad-request", {
      message: `a stream uses at most ${resolvedMax} logs by name alone, and "${name}" is one more. State log_id, or begin another stream`,
      facts: { field: "log" },
    });
  }
  call.resolved.set(name, undefined);
}
