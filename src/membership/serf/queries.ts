/**
 * Queries: questions to all members, or those that pass a filter, that are answered by packets straight to who asked.
 *
 * Invariant: at most `askingMax` of our own are under way, at most `seenMax` of others' remembered.
 *
 * Never: answers a question twice, or after its time; takes two answers from the same member.
 */
import { Fault } from "../../fault.ts";
import type { Endpoint } from "../codec/address.ts";
import { encodeUserMessage } from "../codec/messages.ts";
import type { Broadcaster } from "../swim/broadcaster.ts";
import type { IncomingQuery } from "../swim/duties.ts";
import type { Alarm } from "../swim/schedule.ts";
import type { SwimContext } from "../swim/swim-context.ts";
import { queryTimeoutMs } from "../swim/timing.ts";
import { LamportClock } from "./lamport-clock.ts";
import type { QueryFilter } from "./query-filter.ts";
import type { QueryMessage, QueryResponseMessage } from "./serf-messages.ts";
import { encodeQuery, encodeQueryResponse, queryBytesMax } from "./serf-messages.ts";
import { compileTagExpression } from "./tag-expression.ts";
import type { Tags } from "./tags.ts";

export interface QueryOptions {
  /** Default: 16 gossip intervals, more in larger clusters. */
  readonly timeoutMs?: number;
  /** Only these members; empty or absent: all. */
  readonly nodes?: readonly string[];
  /** Only members whose tag matches, tag name to regular expression. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Also let every member that got the question say so at once. */
  readonly ack?: boolean;
}

export interface QueryResponse {
  readonly from: string;
  /** True for an acknowledgement of receipt, without a payload. */
  readonly ack: boolean;
  readonly payload: Buffer;
}

/** Who asked hears the answers as they come, and once that it is over. */
export interface QueryListener {
  answer(answer: QueryResponse): void;
  done(): void;
}

interface Asking {
  readonly lTime: number;
  readonly id: number;
  readonly listener: QueryListener;
  readonly answered: Set<string>;
  readonly acked: Set<string>;
  readonly alarm: Alarm;
}

const slots = 512;
const seenMax = 4_096;
const askingMax = 256;
const answersMax = 8_192;
const timeoutMsMax = 3_600_000;

export class Queries {
  readonly clock: LamportClock;
  readonly #world: SwimContext;
  readonly #gossiper: Broadcaster;
  readonly #asking = new Map<number, Asking>();
  readonly #seen = new Map<number, { lTime: number; ids: Set<number> }>();
  #seenCount = 0;
  #since: number;

  constructor(world: SwimContext, gossiper: Broadcaster, time: number) {
    this.#world = world;
    this.#gossiper = gossiper;
    this.clock = new LamportClock(time);
    this.#since = time;
  }

