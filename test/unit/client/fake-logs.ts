/** The logs of a FakeCluster: `default`, and named logs with ids. */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectErrorOf } from "../../../src/api/calls/error-mapping.ts";
import { Fault } from "../../../src/fault.ts";
import { type LogInfo, LogInfoSchema, LogSettingsSchema, type Logs } from "../../../src/gen/log/v1/log_pb.js";
import { ProducerTable } from "../../../src/log/state/producer-table.ts";
import { MemoryLog } from "../../support/log/memory-log.ts";

export class FakeLog {
  readonly log: MemoryLog;
  readonly table = new ProducerTable();
  /** Empty for `default`. */
  readonly id: string;
  readonly name: string;
  settings = create(LogSettingsSchema);
  isClosed = false;
  batches = 0;

  constructor(name: string, number: number) {
    this.name = name;
    this.id = number === 0 ? "" : `7-${number}`;
    this.log = new MemoryLog(number);
  }

  async info(): Promise<LogInfo> {
    const { lowest, next } = await this.log.bounds();
    return create(LogInfoSchema, {
      name: this.name,
      logId: this.id,
      settings: this.settings,
      lowestOffset: BigInt(lowest),
      nextOffset: BigInt(next),
      closed: this.isClosed,
    });
  }
}

interface StatedLog {
  readonly log?: string;
  readonly name?: string;
  readonly logId?: string | undefined;
}

export class FakeLogs {
  readonly default = new FakeLog("default", 0);
  readonly named = new Map<string, FakeLog>();
  #last = 0;

  create(name: string): FakeLog {
    const log = new FakeLog(name, ++this.#last);
    this.named.set(name, log);
    return log;
  }

  /** The log that a request names. @throws Fault "not-found", "failed-precondition" */
  open({ log = "", name = log, logId }: StatedLog): FakeLog {
    if (name === "" || name === "default") return this.default;
    const found = this.named.get(name);
    if (found === undefined) throw new Fault("not-found", { facts: { name, reason: "NO_SUCH_LOG" } });
    if (logId === undefined || logId === found.id) return found;
    throw new Fault("failed-precondition", { facts: { name, reason: "ANOTHER_LOG" } });
  }

  /** The RPCs. `before` is called with the name of each one. */
  service(before: (rpc: string) => void): Partial<ServiceImpl<typeof Logs>> {
    const answer = async <T>(rpc: string, work: () => Promise<T>): Promise<T> => {
      try {
        before(rpc);
        return await work();
      } catch (reason) {
        throw connectErrorOf(reason);
      }
    };
    return {
      createLog: ({ name, settings, ifNotExists }) =>
        answer("createLog", async () => {
          const known = this.named.get(name);
          if (known !== undefined && !ifNotExists) throw new Fault("already-exists", { facts: { name } });
          const log = known ?? this.create(name);
          if (known === undefined && settings !== undefined) log.settings = settings;
          return { log: await log.info(), created: known === undefined };
        }),
      getLog: (request) => answer("getLog", async () => ({ log: await this.open(request).info() })),
      listLogs: ({ prefix, after }) =>
        answer("listLogs", async () => {
          const names = [...this.named.keys()].sort().filter((name) => name > after);
          const [name, next] = names; // pages of one log, of which some are empty
          if (name === undefined) return { logs: [], next: "" };
          const logs = name.startsWith(prefix) ? [await this.named.get(name)!.info()] : [];
          return { logs, next: next === undefined ? "" : name };
        }),
      updateLog: (request) =>
        answer("updateLog", async () => {
          const log = this.open(request);
          const given = request.settings ?? create(LogSettingsSchema);
          const paths = request.updateMask?.paths ?? [];
          const changed = create(LogSettingsSchema, log.settings);
          if (paths.includes("max_bytes")) set(changed, "maxBytes", given.maxBytes);
          if (paths.includes("record_bytes_max")) set(changed, "recordBytesMax", given.recordBytesMax);
          if (paths.includes("content_type")) set(changed, "contentType", given.contentType);
          log.settings = changed;
          return { log: await log.info() };
        }),
      closeLog: (request) =>
        answer("closeLog", async () => {
          const log = this.open(request);
          log.isClosed = true;
          log.log.endTails();
          return { log: await log.info() };
        }),
      deleteLog: (request) =>
        answer("deleteLog", async () => {
          this.named.delete(this.open(request).name);
          return {};
        }),
    };
  }
}

function set<T extends object, K extends keyof T>(target: T, key: K, value: T[K] | undefined): void {
  if (value === undefined) delete target[key];
  else target[key] = value;
}
