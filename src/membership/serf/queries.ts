/**
 * Queries: requests to all members, or to those that pass a filter. Responses are packets straight to the asking member.
 * A query is answered once, before its timeout, and each member's response counts once.
 *
 * Invariant: at most `runningMax` own queries are running.
 */
import { Fault } from "../../fault.ts";
import type { Timer } from "../../lib/time/clock.ts";
import { sameEndpoint } from "../codec/address.ts";
import { encodeUserMessage } from "../codec/messages.ts";
import type { Broadcaster } from "../swim/broadcaster.ts";
import type { SwimContext } from "../swim/swim-context.ts";
import { queryTimeoutMs } from "../swim/timing.ts";
import { LamportClock } from "./lamport-clock.ts";
import { LamportWindow } from "./lamport-window.ts";
import { filtersOf, type QueryTarget } from "./query-filter.ts";
import type { IncomingQuery } from "./serf-event.ts";
import type { QueryMessage, QueryResponseMessage } from "./serf-messages.ts";
import { encodeQuery, encodeQueryResponse, queryBytesMax } from "./serf-messages.ts";

export interface QueryOptions extends QueryTarget {
  /** Default: 16 gossip intervals, more in larger clusters. At most one hour. */
  readonly timeoutMs?: number;
  /** Also let every member acknowledge the query at once. Default false. */
  readonly ack?: boolean;
}

export interface QueryResponse {
  readonly from: string;
  /** An acknowledgment of receipt, without a payload. */
  readonly ack: boolean;
  readonly payload: Buffer;
}

/** Gets the responses to an own query. */
export interface QueryListener {
  onResponse(response: QueryResponse): void;
  /** Called once, when the query times out or is stopped. */
  onDone(): void;
}

interface RunningQuery {
  readonly lTime: number;
  readonly listener: QueryListener;
  /** Names of the members that responded, and of those that acknowledged. */
  readonly responded: Set<string>;
  readonly acknowledged: Set<string>;
  readonly timeout: Timer;
}

const runningMax = 256;
const responsesMax = 8_192;
const timeoutMsMax = 3_600_000;
/** Bytes of a response besides its payload and the member's name. */
const responseOverheadBytes = 64;

export class Queries {
  readonly clock: LamportClock;
  readonly #context: SwimContext;
  readonly #broadcaster: Broadcaster;
  readonly #running = new Map<number, RunningQuery>();
  /** The ids of recent queries. */
  readonly #window: LamportWindow<number>;

  constructor(context: SwimContext, broadcaster: Broadcaster, time: number) {
    this.#context = context;
    this.#broadcaster = broadcaster;
    this.clock = new LamportClock(time);
    this.#window = new LamportWindow(this.clock);
  }

  /**
   * Broadcasts a query. Returns it, and a function that stops it.
   * @throws Fault "too-large", "overloaded" or "bad-request"
   */
  start(
    name: string,
    payload: Uint8Array,
    options: QueryOptions,
    listener: QueryListener,
  ): { query: QueryMessage; stop: () => void } {
    if (this.#running.size >= runningMax) {
      throw new Fault("overloaded", { message: "too many queries are running", facts: { max: runningMax } });
    }
    const query = this.#newQuery(name, payload, options);
    const bytes = encodeQuery(query);
    if (bytes.length > queryBytesMax) {
      throw new Fault("too-large", {
        message: "a query must fit into 1024 bytes, name, filters and payload together",
        facts: { foundBytes: bytes.length, bytesMax: queryBytesMax },
      });
    }
    this.clock.increment();
    const stop = (): void => {
      if (this.#running.get(query.id)?.listener !== listener) return;
      this.#running.delete(query.id);
      timeout.cancel();
      listener.onDone();
    };
    const timeout = this.#context.schedule.after(query.timeoutMs, stop);
    const { id, lTime } = query;
    this.#running.set(id, { lTime, listener, responded: new Set(), acknowledged: new Set(), timeout });
    this.#broadcaster.broadcast("query", encodeUserMessage(bytes));
    return { query, stop };
  }

  /** Returns true if the query is new. Then it is to be passed on, and answered if this member passes its filters. */
  witness({ id, lTime }: QueryMessage): boolean {
    return this.#window.add(
      lTime,
      () => id,
      (other) => other === id,
    );
  }

  /** Ignores the queries up to this time, which were asked before this member joined. */
  ignoreUpTo(lTime: number): void {
    this.#window.ignoreUpTo(lTime);
  }

  /** Acknowledges a query if it asks for that. Returns the handle for its response. */
  receive(query: QueryMessage): IncomingQuery {
    const { schedule, self } = this.#context;
    if (query.requestsAck) this.#respond(query, true, Buffer.alloc(0));
    const endMs = schedule.nowMs + Math.min(query.timeoutMs, timeoutMsMax);
    let isOpen = true;
    return {
      name: query.name,
      payload: Buffer.from(query.payload),
      from: query.from,
      timeoutMs: query.timeoutMs,
      respond: (payload) => {
        if (!isOpen || schedule.nowMs > endMs) return false;
        if (payload.length + self.name.length + responseOverheadBytes > queryBytesMax) {
          throw new Fault("too-large", {
            message: "a response to a query must fit into 1024 bytes, name included",
            facts: { foundBytes: payload.length, bytesMax: queryBytesMax },
          });
        }
        isOpen = false;
        this.#respond(query, false, Buffer.from(payload));
        return true;
      },
    };
  }

  /** Handles a response. It is ignored unless it is to a running query. */
  receiveResponse(response: QueryResponseMessage): void {
    const running = this.#running.get(response.id);
    if (running === undefined || running.lTime !== response.lTime) return;
    const names = response.ack ? running.acknowledged : running.responded;
    if (names.has(response.from) || names.size >= responsesMax) return;
    names.add(response.from);
    running.listener.onResponse({
      from: response.from,
      ack: response.ack,
      payload: Buffer.from(response.payload),
    });
  }

  /** Stops all own queries. */
  close(): void {
    for (const [id, running] of [...this.#running]) {
      this.#running.delete(id);
      running.timeout.cancel();
      running.listener.onDone();
    }
  }

  #newQuery(name: string, payload: Uint8Array, options: QueryOptions): QueryMessage {
    const { prng, self, table, timing } = this.#context;
    return {
      kind: "query",
      lTime: this.clock.time,
      id: prng.uint32(),
      at: { host: self.host, port: self.port },
      from: self.name,
      filters: filtersOf(options),
      requestsAck: options.ack === true,
      noBroadcast: false,
      timeoutMs: Math.min(options.timeoutMs ?? queryTimeoutMs(timing, table.size), timeoutMsMax),
      name,
      payload: Buffer.from(payload),
    };
  }

  #respond({ at, from, id, lTime }: QueryMessage, ack: boolean, payload: Buffer): void {
    const { self, table } = this.#context;
    const response: QueryResponseMessage = {
      kind: "query-response",
      ...{ id, lTime, from: self.name, ack, payload },
    };
    if (sameEndpoint(at, self)) {
      this.receiveResponse(response);
      return;
    }
    this.#broadcaster.send(at, [encodeUserMessage(encodeQueryResponse(response))], table.get(from));
  }
}
