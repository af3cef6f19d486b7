/**
 * The newest records of all logs of a prefix, by TailLogs. A stream that ended is opened again with the token of the last
 * response, so nothing is missing between two records.
 */
import { signal } from "@preact/signals";
import { preview } from "../core/decode.ts";
import { asCallError, callsTo } from "../io/calls.ts";
import { after, oncePerFrame } from "../io/timing.ts";

export interface PrefixRecord {
  readonly log: string;
  readonly offset: number;
  readonly timestampMs: number;
  readonly line: string;
}

/** Records that are shown. */
const shownMax = 200;
const retryMs = 2_000;
/** With these codes another attempt would fail in the same way. */
const final = ["invalid_argument", "permission_denied", "unauthenticated", "unimplemented", "out_of_range"];

export class PrefixTail {
  /** The prefix; undefined while there is no tail. */
  readonly prefix = signal<string | undefined>(undefined);
  /** The newest first. */
  readonly records = signal<readonly PrefixRecord[]>([]);
  readonly wrong = signal<string | undefined>(undefined);
  readonly #node: () => string;
  #stop = new AbortController();

  /** `node` returns the base address to ask. */
  constructor(node: () => string) {
    this.#node = node;
  }

  /** Follows another prefix from now on; undefined ends the tail. */
  follow(prefix: string | undefined): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.prefix.value = prefix;
    this.records.value = [];
    this.wrong.value = undefined;
    if (prefix !== undefined) void this.#run(prefix, this.#stop.signal);
  }

  async #run(prefix: string, signal: AbortSignal): Promise<void> {
    let resume = "";
    let newest: PrefixRecord[] = [];
    const show = oncePerFrame(() => {
      if (!signal.aborted) this.records.value = newest;
    });
    while (!signal.aborted) {
      try {
        const request = { prefix, resume };
        for await (const response of callsTo(this.#node()).logs.tailLogs(request, { signal })) {
          this.wrong.value = undefined;
          if (response.resume !== "") resume = response.resume;
          const added = response.records.slice(-shownMax).map(({ offset, timestampMs, value }) => ({
            log: response.log,
            offset: Number(offset),
            timestampMs: Number(timestampMs),
            line: preview(value, "auto"),
          }));
          newest = [...added.reverse(), ...newest].slice(0, shownMax);
          if (added.length > 0) show();
        }
      } catch (error) {
        if (signal.aborted) return;
        const { message, code } = asCallError(error);
        this.wrong.value = message;
        if (code !== undefined && final.includes(code)) return;
      }
      await new Promise<void>((resolve) => after(retryMs, resolve));
    }
  }
}
