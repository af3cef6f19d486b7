import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameWriter } from "../../../src/http2/frames/frame-writer.ts";
import { ReceiveWindow } from "../../../src/http2/receive-window.ts";

function receiveWindow(bytes: number) {
  const writer = new FrameWriter({ onOutput: () => undefined });
  const window = new ReceiveWindow(bytes, writer);
  /** The increments of the WINDOW_UPDATE frames since the last call. */
  const updates = (): number[] => {
    const sent = Buffer.concat(writer.out.take());
    return Array.from({ length: sent.length / 13 }, (_, at) => sent.readUInt32BE(13 * at + 9));
  };
  return { window, updates };
}

test("the window is granted at the start, and again when half of it is used", () => {
  const { window, updates } = receiveWindow(100_000);
  assert.deepEqual(updates(), [100_000 - 65_535]);
  window.receive(49_999);
  assert.deepEqual(updates(), []);
  window.receive(1);
  assert.deepEqual(updates(), [50_000]);
  window.receive(100_000);
  assert.deepEqual(updates(), [100_000]);
});

test("a client that exceeds the window causes a flow-control error", () => {
  const { window } = receiveWindow(100_000);
  assert.throws(() => window.receive(100_001), { code: 3 });
});
