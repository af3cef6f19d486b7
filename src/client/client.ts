/**
 * The client of a cluster, on any platform: the commit log, producers, consumers and the RPCs. The platform provides
 * the connections, the checksum and a random seed.
 */
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { Fault } from "../fault.ts";
import { Cluster, Log } from "../gen/log/v1/log_pb.js";
import { type Prng, prng } from "../lib/prng.ts";
import { type Clock, systemClock } from "../lib/time/clock.ts";
import type { Appended, Freshness } from "../types.ts";
import { type BackoffSettings, defaultBackoff } from "./calls/backoff.ts";
import type { Dial } from "./calls/connections.ts";
import type { KnownServer } from "./calls/node-picker.ts";
import { RetryingCaller } from "./calls/retrying-caller.ts";
import { type ConsumeOptions, consume } from "./consume/consume.ts";
import type { Crc32, LogRecord } from "./consume/record-batch.ts";
import { type ClientLimits, defaultLimits } from "./limits.ts";
import { LogClient } from "./log-client.ts";
import { optionsOf } from "./options.ts";
import type { BytesLike, NewRecord } from "./produce/new-record.ts";
import { type ProduceStreamOptions, produceStream } from "./produce/produce-stream.ts";
import { Producer } from "./produce/producer.ts";
import { batcherSettingsOf, type ProducerSettings } from "./produce/producer-settings.ts";

/** The options of openClient() on every platform. */
export interface CommonOptions {
  /** Freshness of reads that do not specify one, and of all tails. Default: mode "session". */
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

export class TailraceClient implements AsyncDisposable, Disposable {
  /** The commit log of the cluster. */
  readonly commitLog: LogClient;
  /** The RPCs of the service Log, on the first address, without retries. */
  readonly log: Client<typeof Log>;
  /** The RPCs of the service Cluster, on the first address, without retries. */
  readonly cluster: Client<typeof Cluster>;
  /** The connection to the first address. */
  readonly transport: Transport;
  readonly #caller: RetryingCaller;
  readonly #clock: Clock;
  readonly #chance: Prng;
  readonly #backoff: BackoffSettings;
  readonly #limits: ClientLimits;
  readonly #producers = new Set<Producer>();

  /** @throws Fault "config" if there is no seed address */
  constructor(platform: Platform, options: CommonOptions) {
    const { seeds, dial, crc32, seed } = platform;
    const [first] = seeds;
    if (first === undefined) throw new Fault("config", { message: "no address is given to connect to" });
    this.#clock = options.clock ?? systemClock;
    this.#chance = prng(seed);
    this.#backoff = options.backoff ?? defaultBackoff;
    this.#limits = { ...defaultLimits, ...options.limits };
    const shared = { clock: this.#clock, chance: this.#chance, backoff: this.#backoff };
    this.#caller = new RetryingCaller({
      ...shared,
      seeds,
      dial,
      attemptsMax: this.#limits.attemptsMax,
      firstContactMs: this.#limits.firstContactMs,
      discover: options.discover ?? true,
      serversFreshMs: this.#limits.serversFreshMs,
    });
    this.commitLog = new LogClient({
      ...shared,
      caller: this.#caller,
      crc32,
      limits: this.#limits,
      freshness: options.freshness ?? {},
    });
    this.transport = this.#caller.transportTo(first);
    this.log = createClient(Log, this.transport);
    this.cluster = createClient(Cluster, this.transport);
  }

  /**
   * Asks for the nodes of the cluster and returns them.
   * @throws Fault "unavailable" if no node responds
   */
  async servers(): Promise<readonly KnownServer[]> {
    await this.#caller.resolver.refresh();
    return this.#caller.picker.servers;
  }

  /**
   * Creates a producer. It appends in batches and keeps the order of the calls. By default each record is appended
   * exactly once. The application closes it, or the client does when it is closed.
   * @throws Fault "config" for a setting that is out of range
   */
  producer(settings: ProducerSettings = {}): Producer {
    const producer = new Producer({
      caller: this.#caller,
      clock: this.#clock,
      chance: this.#chance,
      backoff: this.#backoff,
      attemptMs: this.#limits.attemptMs,
      batches: batcherSettingsOf(settings, this.#limits, () => this.#drawId()),
      onAppended: (appended) => this.commitLog.session.appended(appended),
      onClosed: (closed) => this.#producers.delete(closed),
    });
    this.#producers.add(producer);
    return producer;
  }

  /**
   * Reads records one by one. Default: from the end of the log, without a limit.
   * @throws Fault "bad-request" for invalid options, "out-of-range" if the start is not in the log or has been trimmed, and
   *   the reason of the signal
   */
  consume(options?: ConsumeOptions): AsyncGenerator<LogRecord, void, undefined> {
    return consume(this.commitLog, optionsOf(options));
  }

  /**
   * Appends each record as it comes, on one stream, and yields the results in order. It does not retry. Not available in
   * browsers, which cannot stream a request.
   * @throws the Fault of the first append that failed
   */
  produceStream(
    records: Iterable<NewRecord | BytesLike> | AsyncIterable<NewRecord | BytesLike>,
    options?: ProduceStreamOptions,
  ): AsyncGenerator<Appended, void, undefined> {
    return produceStream(this.#caller, records, options);
  }

  /** Waits until all pending appends are settled, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#producers].map((producer) => producer[Symbol.asyncDispose]()));
    await this.commitLog[Symbol.asyncDispose]();
    this[Symbol.dispose]();
  }

  /** Closes at once. Pending calls fail with Fault "canceled". */
  [Symbol.dispose](): void {
    for (const producer of this.#producers) producer.close();
    this.commitLog.close();
    this.#caller[Symbol.dispose]();
  }

  #drawId(): bigint {
    return (BigInt(this.#chance.uint32()) << 32n) | BigInt(this.#chance.uint32());
  }
}
