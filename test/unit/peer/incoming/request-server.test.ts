import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import type { PeerHello } from "../../../../src/peer/handshake/introduction.ts";
import { type ForwardedStart, RequestServer } from "../../../../src/peer/incoming/request-server.ts";
import type { ReceivedRequest } from "../../../../src/peer/wire/request-codec.ts";
import type { AppendOptions } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";

const from = { name: "n2", address: "n2:1" } as PeerHello;

/** A server with a log that appends as given; the calls that it reports, and the options that the log gets. */
function openServer(append: () => Promise<number>) {
  const calls: unknown[] = [];
  const given: AppendOptions[] = [];
  const appendToLog = async (_run: unknown, options: AppendOptions = {}) => {
    given.push(options);
    return { firstOffset: await append(), count: 1, timestampMs: 5, duplicate: false };
  };
  const responded = Promise.withResolvers<void>();
  const server = new RequestServer({
    clock: systemClock,
    from,
    log: () => ({
      append: appendToLog,
      trim: () => Promise.reject(new Fault("out-of-range")),
      named: { change: () => Promise.reject(new Fault("not-found")) },
    }),
    service: { ask: async () => null },
    authorize: ({ subject }) => {
      if (subject === "nobody") throw new Fault("permission-denied");
    },
    begin: ({ verb, subject, from: { name }, traceparent }: ForwardedStart) => ({
      traceparent: "here",
      end: (fault, bytes) => calls.push([verb, subject, name, traceparent, fault?.kind, bytes > 0]),
    }),
    respond: () => responded.resolve(),
    requestsMax: 10,
    requestBytesMax: 1_000,
  });
  const { bytes, count } = run("a");
  const request: ReceivedRequest = {
    id: 1,
    verb: "append",
    remainingMs: 1_000,
    count,
    options: { subject: "root", traceparent: "there" },
    body: bytes,
  };
  return { server, calls, given, request, responded: responded.promise };
}

test("a forwarded write is reported as a call, and its trace context is passed to the log", async () => {
  const { server, calls, given, request, responded } = openServer(async () => 7);
  server.take(request);
  await responded;
  assert.deepEqual(calls, [["append", "root", "n2", "there", undefined, true]]);
  assert.deepEqual([given[0]?.traceparent, given[0]?.forward], ["here", false]);
});

test("a forwarded write that is refused or fails is reported with its fault", async () => {
  for (const [subject, kind] of [
    ["nobody", "permission-denied"],
    ["root", "disk-full"],
  ] as const) {
    const { server, calls, request, responded } = openServer(() => Promise.reject(new Fault("disk-full")));
    server.take({ ...request, options: { subject } });
    await responded;
    assert.deepEqual(calls, [["append", subject, "n2", undefined, kind, true]]);
  }
});

test("a request of the service is not reported as a call", async () => {
  const { server, calls, request, responded } = openServer(async () => 7);
  server.take({ ...request, verb: "extents", body: Uint8Array.of(0xc0) });
  await responded;
  assert.deepEqual(calls, []);
});
