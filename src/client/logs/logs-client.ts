/** The named logs of a cluster: create, look up, list, change, close and delete. */
import { type Client, createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Logs } from "../../gen/log/v1/log_pb.js";
import type { CallOptions } from "../calls/retrying-caller.ts";
import { rpcOptions } from "../calls/rpc-options.ts";
import { optionsOf, signalOf } from "../options.ts";
import { checkedName } from "./log-identity.ts";
import {
  type LogOptions,
  type LogOptionsChange,
  type NamedLogInfo,
  namedLogInfoOf,
  settingsInit,
  updateInit,
} from "./log-options.ts";
import { type LogsTailSettings, type TailedRecord, type TailLogsOptions, tailLogs } from "./logs-tail.ts";

export interface LogCallOptions {
  /** Aborts the call with its reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

export interface CreateLogOptions extends LogCallOptions {
  /** Return a log that exists, if every stated option is so already. Default false: Fault "already-exists". */
  readonly ifNotExists?: boolean | undefined;
}

export interface ChangeLogOptions extends LogCallOptions {
  /**
   * The id that the log must have, as create(), get() and list() return it. If the name means another log by now, the call fails.
   * Default: the id that the name has when the call begins, so the call is about whatever log has the name then.
   */
  readonly id?: string | undefined;
}

export interface ListLogsOptions extends LogCallOptions {
  /** Only names that begin with it. Default: all. */
  readonly prefix?: string | undefined;
}

export type LogsClientOptions = LogsTailSettings;

type Rpcs = Client<typeof Logs>;
type Work<T> = (logs: Rpcs, options: ReturnType<typeof rpcOptions>) => Promise<T>;

export class LogsClient {
  readonly #options: LogsClientOptions;

  constructor(options: LogsClientOptions) {
    this.#options = options;
  }

