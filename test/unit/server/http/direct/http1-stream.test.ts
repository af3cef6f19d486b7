import assert from "node:assert/strict";
import { test } from "node:test";
import { Http1Stream, type StreamConnection } from "../../../../../src/server/http/direct/http1-stream.ts";

/** A stream whose connection takes all pieces while `isTurn` is true. */
function open(contentLength = 0) {
  const state = { sent: "", isTurn: true, ended: 0 };
  const connection: StreamConnection = {
    headEnd: (of, isChunked) => Buffer.from(`(${isChunked ? "chunked" : "plain"} ${of.rest})`),
    send(stream) {
      if (!state.isTurn) return;
      for (const piece of stream.pieces) state.sent += Buffer.from(piece).toString();
      stream.pieces = [];
    },
    writableBytes: () => (state.isTurn ? 100 : 0),
    ended: () => state.ended++,
    pause: () => undefined,
    resume: () => undefined,
  };
  return { state, stream: new Http1Stream(connection, contentLength) };
}

test("a response with a length is its head and its body", () => {
  const { state, stream } = open(7);
  stream.respond(Buffer.from("head"), true);
  stream.write(Buffer.from("body"));
  stream.end();
  assert.deepEqual([state.sent, state.ended], ["head(plain 7)body", 1]);
});

test("a response without a length is chunks; what is written in one turn is sent together", async () => {
  const { state, stream } = open();
  stream.respond(Buffer.from("head"));
  stream.write(Buffer.alloc(0));
  stream.write(Buffer.from("some"));
  assert.equal(state.sent, "");
  await null;
  assert.equal(state.sent, "head(chunked 0)4\r\nsome\r\n");
  stream.end();
  assert.equal(state.sent, "head(chunked 0)4\r\nsome\r\n0\r\n\r\n");
});

test("before its turn a stream takes no more, and continues when it is drained", () => {
  const { state, stream } = open();
  state.isTurn = false;
  assert.equal(stream.writableBytes, 0);
  stream.respond(Buffer.from("head"));
  assert.equal(stream.write(Buffer.from("some")), false);
  const calls: string[] = [];
  stream.onDrain = () => calls.push("drain");
  stream.whenWritable(() => calls.push("writable"));
  stream.drained();
  stream.drained();
  assert.deepEqual(calls, ["drain", "writable", "drain"]);
});

test("nothing is sent or called after the end or the close", () => {
  const { state, stream } = open();
  stream.respond(Buffer.from("head"), true);
  stream.end();
  const { sent } = state;
  stream.write(Buffer.from("late"));
  stream.respond(Buffer.from("late"));
  stream.end();
  assert.equal(state.sent, sent);
  let closed = 0;
  stream.onClose = () => closed++;
  stream.close();
  stream.close();
  stream.drained();
  assert.deepEqual([closed, stream.closed, stream.writableBytes], [1, true, 0]);
});
