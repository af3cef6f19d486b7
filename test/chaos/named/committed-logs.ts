/**
 * The named logs that the frames of a stopped node make, deleted ones included. It is a model of its own: it reads the store
 * files and not the state of the node. The node must still have its first frame.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  batchKind,
  decodeRecord,
  frameBaseOffset,
  frameBytes,
  frameCommand,
  frameIndex,
  frameKind,
  frameLogId,
  RecordCursor,
} from "../../../src/log/mod.ts";
import type { StoredRecord } from "../checker.ts";
import { nameIn } from "../clients/values.ts";

/** All that was ever committed of a log. */
export interface CommittedLog {
  readonly id: number;
  readonly name: string;
  /** Also those that were trimmed. */
  readonly records: StoredRecord[];
  lowest: number;
  closed: boolean;
  deleted: boolean;
}

export interface CommittedLogs {
  readonly logs: ReadonlyMap<number, CommittedLog>;
  /** What is wrong with the frames. */
  readonly flaws: readonly string[];
}

export function committedLogs(directory: string): CommittedLogs {
  const model = new Model();
  for (const file of globSync("log/*.store", { cwd: directory }).sort()) {
    const bytes = readFileSync(join(directory, file));
    // The rest of the active file can be preallocated space.
    for (let at = 0; at + 5 <= bytes.length && bytes.readUInt32BE(at + 1) > 0; at += frameBytes(bytes, at))
      model.add(bytes, at);
  }
  return model;
}

class Model implements CommittedLogs {
  readonly logs = new Map<number, CommittedLog>();
  readonly flaws: string[] = [];
  readonly #names = new Map<string, CommittedLog>();
  #last = 0;

  add(bytes: Buffer, at: number): void {
    const index = frameIndex(bytes, at);
    if (index !== this.#last + 1) this.flaws.push(`index ${index} follows ${this.#last}`);
    this.#last = index;
    const id = frameLogId(bytes, at);
    if (id === 0) return;
    const kind = frameKind(bytes, at);
    if (kind === batchKind.createLog) this.#created(id, frameCommand(bytes, at));
    else this.#changed(id, bytes, at);
  }

  #created(id: number, command: Uint8Array): void {
    const { name } = jsonOf(command) as { readonly name: string };
    const other = this.#names.get(name);
    if (this.logs.has(id)) this.flaws.push(`the id ${id} is given twice, now to ${name}`);
    if (other !== undefined) this.flaws.push(`the name ${name} means ${other.id} and ${id}`);
    const log: CommittedLog = { id, name, records: [], lowest: 0, closed: false, deleted: false };
    this.logs.set(id, log);
    this.#names.set(name, log);
  }

  #changed(id: number, bytes: Buffer, at: number): void {
    const kind = frameKind(bytes, at);
    const log = this.logs.get(id);
    if (log === undefined || log.deleted) {
      this.flaws.push(`a batch of kind ${kind} is for the log ${id}, which is not there`);
      return;
    }
    const { length: next } = log.records;
    const base = frameBaseOffset(bytes, at);
    if (base !== next) this.flaws.push(`log ${id} continues at ${base}, not at ${next}`);
    if (kind === batchKind.data) {
      if (log.closed) this.flaws.push(`log ${id} is closed and gets records at ${base}`);
      log.records.push(...recordsOf(bytes.subarray(at, at + frameBytes(bytes, at))));
    } else if (kind === batchKind.closeLog) log.closed = true;
    else if (kind === batchKind.trimLog) {
      const { from, to } = jsonOf(frameCommand(bytes, at)) as { readonly from: number; readonly to: number };
      if (from === log.lowest && to <= next) log.lowest = to;
    } else if (kind === batchKind.deleteLog) {
      log.deleted = true;
      this.#names.delete(log.name);
    }
  }
}

const jsonOf = (command: Uint8Array): unknown => JSON.parse(Buffer.from(command).toString());

function recordsOf(frame: Uint8Array): StoredRecord[] {
  const found: StoredRecord[] = [];
  const cursor = new RecordCursor(frame, 0);
  while (cursor.next()) {
    const { value } = decodeRecord(cursor.frames, cursor.start, cursor.end);
    found.push({ offset: cursor.offset, value: nameIn(Buffer.from(value).toString()) });
  }
  return found;
}
