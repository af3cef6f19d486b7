/** The cursors of one log, read again while their panel is open, and the changes that the user makes to them. */
import { signal } from "@preact/signals";
import type { Cursor } from "../../../src/gen/log/v1/log_pb.js";
import { asCallError, callsTo } from "../io/calls.ts";

const timeoutMs = 10_000;
/** Cursors in a page, and in what "Show more" adds. */
const pageSize = 100;

export interface CursorSeen {
  readonly name: string;
  readonly offset: number;
  readonly lag: number;
  readonly metadata: string;
  readonly version: bigint;
  readonly committedMs: number;
  readonly owner: string;
}

export interface CursorList {
  readonly cursors: readonly CursorSeen[];
  /** There are more. */
  readonly hasMore: boolean;
  /** The extent of the log. */
  readonly lowest: number;
  readonly next: number;
}

/** Where a cursor is moved to. */
export type CursorTarget = "start" | "end" | number;

export class LogCursors {
  readonly list = signal<CursorList | undefined>(undefined);
  /** Why they could not be read. */
  readonly wrong = signal<string | undefined>(undefined);
  readonly #node: () => string;
  #log: string | undefined;
  #logId: string | undefined;
  #shownMax = pageSize;
  #refreshing = false;

  /** `node` returns the base address to ask. */
  constructor(node: () => string) {
    this.#node = node;
  }

  /** Follows the cursors of this log. Empty: `default`. Undefined: of none. */
  follow(log: string | undefined): void {
    this.#log = log;
    this.#logId = undefined;
    this.#shownMax = pageSize;
    this.list.value = undefined;
    this.wrong.value = undefined;
    void this.refresh();
  }

  showMore(): void {
    this.#shownMax += pageSize;
    void this.refresh();
  }

  async refresh(): Promise<void> {
    const log = this.#log;
    if (log === undefined || this.#refreshing) return;
    this.#refreshing = true;
    try {
      const found = await this.#read(log);
      if (log === this.#log) {
        this.list.value = found;
        this.wrong.value = undefined;
      }
    } catch (error) {
      if (log === this.#log) this.wrong.value = asCallError(error).message;
    } finally {
      this.#refreshing = false;
      // Another log was asked for in the meantime.
      if (log !== this.#log) void this.refresh();
    }
  }

  async #read(log: string): Promise<CursorList> {
    const cursors: CursorSeen[] = [];
    for (let after = ""; ; ) {
      const limit = Math.min(pageSize, this.#shownMax - cursors.length);
      const page = await callsTo(this.#node()).cursors.list(
        { log, after, limit, ...this.#stated },
        { timeoutMs },
      );
      this.#logId ??= page.logId;
      cursors.push(...page.cursors.map(seenOf));
      after = page.next;
      if (after !== "" && cursors.length < this.#shownMax) continue;
      const extent = { lowest: Number(page.lowestOffset), next: Number(page.nextOffset) };
      return { cursors, hasMore: after !== "", ...extent };
    }
  }

  /** Moves a cursor that still has the version that was shown. Returns what is wrong if it was not moved. */
  move(cursor: CursorSeen, to: CursorTarget): Promise<string | undefined> {
    const { lowest, next } = this.list.peek() ?? { lowest: 0, next: 0 };
    const offset = to === "start" ? lowest : to === "end" ? next : to;
    const { name, version: expectedVersion, metadata } = cursor;
    return this.#change(cursor, (log) =>
      callsTo(this.#node()).cursors.commit(
        { log, ...this.#stated, name, offset: BigInt(offset), expectedVersion, metadata },
        { timeoutMs },
      ),
    );
  }

  /** Deletes a cursor that still has the version that was shown. Returns what is wrong if it was not deleted. */
  delete(cursor: CursorSeen): Promise<string | undefined> {
    const { name, version: expectedVersion } = cursor;
    return this.#change(cursor, (log) =>
      callsTo(this.#node()).cursors.delete({ log, ...this.#stated, name, expectedVersion }, { timeoutMs }),
    );
  }

  /** The id of a named log: a change never meets another log of the same name. */
  get #stated() {
    return this.#logId === undefined ? {} : { logId: this.#logId };
  }

  async #change({ name }: CursorSeen, work: (log: string) => Promise<unknown>): Promise<string | undefined> {
    const log = this.#log;
    if (log === undefined) return undefined;
    try {
      await work(log);
      return undefined;
    } catch (error) {
      return refusalOf(name, asCallError(error));
    } finally {
      await this.refresh();
    }
  }
}

function refusalOf(name: string, { message, code, facts }: ReturnType<typeof asCallError>): string {
  if (facts["reason"] === "CURSOR_VERSION_MISMATCH") {
    const present = facts["offset"] === undefined ? "deleted it" : `moved it to offset ${facts["offset"]}`;
    return `Another client ${present} in the meantime. “${name}” was not changed. Look at the present position and try again.`;
  }
  const outcome = facts["written"] === "no" ? "nothing was changed" : "whether it was changed is unknown";
  return `${message} (${code ?? "no answer"}; ${outcome})`;
}

const seenOf = ({ name, offset, lag, metadata, version, committedMs, owner }: Cursor): CursorSeen => ({
  ...{ name, metadata, version, owner },
  offset: Number(offset),
  lag: Number(lag),
  committedMs: Number(committedMs),
});
