/**
 * Tails that are dropped with their connection or reset as soon as they are opened: what is left of them in the server.
 *
 * Never: reads a record.
 */
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { type Served, type ServeOptions, serve } from "./serve.ts";

const connectionTails = 500;
const burstTails = 100;
/** A gRPC message without a field. */
const everything = Buffer.alloc(5);

/** Opens and drops 500 tails so many times, every other time as soon as the server knows of one. */
export async function dropTails(rounds: number, options: ServeOptions): Promise<void> {
  await using served = await serve(options);
  for (let round = 0; round < rounds; round++) {
    const session = openSession(served);
    for (let at = 0; at < connectionTails; at++) openTail(session);
    if (round % 2 === 0) while (served.log.openTails === 0) await pause();
    session.destroy();
    while (served.log.openTails > 0) await pause();
  }
  await nothingIsLeft(served);
}

/** So many bursts of 100 tails that are reset at once; being hung up on is a fair answer to such a caller. */
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
    await pause();
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
  stream.end(everything);
  return stream;
}

async function nothingIsLeft({ log, service, listener }: Served): Promise<void> {
  const isQuiet = (): boolean =>
    service.calls.openCalls === 0 && log.openTails === 0 && listener.connections < 5;
  for (let tries = 0; !isQuiet() && tries < 10_000; tries++) await pause();
  assert.ok(isQuiet(), "calls, tails or connections are left behind");
  assert.equal(service.traffic.tails, 0);
  assert.equal(log.next, 0);
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
