/** One request over HTTP/1.1 and its answer, with limits on time and size. The connections are kept open. */
import {
  type ClientRequest,
  Agent as HttpAgent,
  type RequestOptions,
  request as requestHttp,
} from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { S3Answer } from "./s3-answer.ts";

export interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Uint8Array[];
  /** A larger answer is an error. */
  readonly answerBytesMax: number;
  /** The time for all of it, without that which the bytes of the answer take. */
  readonly limitMs: number;
  /** The answer has more time for the bytes that arrived: as long as they take at this rate. Default: none. */
  readonly slowestBytesPerMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Nothing was sent or received for this time. */
const idleMs = 30_000;
const socketsMax = 16;
const placedBytesMin = 256 * 1024;

export class HttpExchanger implements Disposable {
  readonly #clock: Clock;
  readonly #plain = new HttpAgent({ keepAlive: true, maxSockets: socketsMax });
  readonly #secure = new HttpsAgent({ keepAlive: true, maxSockets: socketsMax });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rejects with an Error if the answer is not complete, and with Fault "corrupt" if it is too large. */
  send(exchange: Exchange): Promise<S3Answer> {
    const { method, url, headers, body, answerBytesMax, signal } = exchange;
    const isSecure = url.protocol === "https:";
    const options: RequestOptions = {
      method,
      headers,
      agent: isSecure ? this.#secure : this.#plain,
      timeout: idleMs,
      ...(signal === undefined ? {} : { signal }),
    };
    const request = isSecure ? requestHttps(url, options) : requestHttp(url, options);
    const { promise, resolve, reject } = Promise.withResolvers<S3Answer>();
    const stop = this.#limit(request, exchange);
    request.on("timeout", () => request.destroy(new Error("the connection was silent for too long")));
    request.on("error", reject);
    collect(request, answerBytesMax, resolve, reject);
    for (const piece of body) request.write(piece);
    request.end();
    return promise.finally(stop);
  }

  /** Ends the request when its time is over. A server that sends slowly has no more time than its bytes may take. */
  #limit(
    request: ClientRequest,
    { limitMs, slowestBytesPerMs = Number.POSITIVE_INFINITY }: Exchange,
  ): () => void {
    const startedMs = this.#clock.monotonicMs();
    let received = 0;
    request.on("response", (response) => {
      response.on("data", (piece: Buffer) => {
        received += piece.length;
      });
    });
    const look = (): void => {
      const leftMs = limitMs + received / slowestBytesPerMs - (this.#clock.monotonicMs() - startedMs);
      if (leftMs <= 0) return void request.destroy(new Error("no answer in time"));
      timer = this.#clock.after(Math.ceil(leftMs), look, true);
    };
    let timer = this.#clock.after(limitMs, look, true);
    return () => timer.cancel();
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }
}

function collect(
  request: ClientRequest,
  bytesMax: number,
  resolve: (answer: S3Answer) => void,
  reject: (reason: Error) => void,
): void {
  request.on("response", (response) => {
    const body = new AnswerBody(Number(response.headers["content-length"] ?? 0), bytesMax);
    response.on("data", (piece: Buffer) => {
      if (body.add(piece)) return;
      // The answer may be complete already, so it must be rejected here.
      reject(new Fault("corrupt", { message: `the answer is larger than ${bytesMax} bytes` }));
      request.destroy();
    });
    response.on("error", reject);
    response.on("close", () => {
      if (!response.complete) return reject(new Error("the connection was cut"));
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, body: body.take() });
      // The server has refused the request before it had all of it.
      if (!request.writableFinished) request.destroy();
    });
  });
}

/** Collects an answer. A large one with a known length is written into its place at once, so that its pieces are garbage soon. */
class AnswerBody {
  readonly #bytesMax: number;
  readonly #whole: Buffer | undefined;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  /** `length`: what the server announces. */
  constructor(length: number, bytesMax: number) {
    this.#bytesMax = bytesMax;
    const isPlaced = length >= placedBytesMin && length <= bytesMax;
    this.#whole = isPlaced ? Buffer.allocUnsafeSlow(length) : undefined;
  }

  /** Returns false, and takes nothing, if the answer becomes too large. */
  add(piece: Buffer): boolean {
    const end = this.#bytes + piece.length;
    if (end > (this.#whole?.length ?? this.#bytesMax)) return false;
    if (this.#whole === undefined) this.#pieces.push(piece);
    else this.#whole.set(piece, this.#bytes);
    this.#bytes = end;
    return true;
  }

  take(): Buffer {
    if (this.#whole !== undefined) return this.#whole.subarray(0, this.#bytes);
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
  }
}
