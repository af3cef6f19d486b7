/**
 * A RowStore in memory, with base files on the disk that it is given. It is what survives: a power cut or kill of the disk keeps
 * the last write that completed, or the one that was in progress. Databases that were opened before fail then.
 */
import { Fault } from "../../../src/fault.ts";
import { assert } from "../../../src/lib/assert.ts";
import { openBase } from "../../../src/rows/base-reader.ts";
import {
  type DueRow,
  type FoundRow,
  mergeBase,
  type OwnerChange,
  type RowChange,
  type RowDatabase,
  type RowStore,
  type RowsHead,
  type StoredRow,
} from "../../../src/rows/mod.ts";
import type { RowsIdentity } from "../../../src/rows/rows.ts";
import { type SimDisk, SimulatedCrash } from "../disk/sim-disk.ts";

/** The content of a database. It is replaced by each write, never changed. */
interface Content {
  readonly directoryId: Uint8Array;
  readonly generation: number;
  readonly head: RowsHead;
  readonly rows: ReadonlyMap<number, StoredRow>;
  readonly owners: ReadonlyMap<string, Uint8Array>;
}

export class MemoryRowStore implements RowStore {
  readonly #disk: SimDisk;
  readonly #delay: () => Promise<void>;
  readonly #contents = new Map<number, Content>();
  /** Generation of each open database → the process that opened it, as the number of ends before it. */
  readonly #open = new Map<number, number>();
  /** The next write, build or merge fails with this error, and changes nothing. */
  failNext: unknown;
  /** The same for a later one: that many others come before it. */
  failLater: { left: number; readonly reason: unknown } | undefined;

  /** `delay` is awaited before each write takes effect. A simulator passes its scheduler. */
  constructor(disk: SimDisk, delay: () => Promise<void> = () => Promise.resolve()) {
    this.#disk = disk;
    this.#delay = delay;
  }

  generations(): readonly number[] {
    return [...this.#contents.keys()].sort((one, other) => one - other);
  }

  open({ directoryId, generation }: RowsIdentity, indexMin: number): RowDatabase {
    const found = this.#contents.get(generation);
    if (found === undefined) throw damaged(generation, "missing");
    if (Buffer.compare(found.directoryId, directoryId) !== 0) throw damaged(generation, "foreign");
    if (found.head.index < indexMin) throw damaged(generation, "rolled-back");
    this.#open.set(generation, this.#disk.ends);
    return new MemoryRows(found, {
      closed: () => this.#open.delete(generation),
      commit: (content) => this.#commit(content),
      apply: (content) => this.#apply(content),
      check: this.#alive(),
    });
  }

  async build(identity: RowsIdentity, from: string | RowsHead): Promise<RowDatabase> {
    const check = this.#alive();
    assert(this.#open.get(identity.generation) !== this.#disk.ends, "the database to replace is closed");
    const { head, rows } = typeof from === "string" ? this.#readBase(from) : { head: from, rows: [] };
    const names = new Set(rows.map(({ name }) => name));
    if (names.size !== rows.length) throw damaged(identity.generation, "name");
    check();
    await this.#commit({
      ...identity,
      head,
      rows: new Map(rows.map((row) => [row.id, row])),
      owners: new Map(),
    });
    return this.open(identity, 0);
  }

  buildNow(identity: RowsIdentity, from: string | RowsHead): RowDatabase {
    const { head, rows } = typeof from === "string" ? this.#readBase(from) : { head: from, rows: [] };
    const names = new Set(rows.map(({ name }) => name));
    if (names.size !== rows.length) throw damaged(identity.generation, "name");
    this.#apply({ ...identity, head, rows: new Map(rows.map((row) => [row.id, row])), owners: new Map() });
    return this.open(identity, 0);
  }

