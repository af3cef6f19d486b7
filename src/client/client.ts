/**
 * The client as a whole: the commit log from afar, producers, and the bare RPCs. What Node and browsers share; how a
 * connection is made, how a checksum is computed and where chance comes from is handed in.
 *
 * Never: opens a socket by itself.
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
import { type ClientLimits, defaultLimits, runBytesMax } from "./limits.ts";
import { LogClient } from "./log-client.ts";
import { optionsOf } from "./options.ts";
import type { BytesLike, NewRecord } from "./produce/new-record.ts";
import { type ProduceStreamOptions, produceStream } from "./produce/produce-stream.ts";
import { Producer } from "./produce/producer.ts";

/** What does not depend on the platform. */
export interface CommonOptions {
  /** How fresh reads are that do not say, and all tails. Default: session. */
  readonly freshness?: Freshness;
  /** Ask the first node for the others. */
  readonly discover?: boolean;
  readonly limits?: Partial<ClientLimits>;
  readonly backoff?: BackoffSettings;
  /** For tests. */
  readonly clock?: Clock;
}

/** What the platform gives. */
export interface Platform {
  readonly seeds: readonly string[];
  readonly dial: Dial;
  readonly crc32: Crc32;
  /** A seed that nobody can foresee. */
  readonly seed: string;
}

export interface ProducerSettings {
  /** Default: drawn at random. A server remembers so many ids for a week: whoever starts often keeps its own. */
  readonly id?: bigint;
  /** Above the last one that was used with this id: it fences whoever still uses that. */
  readonly epoch?: number;
  /** False: no sequences, so what may have been written is not repeated. Default true. */
  readonly idempotent?: boolean;
  /** How long a batch waits for more, milliseconds. Default 1. */
  readonly lingerMs?: number;
  readonly batchRecordsMax?: number;
  readonly batchBytesMax?: number;
  /** Batches under way. Default 5, of which a server remembers the results; without sequences 1, to keep the order. */
  readonly inFlightMax?: number;
  readonly queueBytesMax?: number;
  /** How long a record is tried, milliseconds. */
  readonly deliveryMs?: number;
}

export class TailraceClient implements AsyncDisposable, Disposable {
  /** The contract of a commit log, over the cluster. */
  readonly commitLog: LogClient;
  /** The bare RPCs, on the first seed: no retries, no picking. */
  readonly log: Client<typeof Log>;
  readonly cluster: Client<typeof Cluster>;
  readonly transport: Transport;
  readonly #caller: RetryingCaller;
  readonly #clock: Clock;
  readonly #chance: Prng;
  readonly #backoff: BackoffSettings;
  readonly #limits: ClientLimits;
  readonly #producers = new Set<Producer>();

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

  /** The nodes, asked for now. Throws Fault "unavailable" when none answers. */
  async servers(): Promise<readonly KnownServer[]> {
    await this.#caller.resolver.refresh();
    return this.#caller.picker.servers;
  }

  /** A producer: batches, keeps order, and unless told otherwise appends exactly once. Owned by the caller. */
  producer(settings: ProducerSettings = {}): Producer {
    const {
      idempotent = true,
      lingerMs = 1,
      batchRecordsMax = 10_000,
      batchBytesMax = 1024 * 1024,
    } = optionsOf<ProducerSettings>(settings);
    const producer = new Producer({
      caller: this.#caller,
      clock: this.#clock,
      chance: this.#chance,
      backoff: this.#backoff,
      attemptMs: this.#limits.attemptMs,
      batches: {
        recordsMax: wholeBetween("batchRecordsMax", batchRecordsMax, 1, 65_536),
        bytesMax: wholeBetween("batchBytesMax", batchBytesMax, 1, runBytesMax),
        lingerMs: between("lingerMs", lingerMs, 0, 60_000),
        inFlightMax: wholeBetween(
          "inFlightMax",
          settings.inFlightMax ?? (idempotent ? 5 : 1),
          1,
          idempotent ? 5 : 1024,
        ),
        queueBytesMax: between(
          "queueBytesMax",
          settings.queueBytesMax ?? this.#limits.queueBytesMax,
          1,
          2 ** 40,
        ),
        deliveryMs: between("deliveryMs", settings.deliveryMs ?? this.#limits.callMs, 1, 2 ** 40),
        producer: idempotent
          ? checkedProducer(settings.id ?? this.#drawId(), settings.epoch ?? 0)
          : undefined,
      },
      onAppended: (appended) => this.commitLog.session.appended(appended),
      onClosed: (closed) => this.#producers.delete(closed),
    });
    this.#producers.add(producer);
    return producer;
  }

  /** Records one by one, from wherever the options say. */
  consume(options?: ConsumeOptions): AsyncGenerator<LogRecord, void, undefined> {
    return consume(this.commitLog, optionsOf(options));
  }

  /** One record a message, acknowledged in order. Not in browsers, which cannot stream a request. */
  produceStream(
    records: Iterable<NewRecord | BytesLike> | AsyncIterable<NewRecord | BytesLike>,
    options?: ProduceStreamOptions,
  ): AsyncGenerator<Appended, void, undefined> {
    return produceStream(this.#caller, records, options);
  }

  /** Waits for what was appended, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#producers].map((producer) => producer[Symbol.asyncDispose]()));
    await this.commitLog[Symbol.asyncDispose]();
    this[Symbol.dispose]();
  }

  /** Ends everything at once. */
  [Symbol.dispose](): void {
    for (const producer of this.#producers) producer.close();
    this.commitLog.close();
    this.#caller[Symbol.dispose]();
  }

  #drawId(): bigint {
    return (BigInt(this.#chance.uint32()) << 32n) | BigInt(this.#chance.uint32());
  }
}

function between(name: string, value: number, low: number, high: number): number {
  if (typeof value === "number" && value >= low && value <= high) return value;
  throw new Fault("config", {
    message: `${name} must be a number from ${low} to ${high}, not ${String(value)}`,
  });
}

/** Throws Fault "config" unless both are what the contract can carry. */
function checkedProducer(id: bigint, epoch: number): { readonly id: bigint; readonly epoch: number } {
  if (typeof id !== "bigint" || id < 0n || id >= 2n ** 64n) {
    throw new Fault("config", { message: `id must be a bigint from 0n to 2^64 − 1, not ${String(id)}` });
  }
  return { id, epoch: wholeBetween("epoch", epoch, 0, 2 ** 32 - 1) };
}

function wholeBetween(name: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(between(name, value, low, high))) {
    throw new Fault("config", { message: `${name} must be a whole number, not ${value}` });
  }
  return value;
}
