/** The list of logs in the Logs view: pages are loaded as the user scrolls, and what is visible is read again. */
import { signal } from "@preact/signals";
import type { LogInfo } from "../../../src/gen/log/v1/log_pb.js";
import { LogRows, type LogSeen } from "../core/log-rows.ts";
import { asCallError, callsTo } from "../io/calls.ts";
import { monotonicMs } from "../io/timing.ts";

/** The most that ListLogs returns. */
const pageMax = 256;
/** The next page is requested when so many loaded rows are left below the window. */
const aheadMin = 128;
const timeoutMs = 10_000;

export function seenOf(info: LogInfo): LogSeen {
  const { settings } = info;
  return {
    name: info.name,
    id: info.logId,
    lowest: Number(info.lowestOffset),
    next: Number(info.nextOffset),
    bytes: Number(info.bytes),
    createdMs: Number(info.createdMs),
    lastMs: Number(info.lastTimestampMs),
    closed: info.closed,
    settings: {
      retentionBytes: numberOf(settings?.retentionBytes),
      retentionAgeMs: numberOf(settings?.retentionAgeMs),
      maxBytes: numberOf(settings?.maxBytes),
      recordBytesMax: numberOf(settings?.recordBytesMax),
      ttlMs: numberOf(settings?.ttlMs),
      expiresAtMs: numberOf(settings?.expiresAtMs),
      contentType: settings?.contentType,
    },
  };
}

const numberOf = (value: bigint | undefined): number | undefined =>
  value === undefined ? undefined : Number(value);

export class LogList {
  readonly prefix = signal("");
  /** Grows when the rows change. */
  readonly version = signal(0);
  /** Why the last page could not be read. */
  readonly wrong = signal<string | undefined>(undefined);
  rows = new LogRows();
  /** The scroll of the list in pixels, for when the view is shown again. */
  scrollTop = 0;
  readonly #node: () => string;
  #abort = new AbortController();
  #loading = false;
  #refreshing = false;
  #visible = { start: 0, end: 0 };

  /** `node` returns the base address to ask. */
  constructor(node: () => string) {
    this.#node = node;
  }

  /** Begins again with the logs that have this prefix. */
  search(prefix: string): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.prefix.value = prefix;
    this.rows = new LogRows();
    this.scrollTop = 0;
    this.wrong.value = undefined;
    this.#loading = false;
    this.#refreshing = false;
    this.#visible = { start: 0, end: 0 };
    this.version.value++;
    void this.#load();
  }

  /** The window shows these rows now. */
  looked(start: number, end: number): void {
    this.#visible = { start, end };
    if (this.wrong.peek() === undefined && this.rows.count - end < aheadMin) void this.#load();
  }

  /** Reads the visible rows again, or the first page if there are no rows. */
  async refresh(): Promise<void> {
    const { start, end } = this.#visible;
    if (this.rows.count === 0) return this.#load();
    if (this.#refreshing) return;
    this.#refreshing = true;
    const after = start === 0 ? "" : (this.rows.at(start - 1)?.name ?? "");
    await this.#read(after, Math.min(pageMax, Math.max(1, end - start)));
    this.#refreshing = false;
    if (this.rows.count - end < aheadMin) void this.#load();
  }

  /** A log was created or changed here. */
  put(seen: LogSeen): void {
    if (!seen.name.startsWith(this.prefix.peek())) return;
    this.rows.put(seen, monotonicMs());
    this.version.value++;
  }

  drop(name: string): void {
    this.rows.drop(name);
    this.version.value++;
  }

  /** Reads the next page. Pages without a visible log are passed over. */
  async #load(): Promise<void> {
    const after = this.rows.loadedTo;
    if (this.#loading || after === undefined) return;
    this.#loading = true;
    const { rows } = this;
    const isRead = await this.#read(after, pageMax);
    if (rows !== this.rows) return;
    this.#loading = false;
    if (isRead && rows.count - this.#visible.end < aheadMin) void this.#load();
  }

  /** Returns false if the page could not be read, or belongs to an earlier search. */
  async #read(after: string, limit: number): Promise<boolean> {
    const { rows } = this;
    const { signal: ended } = this.#abort;
    try {
      const request = { prefix: this.prefix.peek(), after, limit };
      const page = await callsTo(this.#node()).logs.listLogs(request, { signal: ended, timeoutMs });
      if (rows !== this.rows) return false;
      rows.take(after, page.logs.map(seenOf), page.next, monotonicMs());
      this.wrong.value = undefined;
      this.version.value++;
      return true;
    } catch (error) {
      if (rows !== this.rows) return false;
      this.wrong.value = asCallError(error).message;
      return false;
    }
  }
}
