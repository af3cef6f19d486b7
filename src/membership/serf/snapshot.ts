/**
 * The snapshot file: the live members and the clocks, so that a restarted member finds its cluster and does not deliver
 * old events again. Lines are appended as things change. A file that has grown is rewritten.
 *
 * The snapshot is a hint. It is not synced line by line, and a write error is reported but stops nothing.
 */
import { Fault } from "../../fault.ts";
import type { Disk, DiskFile } from "../../lib/disk/disk.ts";
import type { Endpoint } from "../codec/address.ts";
import type { Clocks } from "./serf.ts";
import type { MemberView, SerfEvent } from "./serf-event.ts";
import { parseSnapshot, type SnapshotState, snapshotLine } from "./snapshot-lines.ts";

const compactBytes = 131_072;
/** Only this much of a larger file is read. */
const readBytesMax = 16 * 1024 * 1024;

export class SerfSnapshot {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #onProblem: (fault: Fault) => void;
  /** The content of the file when it was opened. */
  readonly previous: SnapshotState;
  readonly #alive: Map<string, Endpoint>;
  #clocks: Clocks;
  #file: DiskFile | undefined;
  #bytes = 0;
  #limit = compactBytes;

  /** Reads the file and rewrites it. Disk errors go to `onProblem`. */
  constructor(disk: Disk, path: string, onProblem: (fault: Fault) => void) {
    this.#disk = disk;
    this.#path = path;
    this.#onProblem = onProblem;
    this.previous = parseSnapshot(this.#guard(() => this.#read()) ?? "");
    this.#alive = new Map(this.previous.alive);
    this.#clocks = this.previous.clocks;
    this.#guard(() => this.#rewrite());
  }

  /** Writes a change of a member other than `self`. */
  record(event: SerfEvent, self: string): void {
    if (!("member" in event) || event.member.name === self) return;
    const { member } = event;
    if (event.kind === "joined" || event.kind === "updated") this.#joined(member);
    else if (this.#alive.delete(member.name)) this.#append(snapshotLine.notAlive(member.name));
  }

  /** Writes the clocks if they have changed. */
  recordClocks(clocks: Clocks): void {
    const old = this.#clocks;
    if (old.member === clocks.member && old.event === clocks.event && old.query === clocks.query) return;
    this.#clocks = clocks;
    this.#append(snapshotLine.clocks(clocks));
  }

  /** Writes that this member left: there is no cluster to rejoin. */
  recordLeave(): void {
    this.#alive.clear();
    this.#append(snapshotLine.leave());
  }

  close(): void {
    this.#guard(() => this.#file?.close());
    this.#file = undefined;
  }

  #joined(member: MemberView): void {
    const known = this.#alive.get(member.name);
    if (known?.host === member.host && known.port === member.port) return;
    const at = { host: member.host, port: member.port };
    this.#alive.set(member.name, at);
    this.#append(snapshotLine.alive(member.name, at));
  }

  #append(line: string): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#guard(() => {
      const bytes = Buffer.from(line);
      file.write(bytes, this.#bytes);
      this.#bytes += bytes.length;
      if (this.#bytes > this.#limit) this.#rewrite();
    });
  }

  #read(): string {
    if (!this.#disk.exists(this.#path)) return "";
    const file = this.#disk.open(this.#path, "read");
    try {
      const bytes = Buffer.alloc(Math.min(file.size(), readBytesMax));
      return bytes.subarray(0, file.read(bytes, 0)).toString("utf8");
    } finally {
      file.close();
    }
  }

  /** Writes the current state to a new file, and renames it over the old one. */
  #rewrite(): void {
    const next = `${this.#path}.next`;
    let text = [...this.#alive].map(([name, at]) => snapshotLine.alive(name, at)).join("");
    text += snapshotLine.clocks(this.#clocks);
    if (this.previous.left && this.#alive.size === 0) text += snapshotLine.leave();
    if (this.#disk.exists(next)) this.#disk.remove(next);
    const file = this.#disk.open(next, "create");
    const bytes = Buffer.from(text);
    file.write(bytes, 0);
    file.sync();
    this.#disk.rename(next, this.#path);
    this.#file?.close();
    this.#file = file;
    this.#bytes = bytes.length;
    this.#limit = Math.max(compactBytes, bytes.length * 2);
  }

  /** Reports a disk error. Membership continues without the snapshot. */
  #guard<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === undefined) throw cause;
      const facts = { path: this.#path, code };
      const message = "the gossip snapshot cannot be written or read";
      this.#onProblem(new Fault("disk-failed", { message, facts, cause }));
      return undefined;
    }
  }
}
