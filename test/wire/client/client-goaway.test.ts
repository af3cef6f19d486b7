/** A node that sends GOAWAY while the client makes its next call. That is an error at most, and does not end the process. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Http2Sessions } from "../../../src/client/calls/http2-sessions.ts";
import { defaultSessionSettings } from "../../../src/client/http2-settings.ts";

test("a connection that a node closes between two calls is replaced, whenever the next call is made", async (t) => {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    const { session } = stream;
    stream.respond({ ":status": 200 });
    stream.end("x");
    stream.once("close", () => setImmediate(() => session?.destroyed === false && session.goaway(0)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const sessions = new Http2Sessions(`http://127.0.0.1:${port}`, defaultSessionSettings, {});
  t.after(() => sessions.abort());
  let answered = 0;
  for (let round = 0; round < 100; round++) {
    try {
      const stream = await sessions.request("GET", "/", {}, {});
      stream.on("error", () => undefined);
      stream.resume();
      await once(stream, "close");
      answered++;
      for (let turns = round % 5; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    } catch {
      // This call was made while the connection closed.
    }
  }
  assert.ok(answered > 20, `${answered} answers`);
});
