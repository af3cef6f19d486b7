/**
 * The client of a cluster, on any platform: its logs, producers, consumers and the RPCs. The platform provides
 * the connections, the checksum and a random seed.
 */
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { Fault } from "../fault.ts";
import { Cluster, Cursors, Log, Logs, Tokens } from "../gen/log/v1/log_pb.js";
import { prng } from "../lib/prng.ts";
import { type Clock, systemClock } from "../lib/time/clock.ts";
import type { Appended, Freshness } from "../types.ts";
import { type BackoffSettings, defaultBackoff } from "./calls/backoff.ts";
import type { Dial } from "./calls/connections.ts";
import type { KnownServer } from "./calls/node-picker.ts";
import { RetryingCaller } from "./calls/retrying-caller.ts";
import type { Crc32, LogRecord } from "./consume/record-batch.ts";
import type { CursorConsumeOptions } from "./cursors/consume-cursor.ts";
import { type ClientLimits, defaultLimits } from "./limits.ts";
import { LogClient, type LogClientOptions } from "./log-client.ts";
import { defaultName, LogIdentity } from "./logs/log-identity.ts";
import { LogsClient } from "./logs/logs-client.ts";
import { LogsInUse } from "./logs/logs-in-use.ts";
import { optionsOf } from "./options.ts";
import type { BytesLike, NewRecord } from "./produce/new-record.ts";
import type { ProduceStreamOptions } from "./produce/produce-stream.ts";
import type { Producer } from "./produce/producer.ts";
import type { ProducerSettings } from "./produce/producer-settings.ts";
import type { TokenOption } from "./token-interceptor.ts";

/** The options of openClient() on every platform. */
export interface CommonOptions {
  /**
   * A token, or a function that returns the one to use now; sent with each call. With TLS, or to this machine: in plaintext others
   * could read it. Default: none.
   */
  readonly token?: TokenOption | undefined;
  /**
   * Freshness of reads, in what a call does not state, and of all tails. What was seen counts until the client knows more of the log.
   * Default: mode "session".
   */
  readonly freshness?: Freshness;
  /** Whether to find the other nodes of the cluster with GetServers. Default true in Node.js, false in browsers. */
  readonly discover?: boolean;
  /** Timeouts and buffer sizes. Each one has a default, see ClientLimits. */
  readonly limits?: Partial<ClientLimits>;
  /** Waits between the attempts of a call. Default: 50 ms, doubling up to 2,000 ms. */
  readonly backoff?: BackoffSettings;
  /** Replaces the system clock in tests. */
  readonly clock?: Clock;
}

/** What the platform provides. */
export interface Platform {
  /** The addresses that the application gave. At least one. */
  readonly seeds: readonly string[];
  readonly dial: Dial;
  readonly crc32: Crc32;
  /** An unpredictable seed for the random numbers. */
  readonly seed: string;
}

/** The RPCs of the services, on the first address, without retries. */
export interface Rpcs {
  readonly log: Client<typeof Log>;
  readonly logs: Client<typeof Logs>;
  readonly cursors: Client<typeof Cursors>;
  readonly cluster: Client<typeof Cluster>;
  readonly tokens: Client<typeof Tokens>;
}

export interface OpenLogOptions {
  /** The id that the log must have, as `logs.create()` and `logs.get()` return it. Default: the id at the first call. */
  readonly id?: string | undefined;
}

export class TailraceClient implements AsyncDisposable, Disposable {
  /** The log `default`. producer(), consume() and produceStream() of the client are those of this log. */
  readonly commitLog: LogClient;
  /** Creates, lists, changes and deletes named logs. */
  readonly logs: LogsClient;
  readonly rpc: Rpcs;
  /** The connection to the first address. */
  readonly transport: Transport;
  readonly #caller: RetryingCaller;
  readonly #logOptions: Omit<LogClientOptions, "log">;
  readonly #inUse = new LogsInUse<LogClient>();

  /** @throws Fault "config" if there is no seed address */
  constructor(platform: Platform, options: CommonOptions) {
    const { seeds, dial, crc32, seed } = platform;
    const [first] = seeds;
    if (first === undefined) throw new Fault("config", { message: "no address is given to connect to" });
    const limits = { ...defaultLimits, ...options.limits };
    const shared = {
      clock: options.clock ?? systemClock,
      chance: prng(seed),
      backoff: options.backoff ?? defaultBackoff,
    };
    this.#caller = new RetryingCaller({
      ...shared,
      seeds,
      dial,
      attemptsMax: limits.attemptsMax,
      firstContactMs: limits.firstContactMs,
      discover: options.discover ?? true,
      serversFreshMs: limits.serversFreshMs,
    });
    this.#logOptions = {
      ...shared,
      caller: this.#caller,
      crc32,
      limits,
      freshness: options.freshness ?? {},
      onUse: (log) => this.#inUse.add(log),
    };
    this.commitLog = this.#open(new LogIdentity(this.#caller, defaultName));
    this.logs = new LogsClient({ ...shared, caller: this.#caller, limits });
    this.transport = this.#caller.transportTo(first);
    this.rpc = {
      log: createClient(Log, this.transport),
      logs: createClient(Logs, this.transport),
      cursors: createClient(Cursors, this.transport),
      cluster: createClient(Cluster, this.transport),
      tokens: createClient(Tokens, this.transport),
    };
  }

  /**
   * Returns a named log, or `commitLog` for "default". Nothing is sent. The first call asks for the id of the log, and from
   * then on the object means that log only: after a delete, a log that gets the same name needs a new object. Each object is
   * a session of its own.
   * @throws Fault "bad-request" for a name that is not a text, or is empty
   */
  log(name: string, options: OpenLogOptions = {}): LogClient {
    const identity = new LogIdentity(this.#caller, name, optionsOf<OpenLogOptions>(options).id);
    return identity.isDefault ? this.commitLog : this.#open(identity);
  }

  /**
   * Asks for the nodes of the cluster and returns them.
   * @throws Fault "unavailable" if no node responds
   */
  async servers(): Promise<readonly KnownServer[]> {
    await this.#caller.resolver.refresh();
    return this.#caller.picker.servers;
  }

  /** Creates a producer of `default`, see LogClient.producer(). */
  producer(settings?: ProducerSettings): Producer {
    return this.commitLog.producer(settings);
  }

  /** Reads the records of `default` one by one, see LogClient.consume(). */
  consume(options?: CursorConsumeOptions): AsyncGenerator<LogRecord, void, undefined> {
    return this.commitLog.consume(options);
  }

  /** Appends to `default` on one stream, see LogClient.produceStream(). */
  produceStream(
    records: Iterable<NewRecord | BytesLike> | AsyncIterable<NewRecord | BytesLike>,
    options?: ProduceStreamOptions,
  ): AsyncGenerator<Appended, void, undefined> {
    return this.commitLog.produceStream(records, options);
  }

  /** Waits until all pending appends are settled, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#inUse].map((log) => log[Symbol.asyncDispose]()));
    this[Symbol.dispose]();
  }

  /** Closes at once. Pending calls fail with Fault "canceled". */
  [Symbol.dispose](): void {
    for (const log of this.#inUse) log.close();
    this.#caller[Symbol.dispose]();
  }

  #open(log: LogIdentity): LogClient {
    return new LogClient({ ...this.#logOptions, log });
  }
}