  /**
   * Creates a log. Options that are absent have the value of the cluster.
   * @throws Fault "already-exists"; "bad-request" for a name or an option that is not valid; "failed-precondition" while a
   *   node of the cluster has no named logs
   */
  async create(name: string, log: LogOptions = {}, options: CreateLogOptions = {}): Promise<NamedLogInfo> {
    const ifNotExists = optionsOf(options).ifNotExists === true;
    const request = { name: checkedName(name), settings: settingsInit(optionsOf(log)), ifNotExists };
    const call = { ...this.#call(options), effect: "write", repeatable: ifNotExists } as const;
    return this.#info(call, (logs, rpc) => logs.createLog(request, rpc));
  }

  /**
   * Checks whether create() would succeed now, and changes nothing. A quota is checked for this log alone.
   * @throws as create()
   */
  async validateCreate(name: string, log: LogOptions = {}, options: CreateLogOptions = {}): Promise<void> {
    const ifNotExists = optionsOf(options).ifNotExists === true;
    const settings = settingsInit(optionsOf(log));
    const request = { name: checkedName(name), settings, ifNotExists, validateOnly: true };
    const call = { ...this.#call(options), purpose: "append", effect: "read" } as const;
    await this.#run(call, (logs, rpc) => logs.createLog(request, rpc));
  }

  /** @throws Fault "not-found" */
  async get(name: string, options: ChangeLogOptions = {}): Promise<NamedLogInfo> {
    const request = named(name, optionsOf(options).id);
    const call = { ...this.#call(options), effect: "read" } as const;
    return this.#info(call, (logs, rpc) => logs.getLog(request, rpc));
  }

  /** Yields the logs that the subject may describe, in the order of the bytes of their names. It reads page by page. */
  async *list(options: ListLogsOptions = {}): AsyncGenerator<NamedLogInfo, void, undefined> {
    const { prefix = "" } = optionsOf<ListLogsOptions>(options);
    let after = "";
    do {
      const call = { ...this.#call(options), purpose: "read", effect: "read" } as const;
      const page = await this.#run(call, (logs, rpc) => logs.listLogs({ prefix, after }, rpc));
      for (const log of page.logs) yield namedLogInfoOf(log);
      after = page.next;
    } while (after !== "");
  }

  /**
   * Changes options. One with the value null gets the value of the cluster again, one that is absent stays.
   * @throws Fault "not-found", "bad-request" also for a `ttlMs` that has passed since the last append, "failed-precondition" if the name means another log
   */
  async update(
    name: string,
    change: LogOptionsChange,
    options: ChangeLogOptions = {},
  ): Promise<NamedLogInfo> {
    const update = updateInit(optionsOf(change));
    const id = await this.#idOf(name, options);
    const call = { ...this.#call(options), effect: "write" } as const;
    return this.#info(call, (logs, rpc) => logs.updateLog({ ...named(name, id), ...update }, rpc));
  }

  /**
   * Checks whether update() would succeed now, and changes nothing.
   * @throws as update()
   */
  async validateUpdate(
    name: string,
    change: LogOptionsChange,
    options: ChangeLogOptions = {},
  ): Promise<void> {
    const update = updateInit(optionsOf(change));
    const id = await this.#idOf(name, options);
    const call = { ...this.#call(options), purpose: "append", effect: "read" } as const;
    const request = { ...named(name, id), ...update, validateOnly: true };
    await this.#run(call, (logs, rpc) => logs.updateLog(request, rpc));
  }

  /**
   * Closes a log: it takes no more records, and its tails end. A closed log stays closed.
   * @throws Fault "not-found", "failed-precondition" if the name means another log
   */
  async close(name: string, options: ChangeLogOptions = {}): Promise<NamedLogInfo> {
    const id = await this.#idOf(name, options);
    const call = { ...this.#call(options), effect: "write", repeatable: true } as const;
    return this.#info(call, (logs, rpc) => logs.closeLog(named(name, id), rpc));
  }

  /**
   * Deletes a log with its records. Its id is never used again.
   * @throws Fault "not-found", "failed-precondition" if the name means another log
   */
  async delete(name: string, options: ChangeLogOptions = {}): Promise<void> {
    const id = await this.#idOf(name, options);
    const isRepeatable = id !== undefined;
    const call = {
      ...this.#call(options),
      purpose: "append",
      effect: "write",
      repeatable: isRepeatable,
    } as const;
    try {
      await this.#run(call, (logs, rpc) => logs.deleteLog(named(name, id), rpc));
    } catch (reason) {
      if (!isRepeatable || !isGone(reason)) throw reason;
    }
  }

  /**
   * Reads the records of several logs in the order in which the cluster appended them, and goes on with new ones. If a node
   * fails, it continues at another one, without loss or duplicates.
   * @throws as tailLogs()
   */
  tail(options: TailLogsOptions): AsyncGenerator<TailedRecord, void, undefined> {
    return tailLogs(options, this.#options);
  }

  /** Undefined if the subject may change the log and not describe it. */
  async #idOf(name: string, options: ChangeLogOptions): Promise<string | undefined> {
    const { id } = optionsOf<ChangeLogOptions>(options);
    if (id !== undefined) return id;
    try {
      return (await this.get(name, options)).id;
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "permission-denied") return undefined;
      throw reason;
    }
  }

  async #info(
    call: Omit<CallOptions, "purpose">,
    work: Work<{ readonly log?: Parameters<typeof namedLogInfoOf>[0] | undefined }>,
  ): Promise<NamedLogInfo> {
    const { log } = await this.#run({ ...call, purpose: "append" }, work);
    if (log !== undefined) return namedLogInfoOf(log);
    throw new Fault("unimplemented", { message: "the node did not send the log" });
  }

  #run<T>(call: CallOptions, work: Work<T>): Promise<T> {
    return this.#options.caller.call(call, (attempt) =>
      work(createClient(Logs, attempt.transport), rpcOptions(attempt)),
    );
  }

  #call(options: LogCallOptions): Pick<CallOptions, "deadlineMs" | "attemptMs" | "signal"> {
    const { clock, limits } = this.#options;
    const signal = signalOf(optionsOf(options).signal);
    return { deadlineMs: clock.monotonicMs() + limits.callMs, attemptMs: limits.attemptMs, signal };
  }
}

const named = (name: string, logId: string | undefined): { name: string; logId?: string } =>
  logId === undefined ? { name: checkedName(name) } : { name: checkedName(name), logId };

/** A repeated delete: an earlier attempt may have deleted the log, and now it is gone. */
const isGone = (reason: unknown): boolean =>
  reason instanceof Fault &&
  reason.written === "unknown" &&
  (reason.kind === "not-found" || reason.facts.reason === "ANOTHER_LOG");