  async remove(generation: number): Promise<void> {
    assert(this.#open.get(generation) !== this.#disk.ends, "the database to remove is closed");
    this.#disk.operation(() => this.#contents.delete(generation));
    this.#contents.delete(generation);
  }

  async mergeBase(
    from: string | undefined,
    to: string,
    changes: Iterable<RowChange>,
    head: RowsHead,
  ): Promise<void> {
    const check = this.#alive();
    const sorted = [...changes].map(copyOf).sort((one, other) => one.id - other.id);
    this.#failIfAsked();
    for (const _ of mergeBase(this.#disk, from, to, sorted, head)) {
      await this.#delay();
      check();
    }
  }

  async close(): Promise<void> {}

  /** Changes rows and the head of a database without a write, with right checksums. A program with a bug could do that. */
  alter(generation: number, changes: readonly RowChange[], head: Partial<RowsHead> = {}): void {
    const content = this.#contents.get(generation)!;
    const rows = new Map(content.rows);
    for (const { id, row } of changes) {
      if (row === undefined) rows.delete(id);
      else rows.set(id, row);
    }
    this.#contents.set(generation, { ...content, head: { ...content.head, ...head }, rows });
  }

  /** Replaces the content of a database without a write, as damage or a copy of a file does. */
  replace(generation: number, by: number): void {
    const content = this.#contents.get(by);
    if (content === undefined) this.#contents.delete(generation);
    else this.#contents.set(generation, content);
  }

  /** Returns a function that puts the content of a database back as it is now, as the copy of an older file does. */
  copyOf(generation: number): () => void {
    const content = this.#contents.get(generation)!;
    return () => void this.#contents.set(generation, content);
  }

  #readBase(path: string): { readonly head: RowsHead; readonly rows: readonly StoredRow[] } {
    const base = openBase(this.#disk, path);
    try {
      return { head: base.head, rows: [...base.blocks()].flat().map((row) => copyOfRow(row)) };
    } finally {
      base.close();
    }
  }

  async #commit(content: Content): Promise<void> {
    const check = this.#alive();
    await this.#delay();
    check();
    this.#apply(content);
  }

  #apply(content: Content): void {
    this.#failIfAsked();
    const apply = (): void => {
      this.#contents.set(content.generation, content);
    };
    this.#disk.operation(apply);
    apply();
  }

  #failIfAsked(): void {
    const later = this.failLater;
    if (later !== undefined && later.left-- === 0) {
      this.failLater = undefined;
      throw later.reason;
    }
    const reason = this.failNext;
    this.failNext = undefined;
    if (reason !== undefined) throw reason;
  }

  /** Returns a function that throws once the process that called this has ended. */
  #alive(): () => void {
    const { ends } = this.#disk;
    return () => {
      if (this.#disk.ends !== ends) throw new SimulatedCrash("the process has ended");
    };
  }
}

interface MemoryRowsParts {
  readonly closed: () => void;
  readonly commit: (content: Content) => Promise<void>;
  readonly apply: (content: Content) => void;
  readonly check: () => void;
}

class MemoryRows implements RowDatabase {
  readonly #parts: MemoryRowsParts;
  readonly #check: () => void;
  #content: Content;
  #names: { readonly names: readonly string[]; readonly ids: ReadonlyMap<string, number> } | undefined;
  /** Undefined before the first write. */
  #writes: Promise<unknown> | undefined;

  constructor(content: Content, parts: MemoryRowsParts) {
    this.#content = content;
    this.#parts = parts;
    this.#check = parts.check;
  }

  get generation(): number {
    return this.#content.generation;
  }

  get head(): RowsHead {
    return this.#content.head;
  }

  row(id: number): StoredRow | undefined {
    this.#check();
    const row = this.#content.rows.get(id);
    return row === undefined ? undefined : copyOfRow(row);
  }

  named(name: string): StoredRow | undefined {
    const id = this.#sorted.ids.get(name);
    return id === undefined ? undefined : this.row(id);
  }

