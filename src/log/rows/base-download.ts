/**
 * The base file of a leader, on its way into this directory. It arrives piece by piece in `<index>.rows.part`, which a later
 * attempt continues, and is checked before the log uses it.
 *
 *   arriving → held: whole and sound → place(): it has its name → used(): the log begins with it
 *                  ↘ released(): Raft did not accept the snapshot
 *
 * Once Raft accepted a snapshot, the log must be reset to its start. So a file that is held is not replaced by another one,
 * however long a full disk delays the reset.
 */
import { Fault } from "../../fault.ts";
import { type DiskFile, syncFileAside, syncNames } from "../../lib/disk/disk.ts";
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

const partPath = (place: BasePlace, index: RaftIndex): string => `${basePath(place, index)}.part`;

/** A file that the log is about to use. */
interface HeldBase extends BaseRef {
  /** The start of the last snapshot with this file that Raft accepted; undefined until it decided. */
  acceptedTo: RaftIndex | undefined;
}

export class BaseDownload {
  readonly #place: BasePlace;
  readonly #clock: Clock | undefined;
  /** The file of which this process has written the first `done` bytes. */
  #part: (BaseRef & { done: number }) | undefined;
  #held: HeldBase | undefined;
  #isRunning = false;

  constructor(place: BasePlace, clock: Clock | undefined) {
    this.#place = place;
    this.#clock = clock;
  }

  /**
   * Fetches and checks the base file of a start. Resolves to false if another one is being fetched or is held. After true, the
   * caller passes the snapshot to Raft and calls accepted() or released(), in the same turn of the event loop.
   * @throws Fault "corrupt" for a file that is not that of the start; what `ask` rejects with; the error of the disk
   */
  async fetch(start: LogStart, ask: AskForBase): Promise<boolean> {
    const { rows } = start;
    if (!isBaseRef(rows)) return true;
    if (this.#held !== undefined) return isSame(this.#held, rows);
    if (this.#isRunning) return false;
    this.#isRunning = true;
    try {
      await this.#fetch(rows, ask);
      await this.#check(start, rows);
      this.#held = { index: rows.index, bytes: rows.bytes, acceptedTo: undefined };
      return true;
    } finally {
      this.#isRunning = false;
    }
  }

  /** Raft accepted a snapshot with this start: its file is held until the log was reset to it. */
  accepted({ end, rows }: LogStart): void {
    if (this.#holds(rows)) this.#held!.acceptedTo = end.index;
  }

  /** Raft did not accept a snapshot with this start. An earlier one with the same file still counts. */
  released({ rows }: LogStart): void {
    if (this.#holds(rows) && this.#held!.acceptedTo === undefined) this.#held = undefined;
  }

  /** The index of the file that is held; 0 for none. It must not be removed under its name either. */
  get heldIndex(): RaftIndex {
    return this.#held?.index ?? 0;
  }

  /** Gives the fetched file its name. @throws Fault "corrupt" if it is not there; the error of the disk */
  place(ref: BaseRef): RaftIndex {
    const { disk, directory } = this.#place;
    const { index } = ref;
    const part = partPath(this.#place, index);
    // Otherwise it has its name already, and another file may be arriving.
    if (this.#holds(ref) && this.#isOf(ref)) {
      if (disk.exists(part)) disk.rename(part, basePath(this.#place, index));
      syncNames(disk, directory);
      this.#part = undefined;
    }
    const base = openBaseAt(this.#place, index);
    base.close();
    return index;
  }

  /** The log was reset to this start. A later start can have the same file again. */
  used({ end }: LogStart): void {
    const { acceptedTo } = this.#held ?? {};
    if (acceptedTo !== undefined && acceptedTo <= end.index) this.#held = undefined;
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
      for (const _ of checkStartRows({ ...start, rows }, index)) {
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

  #holds(rows: LogStart["rows"]): boolean {
    return isBaseRef(rows) && isSame(this.#held, rows);
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