  /** Asks. Answers a way to stop listening. Throws Fault "too-large" or "overloaded". */
  ask(
    name: string,
    payload: Uint8Array,
    options: QueryOptions,
    listener: QueryListener,
  ): { query: QueryMessage; stop: () => void } {
    const { prng, schedule, self, table, timing } = this.#world;
    if (this.#asking.size >= askingMax) {
      throw new Fault("overloaded", { message: "too many queries are under way", facts: { max: askingMax } });
    }
    const timeoutMs = Math.min(options.timeoutMs ?? queryTimeoutMs(timing, table.size), timeoutMsMax);
    const query: QueryMessage = {
      kind: "query",
      lTime: this.clock.time,
      id: prng.uint32(),
      at: { host: self.host, port: self.port },
      from: self.name,
      filters: filtersOf(options),
      wantsAck: options.ack === true,
      noBroadcast: false,
      timeoutMs,
      name,
      payload: Buffer.from(payload),
    };
    const bytes = encodeQuery(query);
    if (bytes.length > queryBytesMax) {
      throw new Fault("too-large", {
        message: "a query must fit into 1024 bytes, name, filters and payload together",
        facts: { foundBytes: bytes.length, bytesMax: queryBytesMax },
      });
    }
    this.clock.increment();
    const stop = (): void => {
      if (this.#asking.get(query.id)?.listener !== listener) return;
      this.#asking.delete(query.id);
      alarm.cancel();
      listener.done();
    };
    const alarm = schedule.after(timeoutMs, stop);
    const { id, lTime } = query;
    this.#asking.set(id, { lTime, id, listener, answered: new Set(), acked: new Set(), alarm });
    this.#gossiper.broadcast("query", encodeUserMessage(bytes));
    return { query, stop };
  }

  /** True when the query is new: pass it on, and look whether it is for us. */
  witness(query: QueryMessage): boolean {
    if (!this.clock.witness(query.lTime) || query.lTime < this.#since) return false;
    const now = this.clock.time;
    if (now > slots && query.lTime < now - slots) return false;
    const key = query.lTime % slots;
    let slot = this.#seen.get(key);
    if (slot !== undefined && slot.lTime > query.lTime) return false;
    if (slot === undefined || slot.lTime < query.lTime) {
      this.#seenCount -= slot?.ids.size ?? 0;
      slot = { lTime: query.lTime, ids: new Set() };
      this.#seen.set(key, slot);
    }
    if (slot.ids.has(query.id) || this.#seenCount >= seenMax) return false;
    slot.ids.add(query.id);
    this.#seenCount++;
    return true;
  }

  /** Everything up to this time was asked before we came. */
  ignoreUpTo(lTime: number): void {
    this.#since = Math.max(this.#since, lTime + 1);
  }

  /** Acknowledges where that is wanted, and answers a handle for whoever may know the answer. */
  incoming(query: QueryMessage): IncomingQuery {
    const { schedule, self } = this.#world;
    if (query.wantsAck) this.#reply(query.at, query, true, Buffer.alloc(0));
    const endMs = schedule.nowMs + Math.min(query.timeoutMs, timeoutMsMax);
    let open = true;
    return {
      name: query.name,
      payload: Buffer.from(query.payload),
      from: query.from,
      timeoutMs: query.timeoutMs,
      respond: (payload) => {
        if (!open || schedule.nowMs > endMs) return false;
        if (payload.length + self.name.length + 64 > queryBytesMax) {
          throw new Fault("too-large", {
            message: "an answer to a query must fit into 1024 bytes, name included",
            facts: { foundBytes: payload.length, bytesMax: queryBytesMax },
          });
        }
        open = false;
        this.#reply(query.at, query, false, Buffer.from(payload));
        return true;
      },
    };
  }

  /** An answer to one of ours, or to nobody. */
  response(response: QueryResponseMessage): void {
    const asking = this.#asking.get(response.id);
    if (asking === undefined || asking.lTime !== response.lTime) return;
    const heard = response.ack ? asking.acked : asking.answered;
    if (heard.has(response.from) || heard.size >= answersMax) return;
    heard.add(response.from);
    asking.listener.answer({
      from: response.from,
      ack: response.ack,
      payload: Buffer.from(response.payload),
    });
  }

  /** Ends all of ours: we are leaving. */
  close(): void {
    for (const asking of [...this.#asking.values()]) {
      this.#asking.delete(asking.id);
      asking.alarm.cancel();
      asking.listener.done();
    }
  }

  #reply(to: Endpoint, query: QueryMessage, ack: boolean, payload: Buffer): void {
    const { self, table } = this.#world;
    const { id, lTime } = query;
    if (to.host === self.host && to.port === self.port) {
      this.response({ kind: "query-response", id, lTime, from: self.name, ack, payload });
      return;
    }
    const bytes = encodeQueryResponse({ kind: "query-response", id, lTime, from: self.name, ack, payload });
    this.#gossiper.send(to, [encodeUserMessage(bytes)], table.get(query.from));
  }
}

/** Is this member among those asked? An expression that we cannot read asks nobody. */
export function passesFilters(filters: readonly QueryFilter[], name: string, tags: Tags): boolean {
  return filters.every((filter) => {
    if (filter.kind === "nodes") return filter.names.includes(name);
    return compileTagExpression(filter.expression)?.(tagValue(tags, filter.tag)) === true;
  });
}

/** Only what is a tag: the name in a filter is anybody's choice, "constructor" included. */
function tagValue(tags: Tags, tag: string): string {
  return Object.hasOwn(tags, tag) ? (tags[tag] ?? "") : "";
}

function filtersOf(options: QueryOptions): QueryFilter[] {
  const filters: QueryFilter[] = [];
  if (options.nodes !== undefined && options.nodes.length > 0) {
    filters.push({ kind: "nodes", names: options.nodes });
  }
  for (const [tag, expression] of Object.entries(options.tags ?? {})) {
    if (compileTagExpression(expression) === undefined) {
      throw new Fault("bad-request", {
        message: "a tag filter is not an expression that is understood here",
        facts: { tag, expression },
      });
    }
    filters.push({ kind: "tag", tag, expression });
  }
  return filters;
}