  namesFrom(prefix: string, after: string, limit: number): readonly string[] {
    this.#check();
    return this.#sorted.names
      .filter((name) => name.startsWith(prefix) && inBytes(name, after) > 0)
      .slice(0, limit);
  }

  owner(owner: string): Uint8Array | undefined {
    this.#check();
    return this.#content.owners.get(owner)?.slice();
  }

  due(ms: number, after: DueRow | undefined, limit: number): readonly DueRow[] {
    this.#check();
    return [...this.#content.rows.values()]
      .flatMap(({ id, dueMs }) => (dueMs === undefined || dueMs > ms ? [] : [{ dueMs, id }]))
      .filter((row) => after === undefined || inDueOrder(row, after) > 0)
      .sort(inDueOrder)
      .slice(0, limit);
  }

  write(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): Promise<void> {
    const done = (this.#writes ?? Promise.resolve()).then(() => this.#write(changes, head));
    this.#writes = done.catch(() => {});
    return done;
  }

  rowsAfter(afterId: number, limit: number): readonly FoundRow[] {
    this.#check();
    return [...this.#content.rows.keys()]
      .filter((id) => id > afterId)
      .sort((one, other) => one - other)
      .slice(0, limit)
      .map((id) => ({ id, row: this.row(id) }));
  }

  writeNow(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): void {
    const content = this.#after(changes, head);
    this.#parts.apply(content);
    this.#show(content);
  }

  async scrub(): Promise<undefined> {
    this.#check();
  }

  scrubNow(): undefined {
    this.#check();
  }

  async close(): Promise<void> {
    // The offline commands close a database that they did not write, and go on at once.
    if (this.#writes !== undefined) await this.#writes;
    this.#parts.closed();
  }

  closeNow(): void {
    this.#parts.closed();
  }

  async #write(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): Promise<void> {
    const content = this.#after(changes, head);
    await this.#parts.commit(content);
    this.#show(content);
  }

  #after(changes: Iterable<RowChange | OwnerChange>, head: RowsHead): Content {
    this.#check();
    assert(head.index >= this.#content.head.index, "the index of the rows does not decrease");
    const rows = new Map(this.#content.rows);
    const owners = new Map(this.#content.owners);
    for (const change of changes) {
      if ("owner" in change) {
        const { owner, value } = change;
        if (value === undefined) owners.delete(owner);
        else owners.set(owner, value.slice());
        continue;
      }
      const { id, row } = change;
      if (row === undefined) rows.delete(id);
      else rows.set(id, copyOfRow(row));
    }
    if (rows.size !== head.count) throw damaged(this.#content.generation, "count");
    if (new Set([...rows.values()].map(({ name }) => name)).size !== rows.size) {
      throw damaged(this.#content.generation, "name");
    }
    return { ...this.#content, head: { ...head, value: head.value.slice() }, rows, owners };
  }

  #show(content: Content): void {
    this.#content = content;
    this.#names = undefined;
  }

  get #sorted(): { readonly names: readonly string[]; readonly ids: ReadonlyMap<string, number> } {
    if (this.#names === undefined) {
      const all = [...this.#content.rows.values()];
      this.#names = {
        names: all.map(({ name }) => name).sort(inBytes),
        ids: new Map(all.map(({ id, name }) => [name, id])),
      };
    }
    return this.#names;
  }
}

const inBytes = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));
const inDueOrder = (one: DueRow, other: DueRow): number => one.dueMs - other.dueMs || one.id - other.id;
const copyOfRow = (row: StoredRow): StoredRow => ({ ...row, value: row.value.slice() });
const copyOf = ({ id, row }: RowChange): RowChange => ({
  id,
  row: row === undefined ? undefined : copyOfRow(row),
});

const damaged = (generation: number, why: string): Fault<"corrupt"> =>
  new Fault("corrupt", {
    message: `logs-${generation}.db is damaged (${why})`,
    facts: { file: `logs-${generation}.db`, position: 0, why },
  });
