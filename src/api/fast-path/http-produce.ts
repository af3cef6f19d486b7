/**
 * `POST /` on the fast path: the same reading of the body, errors and response as in http/http-produce-consume.ts. A request
 * with a query, an encoding or an expectation is served there.
 */
import type { IncomingHttpHeaders } from "node:http2";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { bodyTooLarge } from "../http/exchange/read-body.ts";
import { leaderLocation, recordRunOf } from "../http/http-produce-consume.ts";
import { uncheckedBytesMax } from "../request-limits/message-limits.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext } from "./fast-path-context.ts";
import { startAppend } from "./produce.ts";
import type { FastRequest } from "./recognize.ts";
import { receiveBare } from "./unary-message.ts";

/** Returns how to serve this `POST /`, or undefined to leave it to the HTTP routes. */
export function recognizeHttpProduce(
  headers: IncomingHttpHeaders,
  client: ClientConnection,
  { responseMs, requestBytesMax }: FastPathContext,
): FastRequest | undefined {
  if (headers[":method"] !== "POST" || headers["expect"] !== undefined) return undefined;
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") return undefined;
  const length = headers["content-length"];
  if (length !== undefined && !(Number(length) <= requestBytesMax)) return undefined;
  return {
    framing: "http",
    isJson: false,
    protocol: "http",
    timeoutMs: responseMs,
    locationOf: (reason) => leaderLocation("/", client, reason),
  };
}

/** Appends the record of the body. */
export function httpProduce(context: FastPathContext, call: FastCall, forward: boolean): void {
  const { requestBytesMax } = context;
  receiveBare(
    call,
    requestBytesMax,
    () => bodyTooLarge(undefined, requestBytesMax),
    (body) => {
      const turn = body.length > uncheckedBytesMax ? workTurns(context.clock).next() : undefined;
      const work =
        turn === undefined
          ? append(context, call, body, forward)
          : turn.then(() => append(context, call, body, forward));
      work.catch(call.failInTurn);
    },
  );
}

async function append(
  context: FastPathContext,
  call: FastCall,
  body: Uint8Array,
  forward: boolean,
): Promise<void> {
  if (call.over) return;
  const run = recordRunOf(Buffer.from(body.buffer, body.byteOffset, body.length), context.recordLimits);
  const { firstOffset } = await startAppend(context, call, { run }, forward);
  const line = Buffer.from(`{"offset":${firstOffset}}\n`);
  if (!call.over) call.tracked.bytesOut += line.length;
  call.finishBare(line);
}
