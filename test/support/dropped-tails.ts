/**
 * Tails that are opened five hundred at a time and dropped with their connection: what is left of them in the server.
 *
 * Never: reads a record.
 */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { type ServeOptions, serve } from "./serve.ts";

const atOnce = 500;
/** A gRPC message without a field. */
const everything = Buffer.alloc(5);

/** Opens and drops 500 tails so many times, every other time as soon as the server knows of one. */
export async function dropTails(rounds: number, options: ServeOptions): Promise<void> {
  await using served = await serve(options);
  for (let round = 0; round < rounds; round++) {
    const session = connect(served.url);
    session.on("error", () => undefined);
    for (let at = 0; at < atOnce; at++) {
      const path = "/log.v1.Log/ConsumeStream";
      const headers = { "content-type": "application/grpc", te: "trailers" };
      const stream = session.request({ ":method": "POST", ":path": path, ...headers });
      stream.on("error", () => undefined);
      stream.end(everything);
    }
    if (round % 2 === 0) while (served.log.openTails === 0) await pause();
    session.destroy();
    while (served.log.openTails > 0) await pause();
  }
  for (let tries = 0; served.service.desk.longCalls > 0 || served.log.openTails > 0; tries++) {
    assert.ok(tries < 2000, "calls are left behind");
    await pause();
  }
  assert.equal(served.log.next, 0);
  assert.equal(served.service.traffic.tails, 0);
  assert.ok(served.listener.connections < 5);
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
