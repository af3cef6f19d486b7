/**
 * A database of rows: reads on the main thread, writes in the worker. After each write the worker moves the write-ahead log
 * into the database. Meanwhile this file syncs the database again and again, so that no single sync has much to do.
 */
import { assert } from "../../lib/assert.ts";
import { type Disk, type DiskFile, DiskUncertain, syncFileAside } from "../../lib/disk/disk.ts";
import { type Clock, within } from "../../lib/time/clock.ts";
import { ownerRow } from "../row-codec.ts";
import type {
  DueRow,
  FoundRow,
  OwnerChange,
  RowChange,
  RowDatabase,
  RowsHead,
  RowsIdentity,
  StoredRow,
} from "../rows.ts";
import { checkFiles } from "./check-files.ts";
import { RowReader } from "./row-reader.ts";
import { RowWriter } from "./row-writer.ts";
import { damagedRows } from "./schema.ts";
import type { WorkerLink } from "./worker-link.ts";

/** Between two syncs while the write-ahead log is moved. */
const syncEveryMs = 20;

export interface SqliteRowsOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly worker: WorkerLink;
  readonly path: string;
  readonly identity: RowsIdentity;
  readonly indexMin: number;
  /** Called once it is closed. */
  readonly closed: () => void;
}

export class SqliteRows implements RowDatabase {
  readonly #options: SqliteRowsOptions;
  readonly #reader: RowReader;
  /** Never closed before SQLite's connections: that would release their locks (fcntl(2)). */
  #file: DiskFile | undefined;
  #head: RowsHead;
  #writes: Promise<unknown> = Promise.resolve();
  #usesWorker = false;
  #failed: DiskUncertain | undefined;

  /** See RowStore.open(). */
  constructor(options: SqliteRowsOptions) {
    const { disk, path, identity, indexMin } = options;
    this.#options = options;
    checkFiles(disk, path);
    this.#reader = new RowReader(disk, path);
    try {
      const found = this.#reader.head();
      const isOwn =
        found.identity.generation === identity.generation &&
        Buffer.compare(found.identity.directoryId, identity.directoryId) === 0;
      if (!isOwn) throw damagedRows(path, "foreign");
      if (found.head.index < indexMin) throw damagedRows(path, "rolled-back");
      this.#head = found.head;
    } catch (reason) {
      this.#reader.close();
      throw reason;
    }
  }

  get generation(): number {
    return this.#options.identity.generation;
  }

  get head(): RowsHead {
    return this.#head;
  }

  row(id: number): StoredRow | undefined {
    return this.#reader.row(id);
  }

  named(name: string): StoredRow | undefined {
    return this.#reader.named(name);
  }

  namesFrom(prefix: string, after: string, limit: number): readonly string[] {
    return this.#reader.namesFrom(prefix, after, limit);
  }

  owner(owner: string): Uint8Array | undefined {
    return this.#reader.owner(owner);
  }

  due(ms: number, after: DueRow | undefined, limit: number): readonly DueRow[] {
    return this.#reader.due(ms, after, limit);
  }

  rowsAfter(afterId: number, limit: number): readonly FoundRow[] {
    return this.#reader.rowsAfter(afterId, limit);
  }

  writeNow(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): void {
    const { disk, path, identity } = this.#options;
    const [rows, owners]: [RowChange[], StoredRow[]] = [[], []];
    for (const change of changes) {
      if ("owner" in change) owners.push(ownerRow(change));
      else rows.push(change);
    }
    const writer = new RowWriter(disk, path);
    try {
      writer.write(identity, { rows, owners }, head);
      this.#head = this.#reader.head().head;
      writer.checkpoint();
    } finally {
      writer.close();
    }
  }

  scrubNow(after: number): number | undefined {
    return this.#reader.scrub(after);
  }

  write(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): Promise<void> {
    const written = this.#writes.then(() => this.#write(changes, head));
    // Also after a failure: what the transaction wrote to the log would occupy the space of a full disk.
    this.#writes = written.catch(() => {}).then(() => this.#checkpoint());
    return written;
  }

  async scrub(after: number): Promise<number | undefined> {
    const { worker, path, identity } = this.#options;
    this.#usesWorker = true;
    return worker.run({ kind: "scrub", path, identity, after });
  }

  async close(): Promise<void> {
    await this.#writes;
    const { worker, path } = this.#options;
    try {
      if (this.#usesWorker) await worker.run({ kind: "close", path });
    } finally {
      // Also if the worker has ended: its connection ended with it.
      this.closeNow();
    }
  }

  closeNow(): void {
    this.#reader.close();
    this.#file?.close();
    this.#options.closed();
  }

  async #write(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    assert(head.index >= this.#head.index, "the index of the rows does not decrease");
    const { worker, path, identity } = this.#options;
    this.#usesWorker = true;
    try {
      await worker.run({ kind: "write", path, identity, head }, changes);
    } catch (reason) {
      if (reason instanceof DiskUncertain) this.#failed = reason;
      throw reason;
    }
    const seen = this.#reader.head().head;
    assert(seen.index === head.index, "a connection sees what another one has committed");
    this.#head = seen;
  }

  /** If it fails, the rows are durable in the write-ahead log, and the next write does it. */
  async #checkpoint(): Promise<void> {
    if (this.#failed !== undefined) return;
    const { worker, path, clock, disk } = this.#options;
    const moved = worker.run({ kind: "checkpoint", path });
    try {
      while ((await within(clock, moved, syncEveryMs)) === "late") {
        this.#file ??= disk.open(path, "write");
        await syncFileAside(this.#file);
      }
    } catch (reason) {
      if (reason instanceof DiskUncertain) this.#failed = reason;
    }
    await moved.catch(() => {});
  }
}
