import assert from "node:assert/strict";
import { test } from "node:test";
import { errorCode, frameFlag, frameType } from "../../../src/http2/frames/frames.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { budget, frame, H2Harness, headers, u32 } from "../../support/http/h2-harness.ts";

const ok = encodeBlock([[":status", "200"]]);
const cancel = (stream: number): Buffer => frame(frameType.resetStream, 0, stream, u32(errorCode.cancel));
const goAway = frame(frameType.goAway, 0, 0, Buffer.alloc(8));
const ping = frame(frameType.ping, 0, 0, Buffer.alloc(8));

/** How many pings the client can still afford: each costs one unit. */
function unitsLeft(harness: H2Harness): number {
  let units = -1;
  for (; !harness.closed; units++) harness.feed(ping);
  return units;
}

test("a connection that drains ends with its last stream, and at once if it has none", () => {
  const busy = new H2Harness();
  busy.feed(headers(1, true), headers(3, true), goAway);
  busy.streams[0]?.respond(ok);
  busy.streams[0]?.end();
  assert.equal(busy.closed, false);
  busy.streams[1]?.reset(errorCode.internal);
  assert.equal(busy.closed, true);
  const idle = new H2Harness();
  idle.feed(goAway);
  assert.equal(idle.closed, true);
});

test("a stream that a client cancels before it was served costs two units, a served one none", () => {
  const spent = (serve: (harness: H2Harness) => void): number => {
    const harness = new H2Harness({ frames: budget(20) });
    harness.feed(headers(1, true));
    serve(harness);
    harness.feed(cancel(1));
    return 20 - unitsLeft(harness);
  };
  const unserved = spent(() => undefined);
  const old = spent((harness) => {
    harness.nowMs += 25;
    harness.feed(ping);
  });
  assert.equal(unserved - (old - 1), 2);
});

test("a reset stream is not told of by the server's callbacks again, and its number stays used", () => {
  const harness = new H2Harness();
  let closes = 0;
  harness.serve = (stream) => {
    stream.onClose = () => closes++;
  };
  harness.feed(headers(1), cancel(1), cancel(1));
  assert.deepEqual([closes, harness.closed], [1, false]);
  harness.feed(frame(frameType.data, frameFlag.endStream, 1));
  assert.equal(harness.closed, false, "stream 1 is closed, not idle");
});
