/** The databases and base files of a data directory, with SQLite and a worker. */
import { assert } from "../../lib/assert.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import { type Clock, systemClock } from "../../lib/time/clock.ts";
import type { RowChange, RowDatabase, RowStore, RowsHead, RowsIdentity } from "../rows.ts";
import { buildDatabase } from "./build-database.ts";
import { SqliteRows } from "./sqlite-rows.ts";
import { WorkerLink } from "./worker-link.ts";

const fileName = /^logs-(\d+)\.db$/;

/** `directory` is where the databases are. It must exist. Its process must have locked the data directory. */
export function openRowStore(directory: string, clock: Clock = systemClock): RowStore {
  return new SqliteRowStore(directory, clock);
}

class SqliteRowStore implements RowStore {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #worker: WorkerLink;
  readonly #open = new Set<number>();

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
    this.#worker = new WorkerLink(clock);
  }

  generations(): readonly number[] {
    return systemDisk
      .list(this.#directory)
      .flatMap((name) => fileName.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((one, other) => one - other);
  }

  open(identity: RowsIdentity, indexMin: number): RowDatabase {
    const { generation } = identity;
    assert(!this.#open.has(generation), "a database is open once");
    const path = this.#pathOf(generation);
    const rows = new SqliteRows({
      disk: systemDisk,
      clock: this.#clock,
      worker: this.#worker,
      path,
      identity,
      indexMin,
      closed: () => this.#open.delete(generation),
    });
    this.#open.add(generation);
    return rows;
  }

  async build(identity: RowsIdentity, from: string | RowsHead): Promise<RowDatabase> {
    assert(!this.#open.has(identity.generation), "the database to replace is closed");
    await this.#worker.run({ kind: "build", path: this.#pathOf(identity.generation), identity, from });
    return this.open(identity, 0);
  }

  buildNow(identity: RowsIdentity, from: string | RowsHead): RowDatabase {
    assert(!this.#open.has(identity.generation), "the database to replace is closed");
    buildDatabase(systemDisk, this.#pathOf(identity.generation), identity, from);
    return this.open(identity, 0);
  }

  async remove(generation: number): Promise<void> {
    assert(!this.#open.has(generation), "the database to remove is closed");
    await this.#worker.run({ kind: "remove", path: this.#pathOf(generation) });
  }

  async mergeBase(
    from: string | undefined,
    to: string,
    changes: Iterable<RowChange>,
    head: RowsHead,
  ): Promise<void> {
    await this.#worker.run({ kind: "merge", from, to, head }, changes);
  }

  close(): Promise<void> {
    return this.#worker.close();
  }

  #pathOf(generation: number): string {
    return `${this.#directory}/logs-${generation}.db`;
  }
}
