/** The store of objects of one process: its requests to the simulated bucket, each with a few attempts. */
import { Fault } from "../../../src/fault.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import type {
  ObjectEntry,
  ObjectStore,
  ObjectWriter,
  WriteCondition,
  WriteGuard,
} from "../../../src/objects/object-store.ts";
import type { ClusterContext } from "../cluster/sim-server.ts";
import type { SimBucket } from "./sim-bucket.ts";

const attemptsMax = 4;
const pauseMs = 40;
/** The client gives an attempt up after this time. It can still take effect then, if it has no guard. */
const attemptMs = 300;
/** Smaller objects are written by one request. */
const partBytes = 700;

export class BucketClient implements ObjectStore {
  readonly url = "sim";
  readonly #cluster: ClusterContext;
  readonly #bucket: SimBucket;
  readonly #clock: Pick<Clock, "after" | "soon">;
  readonly #writer: string;
  readonly #peer: number;

  /**
   * `clock`: of the process. Once it has stopped, nothing is resolved any more. `writer`: the id in the lock. `peer`: the server; 0
   * for an operator.
   */
  constructor(
    cluster: ClusterContext,
    bucket: SimBucket,
    clock: Pick<Clock, "after" | "soon">,
    writer: string,
    peer = 0,
  ) {
    [this.#cluster, this.#bucket, this.#clock, this.#writer] = [cluster, bucket, clock, writer];
    this.#peer = peer;
  }

  put(
    key: string,
    data: Uint8Array,
    condition?: WriteCondition,
    guard?: WriteGuard,
  ): Promise<string | undefined> {
    return this.#send(() => this.#bucket.put(this.#writer, key, data, condition), guard);
  }

  create(key: string, bytes: number): ObjectWriter {
    const pieces: Uint8Array[] = [];
    let upload: number | undefined;
    return {
      write: async (data) => {
        pieces.push(Uint8Array.from(data));
        if (bytes > partBytes) upload ??= await this.#send(() => this.#bucket.begin(key));
      },
      finish: async () => {
        const data = Buffer.concat(pieces);
        if (data.length !== bytes) throw new Fault("corrupt", { message: `${key} has ${data.length} bytes` });
        const isDone = await this.#send(() => this.#bucket.finish(key, upload, data));
        if (!isDone) throw new Fault("unavailable", { message: `the upload of ${key} was removed` });
      },
      abandon: async () => {
        const begun = upload;
        if (begun === undefined) return;
        await this.#send(() => this.#bucket.uploads.delete(begun)).catch(() => undefined);
      },
    };
  }

  size(key: string): Promise<number | undefined> {
    return this.#send(() => this.#bucket.objects.get(key)?.length);
  }

  read(key: string, position: number, bytes: number): Promise<Uint8Array | undefined> {
    return this.#send(() => this.#bucket.objects.get(key)?.slice(position, position + bytes));
  }

  readWhole(key: string): Promise<{ readonly data: Uint8Array; readonly tag: string } | undefined> {
    return this.#send(() => {
      const data = this.#bucket.objects.get(key);
      return data === undefined ? undefined : { data: Uint8Array.from(data), tag: this.#bucket.tagOf(key) };
    });
  }

  async *list(prefix: string): AsyncIterable<ObjectEntry> {
    const found = await this.#send(() => this.#bucket.list(prefix));
    for (const [key, bytes] of found) yield { key, bytes, ageMs: 0 };
  }

  async delete(key: string, guard?: WriteGuard): Promise<void> {
    await this.#send(() => this.#bucket.delete(this.#writer, key), guard);
  }

  removeUnfinished(): Promise<number> {
    return this.#send(() => {
      const { size } = this.#bucket.uploads;
      this.#bucket.uploads.clear();
      return size;
    });
  }

  async #send<T>(effect: () => T, guard?: WriteGuard): Promise<T> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const answer = await this.#attempt(effect, guard);
      if (answer !== undefined) return answer.value;
      if (attempt < attemptsMax)
        await new Promise<void>((resolve) => this.#clock.after(pauseMs * attempt, resolve));
    }
    throw new Fault("unavailable", { message: "the bucket does not answer" });
  }

  /** Resolves to undefined without an answer. */
  #attempt<T>(effect: () => T, guard: WriteGuard | undefined): Promise<{ readonly value: T } | undefined> {
    const limitMs = Math.min(attemptMs, guard?.() ?? attemptMs);
    const { sendMs, answerMs, arrives, answers } = this.#bucket.course(this.#peer);
    const { time } = this.#cluster;
    return new Promise((resolve) => {
      this.#clock.after(limitMs, () => resolve(undefined));
      // The server ends with the connection what has a guard. The clock of the client can be fast.
      if (!arrives || (guard !== undefined && sendMs > limitMs * 0.85)) return;
      time.after(sendMs, () =>
        this.#cluster.guard(() => {
          const value = effect();
          if (!answers) return;
          time.after(answerMs, () => this.#clock.soon(() => resolve({ value })));
        }),
      );
    });
  }
}
