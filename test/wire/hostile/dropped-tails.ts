/** Opens tails and drops their connections or resets them, and checks that nothing is left of them in the server. */
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { type Served, type ServeOptions, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";

const connectionTails = 500;
const burstTails = 100;
/** A gRPC message without a field: a request for all records. */
const emptyMessage = Buffer.alloc(5);

/** Opens and drops 500 tails in each round, in every other round as soon as the server has one. */
export async function dropTails(rounds: number, options: ServeOptions): Promise<void> {
  await using served = await serve(options);
  for (let round = 0; round < rounds; round++) {
    const session = openSession(served);
    for (let at = 0; at < connectionTails; at++) openTail(session);
    if (round % 2 === 0) await until("a tail is open", () => served.log.openTails > 0);
    session.destroy();
    await until("all tails are closed", () => served.log.openTails === 0);
  }
  await nothingIsLeft(served);
}

/** Sends bursts of 100 tails that are reset at once. The server may close such a connection. */
export async function resetTails(bursts: number, options: ServeOptions): Promise<void> {
  await using served = await serve(options);
  let session = openSession(served);
  let sessions = 1;
  for (let burst = 0; burst < bursts; burst++) {
    if (session.closed || session.destroyed) {
      session = openSession(served);
      sessions++;
    }
    for (let at = 0; at < burstTails && !session.closed && !session.destroyed; at++)
      openTail(session).close(constants.NGHTTP2_CANCEL);
    await delay(2);
  }
  session.destroy();
  assert.ok(sessions <= 100);
  await nothingIsLeft(served);
}

function openSession({ url }: Served): ClientHttp2Session {
  const session = connect(url);
  session.on("error", () => undefined);
  return session;
}

function openTail(session: ClientHttp2Session) {
  const path = "/log.v1.Log/ConsumeStream";
  const headers = { "content-type": "application/grpc", te: "trailers" };
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  stream.on("error", () => undefined);
  stream.end(emptyMessage);
  return stream;
}

async function nothingIsLeft({ log, service, listener }: Served): Promise<void> {
  const isQuiet = (): boolean =>
    service.calls.openCalls === 0 && log.openTails === 0 && listener.connections < 5;
  await until("no call, tail or connection is left", isQuiet);
  assert.equal(service.traffic.tails, 0);
  assert.equal(log.next, 0);
}
