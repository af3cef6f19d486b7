import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { GatheredOutput } from "../../../../../src/server/http/direct/gathered-output.ts";

function gathering() {
  const writes: string[] = [];
  const socket = new Writable({
    decodeStrings: false,
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk.toString());
      done();
    },
  });
  let noted = 0;
  const output = new GatheredOutput(socket as Socket, (pieces) => {
    for (const { length } of pieces) noted += length;
  });
  const sent: string[] = [];
  const add = (text: string, more: boolean): void =>
    output.add([Buffer.from(text.slice(0, 1)), Buffer.from(text.slice(1))], () => sent.push(text), more);
  return { socket, output, writes, sent, add, noted: () => noted };
}

test("responses of one turn leave in one write, and each one learns when it was sent", async () => {
  const { output, writes, sent, add, noted } = gathering();
  const responses = ["first", "second", "third"];
  const turns = responses.map(async (text) => {
    await undefined;
    add(text, true);
  });
  await Promise.all(turns);
  assert.equal(output.bytes, 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([writes, sent, noted()], [["firstsecondthird"], responses, 16]);
});

test("the last response leaves at once, with those that wait, and so do many bytes", () => {
  const { output, writes, add } = gathering();
  add("first", true);
  assert.deepEqual([writes, output.bytes], [[], 5]);
  add("last", false);
  assert.deepEqual([writes, output.bytes], [["firstlast"], 0]);
  for (let n = 0; n < 7; n++) add("x".repeat(10_000), true);
  assert.equal(writes.slice(1).join("").length, 70_000);
});

test("nothing is written to a socket that was destroyed", () => {
  const { socket, output, writes, add } = gathering();
  add("first", true);
  socket.destroy();
  output.flush();
  add("second", false);
  assert.deepEqual([writes, output.bytes], [[], 0]);
});
