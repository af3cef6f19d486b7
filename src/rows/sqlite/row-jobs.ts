/** Does the work of the worker. Changes come in pieces, before the work that they belong to. */

import { assert } from "../../lib/assert.ts";
import type { Disk } from "../../lib/disk/disk.ts";
import { mergeBase } from "../base-writer.ts";
import { ownerId, readChange } from "../row-codec.ts";
import type { RowChange, StoredRow } from "../rows.ts";
import { buildDatabase, removeDatabase } from "./build-database.ts";
import { RowWriter } from "./row-writer.ts";
import type { Work } from "./worker-messages.ts";

interface Place {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly at: number;
}

export class RowJobs {
  readonly #disk: Disk;
  readonly #writers = new Map<string, RowWriter>();
  #places: Place[] = [];
  #owners: Place[] = [];

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Takes changes that RowPacker has packed. */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const { change, end } = readChange(bytes, at, bytes.length, ownerId)!;
      (change.id === ownerId ? this.#owners : this.#places).push({ id: change.id, bytes, at });
      at = end;
    }
  }

  /** Only "scrub" has a result. @throws the errors of RowDatabase and RowStore */
  run(work: Work): number | undefined {
    const [places, owners] = [this.#places, this.#owners];
    [this.#places, this.#owners] = [[], []];
    switch (work.kind) {
      case "write":
        this.#writer(work.path).write(
          work.identity,
          { rows: sorted(places), owners: rowsAt(owners) },
          work.head,
        );
        break;
      case "checkpoint":
        this.#writer(work.path).checkpoint();
        break;
      case "close":
        this.#writers.get(work.path)?.close();
        this.#writers.delete(work.path);
        break;
      case "build":
        buildDatabase(this.#disk, work.path, work.identity, work.from);
        break;
      case "merge":
        for (const _ of mergeBase(this.#disk, work.from, work.to, sorted(places), work.head));
        break;
      case "scrub":
        return this.#writer(work.path).scrub(work.identity, work.after);
      case "remove":
        removeDatabase(this.#disk, work.path);
        break;
      case "forget":
        break;
    }
    return undefined;
  }

  #writer(path: string): RowWriter {
    let writer = this.#writers.get(path);
    if (writer === undefined) {
      writer = new RowWriter(this.#disk, path);
      this.#writers.set(path, writer);
    }
    return writer;
  }
}

function* rowsAt(places: readonly Place[]): Generator<StoredRow, void> {
  for (const { bytes, at } of places) {
    const { row } = readChange(bytes, at, bytes.length, ownerId)!.change;
    if (row !== undefined) yield row;
  }
}

function* sorted(places: Place[]): Generator<RowChange, void> {
  places.sort((one, other) => one.id - other.id);
  let lastId = -1;
  for (const { id, bytes, at } of places) {
    assert(id > lastId, "an id occurs once");
    lastId = id;
    yield readChange(bytes, at, bytes.length, ownerId)!.change;
  }
}
