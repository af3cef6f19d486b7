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

/** The log whose cursors are shown. Each call of follow() makes another one, so an answer about the log before is not taken for it. */
interface Followed {
  /** Empty: `default`. */
  readonly log: string;
  /** Of a named log, once it was read: a change never meets another log of the same name. */
  logId: string | undefined;
  shownMax: number;
  /** The read in progress. */
  reading: Promise<void> | undefined;
}

/** Where a cursor is moved to. */
export type CursorTarget = "start" | "end" | number;

export class LogCursors {
  readonly list = signal<CursorList | undefined>(undefined);
  /** Why they could not be read. */
  readonly wrong = signal<string | undefined>(undefined);
  readonly #node: () => string;
  #followed: Followed | undefined;

  /** `node` returns the base address to ask. */
  constructor(node: () => string) {
    this.#node = node;
  }

  /** Follows the cursors of this log. Empty: `default`. Undefined: of none. */
  follow(log: string | undefined): void {
    this.#followed =
      log === undefined ? undefined : { log, logId: undefined, shownMax: pageSize, reading: undefined };
    this.list.value = undefined;
    this.wrong.value = undefined;
    void this.refresh();
  }

  showMore(): void {
    if (this.#followed === undefined) return;
    this.#followed.shownMax += pageSize;
    void this.#readAgain(this.#followed);
  }

  /** Reads them, or waits for the read in progress. */
  async refresh(): Promise<void> {
    const followed = this.#followed;
    if (followed === undefined) return;
    followed.reading ??= this.#update(followed);
    await followed.reading;
  }

  /** Reads them after the read in progress, which may have begun before a change. */
  async #readAgain(followed: Followed): Promise<void> {
    await followed.reading;
    if (followed === this.#followed) await this.refresh();
  }

  async #update(followed: Followed): Promise<void> {
    try {
      const found = await this.#read(followed);
      if (followed !== this.#followed) return;
      this.list.value = found;
      this.wrong.value = undefined;
    } catch (error) {
      if (followed === this.#followed) this.wrong.value = asCallError(error).message;
    } finally {
      followed.reading = undefined;
    }
  }

  async #read(followed: Followed): Promise<CursorList> {
    const { shownMax } = followed;
    const cursors: CursorSeen[] = [];
    for (let after = ""; ; ) {
      const limit = Math.min(pageSize, shownMax - cursors.length);
      const page = await callsTo(this.#node()).cursors.list(
        { ...stated(followed), after, limit },
        { timeoutMs },
      );
      followed.logId ??= page.logId;
      cursors.push(...page.cursors.map(seenOf));
      after = page.next;
      if (after !== "" && cursors.length < shownMax) continue;
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
        { ...log, name, offset: BigInt(offset), expectedVersion, metadata },
        { timeoutMs },
      ),
    );
  }

  /** Deletes a cursor that still has the version that was shown. Returns what is wrong if it was not deleted. */
  delete(cursor: CursorSeen): Promise<string | undefined> {
    const { name, version: expectedVersion } = cursor;
    return this.#change(cursor, (log) =>
      callsTo(this.#node()).cursors.delete({ ...log, name, expectedVersion }, { timeoutMs }),
    );
  }

  async #change(
    { name }: CursorSeen,
    work: (log: ReturnType<typeof stated>) => Promise<unknown>,
  ): Promise<string | undefined> {
    const followed = this.#followed;
    if (followed === undefined) return undefined;
    try {
      await work(stated(followed));
      return undefined;
    } catch (error) {
      return refusalOf(name, asCallError(error));
    } finally {
      await this.#readAgain(followed);
    }
  }
}

/** How a request names the log. */
const stated = ({ log, logId }: Followed) => (logId === undefined ? { log } : { log, logId });

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
