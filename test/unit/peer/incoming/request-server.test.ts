import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import type { PeerHello } from "../../../../src/peer/handshake/handshake.ts";
import { type ForwardedStart, RequestServer } from "../../../../src/peer/incoming/request-server.ts";
import type { Request } from "../../../../src/peer/wire/request-codec.ts";
import type { AppendOptions } from "../../../../src/types.ts";
import { run } from "../../../support/logs.ts";

const from = { name: "n2", address: "n2:1" } as PeerHello;

/** A server whose log answers so, the calls it told of, and what the log was given. */
function scene(answer: () => Promise<number>) {
  const told: unknown[] = [];
  const given: AppendOptions[] = [];
  const append = async (_run: unknown, options: AppendOptions = {}) => {
    given.push(options);
    return { firstOffset: await answer(), count: 1, timestampMs: 5, duplicate: false };
  };
  const answered = Promise.withResolvers<void>();
  const server = new RequestServer({
    clock: systemClock,
    from,
    log: () => ({ append, trim: () => Promise.reject(new Fault("out-of-range")) }),
    service: { ask: async () => null },
    authorize: ({ subject }) => {
      if (subject === "nobody") throw new Fault("permission-denied");
    },
    begin: ({ verb, subject, from: { name }, traceparent }: ForwardedStart) => ({
      traceparent: "here",
      end: (fault, bytes) => told.push([verb, subject, name, traceparent, fault?.kind, bytes > 0]),
    }),
    answer: () => answered.resolve(),
    requestsMax: 10,
    requestBytesMax: 1_000,
  });
  const { bytes, count } = run("a");
  const request: Request = {
    id: 1,
    verb: "append",
    remainingMs: 1_000,
    count,
    options: { subject: "root", traceparent: "there" },
    body: bytes,
  };
  return { server, told, given, request, answered: answered.promise };
}

test("a forwarded write is told as a call, and what it causes hangs on that call", async () => {
  const { server, told, given, request, answered } = scene(async () => 7);
  server.take(request);
  await answered;
  assert.deepEqual(told, [["append", "root", "n2", "there", undefined, true]]);
  assert.deepEqual([given[0]?.traceparent, given[0]?.forward], ["here", false]);
});

test("one that is refused, or fails, is told with its fault", async () => {
  for (const [subject, kind] of [
    ["nobody", "permission-denied"],
    ["root", "disk-full"],
  ] as const) {
    const { server, told, request, answered } = scene(() => Promise.reject(new Fault("disk-full")));
    server.take({ ...request, options: { subject } });
    await answered;
    assert.deepEqual(told, [["append", subject, "n2", undefined, kind, true]]);
  }
});

test("what peers ask of each other is no call of anybody's", async () => {
  const { server, told, request, answered } = scene(async () => 7);
  server.take({ ...request, verb: "extents", body: Uint8Array.of(0xc0) });
  await answered;
  assert.deepEqual(told, []);
});
