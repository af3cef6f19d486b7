/**
 * Runs requests through a node in memory before this node is ready, so that V8 has compiled the paths of the first clients. Without
 * it, the first thousands of requests take several times the processor time of later ones (log/WRITING.md).
 *
 * It ends at the limit of time, or when it has sent enough. If it fails, the node starts without it.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { localIdentity } from "../../access/mod.ts";
import {
  ConsumeRequestSchema,
  Log,
  ProduceBatchRequestSchema,
  ProduceRequestSchema,
} from "../../gen/log/v1/log_pb.js";
import { encodeBlock, H2Session } from "../../http2/mod.ts";
import { encodeEnvelope } from "../../lib/envelope.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import { type Clock, delay } from "../../lib/time/clock.ts";
import { WarmConnection, type WarmRequest } from "./warm-connection.ts";
import { openWarmNode } from "./warm-node.ts";

export interface WarmUpOptions {
  readonly clock: Clock;
  /** The most time that it takes, in milliseconds. 0: there is none. */
  readonly limitMs: number;
  /** Ends it early. */
  readonly signal?: AbortSignal;
  /** Default 20,000. */
  readonly requestsMax?: number;
  readonly log?: Logger;
}

/** Bounds what its log holds in memory. */
const requestsMaxDefault = 20_000;

export interface WarmedUp {
  readonly requests: number;
  /** Records that they appended. */
  readonly records: number;
}

/** Resolves to what was done. It does not reject. */
export async function warmUp(options: WarmUpOptions): Promise<WarmedUp> {
  const { clock, limitMs, signal, requestsMax = requestsMaxDefault, log = noLogger } = options;
  const beganMs = clock.monotonicMs();
  const isOver = (): boolean => signal?.aborted === true || clock.monotonicMs() - beganMs >= limitMs;
  let [requests, records] = [0, 0];
  if (isOver()) return { requests, records };
  const connection = new WarmConnection();
  // Ends also an exchange that is never answered.
  const timer = clock.after(limitMs, () => connection.destroy());
  try {
    await using node = await openWarmNode(clock);
    const client = { identity: localIdentity, peer: "warm-up", secure: false };
    new H2Session(connection, {
      clock,
      log: noLogger,
      serve: (stream, headers) => node.router.stream(stream, headers, client),
      onClose: () => {},
    });
    const round = requestsOf();
    while (!isOver() && requests < requestsMax && !connection.destroyed) {
      if (!node.ready()) {
        await delay(clock, 1);
        continue;
      }
      for (const together of round) {
        await connection.exchange(together);
        requests += together.length;
        if (isOver()) break;
      }
      records = node.records();
    }
  } catch (err) {
    log.debug({ err }, "the warm-up ended early");
  } finally {
    timer.cancel();
    connection.destroy();
  }
  log.debug({ requests, records, tookMs: clock.monotonicMs() - beganMs }, "warmed up");
  return { requests, records };
}

/** What clients send most, alone and together. */
function requestsOf(): readonly (readonly WarmRequest[])[] {
  const value = Buffer.alloc(100, "warm ");
  const { produce, produceBatch, consume } = Log.method;
  const one = request(
    produce.name,
    toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { record: { value } })),
  );
  const records = Array.from({ length: 10 }, () => ({ value }));
  const batch = request(
    produceBatch.name,
    toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, { records })),
  );
  const read = request(
    consume.name,
    toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { offset: 0n })),
  );
  const together = Array.from({ length: 32 }, () => one);
  return [[one], together, [one], [batch], [one], together, [one], [read]];
}

function request(method: string, message: Uint8Array): WarmRequest {
  const headers = encodeBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", `/${Log.typeName}/${method}`],
    [":authority", "localhost"],
    ["content-type", "application/grpc+proto"],
    ["te", "trailers"],
  ]);
  return { headers, body: encodeEnvelope(message) };
}
