/**
 * Sends requests to an S3 server: signs them, repeats what may pass, and turns refusals into Faults.
 *
 *   an attempt fails by the network, 5xx, 429 ──► pause, doubled each time, random in its upper half ──► next attempt
 *   the clocks differ ──► sign with the time of the server, once        credentials expired ──► fetch them again, once
 */
import { Fault } from "../../fault.ts";
import { errorText } from "../../lib/disk/disk.ts";
import type { Prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { WriteGuard } from "../object-store.ts";
import type { HttpExchanger } from "./http-exchange.ts";
import { type Addressee, type S3Answer, verdictOf } from "./s3-answer.ts";
import type { CredentialSource } from "./s3-credentials.ts";
import type { S3Settings } from "./s3-settings.ts";
import { objectUrl } from "./s3-url.ts";

/** The body of a request, with its hash. */
export interface S3Body {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** SHA-256, hexadecimal. The server compares it, so a body that is damaged on its way is refused. */
  readonly sha256: string;
}

export interface S3Request {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** With the prefix; empty for the bucket. */
  readonly name: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: S3Body;
  /** Statuses that the caller understands, besides 2xx. */
  readonly accepted?: readonly number[];
  /** Default 4 MiB. */
  readonly answerBytesMax?: number;
  readonly guard?: WriteGuard | undefined;
}

/** An answer, and whether an earlier attempt may have done the work already. */
export interface S3Result extends S3Answer {
  readonly isRepeated: boolean;
}

/** Creates the headers of a signed request. */
export type Sign = (request: {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** `20261130T190000Z` */
  readonly datetime: string;
  readonly credentials: Awaited<ReturnType<CredentialSource["get"]>>;
  readonly region: string;
}) => Promise<Readonly<Record<string, string>>>;

export interface RetryLimits {
  readonly attempts: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

/** A request that failed and is sent again. */
export interface RetryNotice {
  /** `PUT backups/…`, for messages. */
  readonly request: string;
  readonly fault: Fault;
  /** The attempt that failed, from 1, and how many there are at most. */
  readonly attempt: number;
  readonly attempts: number;
  /** The pause before the next attempt. */
  readonly pauseMs: number;
}

export interface S3ConnectionOptions {
  readonly settings: S3Settings;
  readonly at: Addressee;
  readonly credentials: CredentialSource;
  readonly sign: Sign;
  readonly http: Pick<HttpExchanger, "send">;
  readonly clock: Clock;
  readonly random: Prng;
  readonly limits?: RetryLimits;
  readonly signal?: AbortSignal | undefined;
  /** Called before each pause. */
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined;
}

/** About a minute of attempts. */
const defaultLimits: RetryLimits = { attempts: 9, firstMs: 250, longestMs: 15_000 };
const answerBytesMax = 4 * 1024 * 1024;
/** An attempt may take this time, and more for the bytes that were sent and received: 32 KiB/s is the slowest useful network. */
const attemptMs = 60_000;
const slowestBytesPerMs = 32;
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export class S3Connection {
  readonly #options: S3ConnectionOptions;
  readonly #limits: RetryLimits;
  /** The server's clock minus this one. */
  #skewMs = 0;

  constructor(options: S3ConnectionOptions) {
    this.#options = options;
    this.#limits = options.limits ?? defaultLimits;
  }

  get settings(): S3Settings {
    return this.#options.settings;
  }

  async send(request: S3Request): Promise<S3Result> {
    const { at, credentials } = this.#options;
    let mended = { skew: false, credentials: false };
    let last: Fault | undefined;
    for (let attempt = 0; attempt < this.#limits.attempts; attempt++) {
      if (attempt > 0 && last !== undefined) await this.#pause(request, attempt, last);
      const answer = await this.#attempt(request);
      if (answer instanceof Fault) {
        last = answer;
        continue;
      }
      const verdict = verdictOf(answer, request.accepted ?? [], at);
      if (verdict.kind === "done") return { ...answer, isRepeated: attempt > 0 };
      if (verdict.kind === "skew" && !mended.skew && this.#takeTime(answer)) {
        mended = { ...mended, skew: true };
        last = undefined;
      } else if (verdict.kind === "expired" && !mended.credentials) {
        credentials.forget();
        mended = { ...mended, credentials: true };
        last = undefined;
      } else if (verdict.kind === "retry") last = verdict.fault;
      else throw verdict.fault;
    }
    throw last ?? new Fault("unavailable", { message: `${at.url}: ${at.host} does not answer` });
  }

  /** Resolves to a Fault if there was no complete answer. */
  async #attempt(request: S3Request): Promise<S3Answer | Fault> {
    const { settings, sign, http, clock, credentials, at, signal } = this.#options;
    const { body, guard } = request;
    const url = objectUrl(settings.bucket, request.name, request.query ?? {});
    const moment = new Date(clock.wallMs() + this.#skewMs).toISOString();
    const headers = await sign({
      method: request.method,
      url,
      headers: { ...request.headers, "x-amz-content-sha256": body?.sha256 ?? emptyHash },
      datetime: moment.replaceAll(/[:-]|\.\d{3}/g, ""),
      credentials: await credentials.get(),
      region: settings.region,
    });
    const length: Record<string, string> =
      body === undefined && request.method !== "POST" ? {} : { "content-length": String(body?.bytes ?? 0) };
    const bytesMax = request.answerBytesMax ?? answerBytesMax;
    const limitMs = Math.min(attemptMs, guard?.() ?? attemptMs);
    try {
      return await http.send({
        method: request.method,
        url,
        headers: { ...headers, ...length },
        body: body?.pieces ?? [],
        answerBytesMax: bytesMax,
        limitMs: limitMs + (body?.bytes ?? 0) / slowestBytesPerMs,
        slowestBytesPerMs: guard === undefined ? slowestBytesPerMs : undefined,
        signal,
      });
    } catch (cause) {
      if (signal?.aborted === true)
        throw new Fault("canceled", { message: `${at.url}: the work was stopped`, cause });
      if (cause instanceof Fault) throw cause;
      return new Fault("unavailable", {
        message: `${at.url}: ${at.host} cannot be reached: ${errorText(cause)}`,
        cause,
      });
    }
  }

  #takeTime({ headers }: S3Answer): boolean {
    const serverMs = Date.parse(String(headers["date"]));
    if (Number.isNaN(serverMs)) return false;
    this.#skewMs = serverMs - this.#options.clock.wallMs();
    return true;
  }

  /** Waits before another attempt: `attempt` of them have failed, the last one with this fault. */
  async #pause({ method, name }: S3Request, attempt: number, fault: Fault): Promise<void> {
    const { clock, random, signal, onRetry } = this.#options;
    const { attempts, firstMs, longestMs } = this.#limits;
    const fullMs = Math.min(longestMs, firstMs * 2 ** (attempt - 1));
    const pauseMs = fullMs * (0.5 + random.float() / 2);
    onRetry?.({ request: name === "" ? method : `${method} ${name}`, fault, attempt, attempts, pauseMs });
    const { promise, resolve } = Promise.withResolvers<void>();
    // A command waits for it, so the timer holds the process.
    const timer = clock.after(pauseMs, resolve, true);
    const stop = (): void => resolve();
    signal?.addEventListener("abort", stop);
    await promise;
    timer.cancel();
    signal?.removeEventListener("abort", stop);
    if (signal?.aborted === true)
      throw new Fault("canceled", { message: `${this.#options.at.url}: the work was stopped` });
  }
}
