/**
 * The base file of a leader, on its way into this directory. It arrives piece by piece in `<index>.rows.part`, which a later
 * attempt continues, and is checked before the log uses it.
 */
import { Fault } from "../../fault.ts";
import { certain, type DiskFile, syncFileAside, syncNames } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RaftIndex } from "../../types.ts";
import { checkStartRows } from "../recovery/log-start.ts";
import type { BaseRef, LogStart } from "../segment/catalog.ts";
import { type BasePlace, basePath, isBaseRef, openBaseAt } from "./base-files.ts";

/** Returns these bytes of the leader's base file. */
export type AskForBase = (index: RaftIndex, position: number, bytes: number) => Promise<Uint8Array>;

/** What one request asks for. */
const pieceBytes = 1024 * 1024;
/** Other work runs after this time. */
const sliceMs = 3;

/** A file that is whole waits this long for the log. Raft may have refused its snapshot. */
const useMs = 30_000;

const partPath = (place: BasePlace, index: RaftIndex): string => `${basePath(place, index)}.part`;

export class BaseDownload {
  readonly #place: BasePlace;
  readonly #clock: Clock | undefined;
  /** The file of which this process has written the first `done` bytes. */
  #part: (BaseRef & { done: number }) | undefined;
  /** The last file that got its name: the log is about to be replaced by its start, or is it. */
  #placed: BaseRef | undefined;
  /** When the part was whole and sound, on the monotonic clock: the log is about to use it. */
  #soundMs: number | undefined;
  #isRunning = false;

  constructor(place: BasePlace, clock: Clock | undefined) {
    this.#place = place;
    this.#clock = clock;
  }

  /**
   * Fetches and checks the base file of a start. Resolves to false if another one is being fetched, or waits for the log to use it.
   * @throws Fault "corrupt" for a file that is not that of the start; what `ask` rejects with; the error of the disk
   */
  async fetch(start: LogStart, ask: AskForBase): Promise<boolean> {
    const { rows } = start;
    if (!isBaseRef(rows)) return true;
    if (this.#isRunning || isSame(this.#placed, rows)) return false;
    if (this.#soundMs !== undefined) {
      if (this.#isOf(rows)) return true;
      if (this.#nowMs() - this.#soundMs < useMs) return false;
      this.#soundMs = undefined;
    }
    this.#isRunning = true;
    this.#placed = undefined;
    try {
      await this.#fetch(rows, ask);
      await this.#check(start, rows);
      this.#soundMs = this.#nowMs();
      return true;
    } finally {
      this.#isRunning = false;
    }
  }

  /** Gives the fetched file its name. @throws Fault "corrupt" if it is not there; the error of the disk */
  place(ref: BaseRef): RaftIndex {
    const { disk, directory } = this.#place;
    const { index } = ref;
    const part = partPath(this.#place, index);
    // Otherwise it has its name already, and another file may be arriving.
    if (this.#isOf(ref)) {
      if (this.#soundMs !== undefined && disk.exists(part)) {
        disk.rename(part, basePath(this.#place, index));
        certain(() => syncNames(disk, directory));
      }
      this.#part = undefined;
      this.#soundMs = undefined;
    }
    this.#placed = { ...ref };
    const base = openBaseAt(this.#place, index);
    base.close();
    return index;
  }

  /** The log was reset to its start. A later start can have the same file again. */
  used(): void {
    this.#placed = undefined;
  }

  async #fetch({ index, bytes }: BaseRef, ask: AskForBase): Promise<void> {
    const file = this.#open(index, bytes);
    const part = this.#part!;
    try {
      while (part.done < bytes) {
        const wanted = Math.min(pieceBytes, bytes - part.done);
        const piece = await ask(index, part.done, wanted);
        if (piece.length !== wanted) throw notTheBase(index, "length");
        await file.writeAsync(piece, part.done);
        part.done += wanted;
      }
      await syncFileAside(file);
    } catch (reason) {
      // What a failed sync leaves is unknown. A node that sent a wrong piece may have sent others.
      if (part.done === bytes || (reason instanceof Fault && reason.kind === "corrupt"))
        this.#part = undefined;
      throw reason;
    } finally {
      file.close();
    }
  }

  /** Opens the part that another attempt has begun, or begins one. */
  #open(index: RaftIndex, bytes: number): DiskFile {
    const { disk, directory } = this.#place;
    const path = partPath(this.#place, index);
    const continues = this.#isOf({ index, bytes }) && disk.exists(path);
    if (continues) return disk.open(path, "write");
    for (const name of disk.list(directory))
      if (name.endsWith(".rows.part")) disk.remove(`${directory}/${name}`);
    this.#part = { index, bytes, done: 0 };
    return disk.open(path, "create");
  }

  async #check(start: LogStart, { index }: BaseRef): Promise<void> {
    const rows = this.#place.disk.open(partPath(this.#place, index), "read");
    try {
      let untilMs = this.#nowMs() + sliceMs;
      for (const _ of checkStartRows({ ...start, rows })) {
        if (this.#clock === undefined || this.#nowMs() < untilMs) continue;
        await new Promise<void>((resolve) => this.#clock!.soon(resolve));
        untilMs = this.#nowMs() + sliceMs;
      }
    } catch (reason) {
      // It is fetched again from its beginning.
      this.#part = undefined;
      throw reason;
    } finally {
      rows.close();
    }
  }

  #isOf(ref: BaseRef): boolean {
    return isSame(this.#part, ref);
  }

  #nowMs(): number {
    return this.#clock?.monotonicMs() ?? 0;
  }
}

const isSame = (one: BaseRef | undefined, { index, bytes }: BaseRef): boolean =>
  one?.index === index && one.bytes === bytes;

const notTheBase = (index: RaftIndex, why: string): Fault =>
  new Fault("corrupt", {
    message: `the base file ${index} of the leader is malformed (${why})`,
    facts: { why: "rows", part: why },
  });
