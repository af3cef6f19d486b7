/** Clients that connect, begin a request and disconnect without waiting for a response, again and again. Counts what is left of them in the server. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createFastPath } from "../../../src/api/mod.ts";
import { grpcHeaders, H2Client } from "../../bench/load/h2-client.ts";
import { consumeFrom, paths, produceOne } from "../../bench/load/messages.ts";
import { curl } from "../../support/http/curl.ts";
import { type Served, serve } from "../../support/http/serve.ts";

export interface Leftovers {
  readonly tails: number;
  readonly calls: number;
  readonly connections: number;
  /** Heap in use after the last cycle less that after the first tenth of them, bytes. */
  readonly heapGrowth: number;
}

/** Runs so many cycles, a few at a time, and looks once the last has been noticed. */
export async function abortCycles(cycles: number): Promise<Leftovers> {
  await using served = await serve({ fastPath: createFastPath });
  await served.log.append({ bytes: Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0x78]), count: 1 });
  let settled = 0;
  for (let done = 0; done < cycles; done += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, at) => vanish(served.port, done + at)));
    if (settled === 0 && done >= cycles / 10) settled = await heapWhenQuiet(served);
  }
  const heap = await heapWhenQuiet(served);
  return {
    tails: served.log.openTails,
    calls: served.service.calls.openCalls,
    connections: served.listener.connections,
    heapGrowth: heap - settled,
  };
}

/** One cycle: by turns a tail, half a message, a burst of appends, a tail over HTTP/1.1. */
async function vanish(port: number, turn: number): Promise<void> {
  if (turn % 4 === 3) return vanishHttp1(port);
  const client = await H2Client.open({ port });
  const ignore = { onEnd: () => undefined };
  if (turn % 4 === 0)
    client.request(grpcHeaders(paths.consumeStream), consumeFrom({ fromEnd: true }), ignore);
  if (turn % 4 === 1) {
    const id = client.request(grpcHeaders(paths.produceStream), undefined, ignore);
    client.write(id, produceOne.subarray(0, 50));
  }
  if (turn % 4 === 2) {
    for (let at = 0; at < 5; at++) client.request(grpcHeaders(paths.produce), produceOne, ignore);
  }
  await new Promise((resolve) => setTimeout(resolve, turn % 3));
  client.close();
}

function vanishHttp1(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write("GET /tail?from=end HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n");
      setTimeout(() => socket.destroy(), 2);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
}

/**
 * Heap in use once every connection so far was accepted and has ended. Those that vanished may still wait to be
 * accepted, one a turn of the loop; they are accepted in order, so one more that is answered comes after them all.
 */
async function heapWhenQuiet({ url, listener }: Served): Promise<number> {
  assert.equal((await curl(`${url}/?offset=0`)).status, 200);
  for (let wait = 0; wait < 3000 && listener.connections > 0; wait++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  await new Promise((resolve) => setTimeout(resolve, 50));
  collect();
  return process.memoryUsage().heapUsed;
}
