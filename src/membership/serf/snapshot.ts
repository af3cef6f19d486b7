/**
 * The snapshot file: who was alive, and where the clocks stood, so that a restarted member finds its cluster again
 * and does not deliver old events anew. Appended to as things happen, written anew when it has grown.
 *
 * It is a hint, so it is not synced line by line, and a failure to write it is told but stops nothing.
 *
 * Never: is needed to be right.
 */
import { Fault } from "../../fault.ts";
import type { Disk, DiskFile } from "../../lib/disk/disk.ts";
import type { Endpoint } from "../codec/address.ts";
import type { Member, SerfEvent } from "../swim/duties.ts";
import type { Clocks } from "./serf.ts";
import { parseSnapshot, type SnapshotState, snapshotLine } from "./snapshot-lines.ts";

const compactBytes = 131_072;
/** A file larger than this is not ours. */
const readBytesMax = 16 * 1024 * 1024;

export class Snapshot {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #problem: (fault: Fault) => void;
  /** As the file was when it was opened. */
  readonly former: SnapshotState;
  readonly #alive: Map<string, Endpoint>;
  #clocks: Clocks;
  #file: DiskFile | undefined;
  #bytes = 0;
  #limit = compactBytes;

  constructor(disk: Disk, path: string, problem: (fault: Fault) => void) {
    this.#disk = disk;
    this.#path = path;
    this.#problem = problem;
    this.former = parseSnapshot(this.#guard(() => this.#read()) ?? "");
    this.#alive = new Map(this.former.alive);
    this.#clocks = this.former.clocks;
    this.#guard(() => this.#rewrite());
  }

  /** Takes note of a change; our own name is not written. */
  notice(notice: SerfEvent, self: string): void {
    if (!("member" in notice) || notice.member.name === self) return;
    const { member } = notice;
    if (notice.kind === "joined" || notice.kind === "updated") this.#joined(member);
    else if (this.#alive.delete(member.name)) this.#append(snapshotLine.notAlive(member.name));
  }

  clocks(clocks: Clocks): void {
    const old = this.#clocks;
    if (old.member === clocks.member && old.event === clocks.event && old.query === clocks.query) return;
    this.#clocks = clocks;
    this.#append(snapshotLine.clocks(clocks));
  }

  /** We left: there is no cluster to go back to. */
  leave(): void {
    this.#alive.clear();
    this.#append(snapshotLine.leave());
  }

  close(): void {
    this.#guard(() => this.#file?.close());
    this.#file = undefined;
  }

  #joined(member: Member): void {
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

  /** Writes what counts into a new file, then puts that in the place of the old one. */
  #rewrite(): void {
    const next = `${this.#path}.next`;
    let text = [...this.#alive].map(([name, at]) => snapshotLine.alive(name, at)).join("");
    text += snapshotLine.clocks(this.#clocks);
    if (this.former.left && this.#alive.size === 0) text += snapshotLine.leave();
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

  /** A disk that fails is told of; membership goes on without it. */
  #guard<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === undefined) throw cause;
      const facts = { path: this.#path, code };
      this.#problem(
        new Fault("disk-failed", { message: "the gossip snapshot cannot be kept", facts, cause }),
      );
      return undefined;
    }
  }
}
