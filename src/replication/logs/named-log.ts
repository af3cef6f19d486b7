/**
 * A named log as the CommitLog of one request. The name is resolved once; then the id counts, so no record of an older or
 * newer log of the same name is ever shown or written.
 */
import type { Fault } from "../../fault.ts";
import { type LogRow, type LogView, shown } from "../../log/mod.ts";
import type {
  Appended,
  AppendOptions,
  BatchSlice,
  Bounds,
  CommitLog,
  Freshness,
  LogDescription,
  LogRef,
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../../types.ts";
import type { LogReads } from "../log-reads.ts";
import {
  anotherLife,
  anotherLog,
  deletedMeanwhile,
  isOtherLife,
  keptForForks,
  noSuchLog,
} from "./log-refusals.ts";

export interface NamedLogPorts {
  /** The committed row of this name on this node, also of a log that is only kept for its forks. */
  readonly row: (name: string) => LogRow | undefined;
  /** The life of the cluster, as this node has applied it. 0 before the first log. */
  readonly life: () => number;
  readonly view: (row: LogRow) => LogView;
  readonly reads: (view: LogView) => LogReads;
  /** Resolves when the name can be resolved here as fresh as it was asked for. */
  readonly beforeName: (freshness: Freshness) => Promise<void>;
  /** Resolves once everything acknowledged before the call is applied here. */
  readonly confirm: (freshness: Freshness) => Promise<void>;
  readonly append: (run: RecordRun, options: AppendOptions) => Promise<Appended>;
  readonly trim: (log: LogRef, before: Offset, options: AppendOptions) => Promise<Offset>;
  readonly describe: () => Promise<Pick<LogDescription, "sync" | "diskFreeBytes" | "space">>;
}

export class NamedLog implements CommitLog {
  readonly #ports: NamedLogPorts;
  readonly #statesId: boolean;
  #ref: LogRef;

  constructor(ports: NamedLogPorts, ref: LogRef) {
    this.#ports = ports;
    this.#statesId = ref.id !== undefined;
    this.#ref = ref;
  }

  /** The log, with its id once that is known. */
  get ref(): LogRef {
    return this.#ref;
  }

  async append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    const appended = await this.#ports.append(run, { ...options, log: this.#ref });
    if (appended.logId !== undefined) this.#ref = { ...this.#ref, id: appended.logId };
    return appended;
  }

  async read(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    return (await this.#reads(freshness)).read(offset, afterName(freshness));
  }

  async readRecord(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    return (await this.#reads(freshness)).readRecord(offset, afterName(freshness));
  }

  recordBytes(offset: Offset): number {
    const row = this.#rowHere();
    return row === undefined ? 0 : this.#ports.reads(this.#ports.view(row)).recordBytes(offset);
  }

  async bounds(freshness: Freshness = {}): Promise<Bounds> {
    return (await this.#reads(freshness)).bounds(afterName(freshness));
  }

  async seek(start: ReadStart, freshness: Freshness = {}): Promise<Offset> {
    return (await this.#reads(freshness)).seek(start, afterName(freshness));
  }

  /** seek() or another read has resolved the name before. @throws Fault "not-found" if the log is not there any more */
  follow(offset: Offset): Tail {
    const row = this.#rowHere();
    if (row === undefined) throw this.#refusal();
    return this.#ports.reads(this.#ports.view(row)).follow(offset);
  }

  trim(before: Offset, options: AppendOptions = {}): Promise<Offset> {
    return this.#ports.trim(this.#ref, before, options);
  }

  async describe(): Promise<LogDescription> {
    const { lowest, next, bytes } = await this.row();
    const { sync, diskFreeBytes, space } = await this.#ports.describe();
    return { lowest, next, bytes, segments: [], sync, diskFreeBytes, space };
  }

  /**
   * Resolves the name. A node that lags refuses neither the name nor the stated id or life: it looks again with everything
   * that is acknowledged. For a fresh read it does so first, because the name may mean a newer log.
   * @throws Fault "not-found", also if the log was deleted since this object resolved its name; "failed-precondition" if the
   *   name means another log than the stated one, and for another life
   */
  async row(freshness: Freshness = {}): Promise<LogRow> {
    await this.#ports.beforeName(freshness);
    let row = this.#rowHere();
    if (row === undefined) {
      await this.#ports.confirm(freshness);
      row = this.#rowHere();
    }
    if (row === undefined) throw this.#refusal();
    this.#ref = { ...this.#ref, id: row.id };
    return row;
  }

  #refusal(): Fault {
    const { name, id, life } = this.#ref;
    const { row, life: lifeHere } = this.#ports;
    if (isOtherLife(life, lifeHere())) return anotherLife(name, life, lifeHere());
    const found = row(name);
    if (found?.deleted === true && (id === undefined || found.id === id))
      return keptForForks(name, "not-found");
    if (found === undefined) return noSuchLog(name);
    return this.#statesId ? anotherLog(name) : deletedMeanwhile(name);
  }

  /** The committed row here, unless it is that of another log. */
  #rowHere(): LogRow | undefined {
    const { name, id, life } = this.#ref;
    if (life !== undefined && life !== this.#ports.life()) return undefined;
    const row = shown(this.#ports.row(name));
    return row === undefined || id === undefined || row.id === id ? row : undefined;
  }

  async #reads(freshness: Freshness): Promise<LogReads> {
    return this.#ports.reads(this.#ports.view(await this.row(freshness)));
  }
}

/** How fresh a read must be once its name was resolved. What made the name fresh holds for the records too. */
function afterName(freshness: Freshness): Freshness {
  const { mode = "session", seen } = freshness;
  return mode === "session" && seen === undefined ? freshness : { ...freshness, mode: "any" };
}
