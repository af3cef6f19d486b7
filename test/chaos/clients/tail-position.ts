/** The position of one tail in one log, and the history of what it was shown. */
import type { IncomingMessage } from "node:http";
import { recordsOf } from "../../../src/client/mod.ts";
import type { Tail } from "../../../src/types.ts";
import type { ClientContext } from "./client-context.ts";
import { nameIn } from "./values.ts";

/** A named log, and its id. */
export interface FollowedLog {
  readonly log: string;
  readonly logId: string;
}

export class TailPosition {
  readonly #self: ClientContext;
  readonly #client: string;
  readonly #of: FollowedLog | undefined;
  next = 0;
  readonly #pending: { readonly offset: number; readonly value: string }[] = [];

  /** Without `of`, a tail of `default`. */
  constructor(self: ClientContext, of?: FollowedLog) {
    this.#self = self;
    this.#of = of;
    this.#client = of === undefined ? self.name : `${self.name}/${of.log}`;
    if (of === undefined) self.positions.set(this.#client, { next: 0 });
    this.startAt(0);
  }

  /** The tail starts, or starts again behind records that were trimmed. */
  startAt(from: number): void {
    this.next = from;
    const start = this.#self.history.now();
    this.#self.history.add({ op: "tail", client: this.#client, from, ...this.#of, start, end: start });
  }

  /** Adds one value. Values that arrive in one turn become one operation of the history. */
  one(offset: number, value: string): void {
    if (this.#pending.length === 0) setImmediate(() => this.flush());
    const last = this.#pending.at(-1);
    if (last !== undefined && (last.offset + 1 !== offset || this.#pending.length === 256)) this.flush();
    this.#pending.push({ offset, value });
    this.next = offset + 1;
  }

  flush(): void {
    const pending = this.#pending.splice(0);
    if (pending.length > 0)
      this.shown(
        pending[0]!.offset,
        pending.map(({ value }) => value),
      );
  }

  /** Records values at consecutive offsets from `offset` on. `logId` is that of the answer, for a named log. */
  shown(offset: number, values: readonly string[], logId = this.#of?.logId): void {
    const { history, positions } = this.#self;
    if (values.length === 0) return;
    const names = values.map((value) => history.intern(nameIn(value)));
    const start = history.now();
    const of = this.#of;
    const about = of === undefined || logId === undefined ? {} : { log: of.log, statedId: of.logId, logId };
    history.add({ op: "shown", client: this.#client, offset, values: names, ...about, start, end: start });
    this.next = offset + values.length;
    positions.set(this.#client, { ...(of === undefined ? {} : { logId: of.logId }), next: this.next });
  }

  /** Shows what a tail of the package returns, until it ends or the signal is aborted. */
  async showTail(tail: Tail, signal: AbortSignal): Promise<void> {
    const stop = (): void => tail[Symbol.dispose]();
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      const from = tail.position;
      const slice = tail.take();
      if (slice === undefined) {
        if (!(await tail.ready())) return;
        continue;
      }
      const records = [...recordsOf(slice, from)];
      const values = records.map(({ value }) => Buffer.from(value).toString());
      this.shown(records[0]?.offset ?? from, values);
    }
  }

  /** Shows the records of server-sent events or lines of JSON. */
  async showLines(answer: IncomingMessage): Promise<void> {
    answer.setEncoding("utf8");
    let rest = "";
    for await (const chunk of answer) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const json = /^(?:data: )?(\{"offset".*)$/.exec(line)?.[1];
        if (json === undefined) continue;
        const { offset, value } = JSON.parse(json) as { offset: number; value: string };
        this.one(offset, Buffer.from(value, "base64").toString());
      }
    }
  }
}
