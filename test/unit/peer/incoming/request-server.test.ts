import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import type { PeerHello } from "../../../../src/peer/handshake/introduction.ts";
import { type ForwardedStart, RequestServer } from "../../../../src/peer/incoming/request-server.ts";
import { changeRequest, changeVerb, type ReceivedRequest } from "../../../../src/peer/wire/request-codec.ts";
import type { AppendOptions } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";

const from = { name: "n2", address: "n2:1" } as PeerHello;

/** A server with a log that appends as given; the calls that it reports, and the options that the log gets. */
function openServer(append: () => Promise<number>) {
  const calls: unknown[] = [];
  const given: AppendOptions[] = [];
  const asked: unknown[] = [];
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
    authorize: ({ subject }, action, object) => {
      asked.push([action, object]);
      if (subject === "nobody" || subject === `no ${action}`) throw new Fault("permission-denied");
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
  return { server, calls, given, asked, request, responded: responded.promise };
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

test("a forwarded fork needs consume and trim on its source, and create on the fork", async () => {
  const change = {
    kind: "fork",
    name: "b",
    settings: {},
    source: { name: "a", id: 1 },
    at: { next: 0 },
  } as const;
  const body = Buffer.concat(changeRequest(change, {}).body);
  const kinds: unknown[] = [];
  for (const subject of ["root", "no consume", "no trim", "no create"]) {
    const { server, calls, asked, request, responded } = openServer(async () => 7);
    server.take({ ...request, verb: changeVerb, body, options: { subject } });
    await responded;
    kinds.push((calls as unknown[][])[0]?.[4]);
    if (subject === "root")
      assert.deepEqual(asked, [
        ["consume", "a"],
        ["trim", "a"],
        ["create", "b"],
      ]);
  }
  // The log of this test has no such change.
  assert.deepEqual(kinds, ["not-found", "permission-denied", "permission-denied", "permission-denied"]);
});

test("a forwarded append that closes its log needs configure, and produce if it has records", async () => {
  const log = { name: "s", id: 1 };
  const kinds: unknown[] = [];
  for (const subject of ["root", "no configure", "no produce"]) {
    for (const count of [1, 0]) {
      const { server, calls, asked, request, responded } = openServer(async () => 7);
      const body = count === 0 ? new Uint8Array(0) : request.body;
      const options = { subject, log, stream: { closes: true } } as const;
      server.take({ ...request, count, body, options });
      await responded;
      kinds.push((calls as unknown[][])[0]?.[4]);
      if (subject !== "root") continue;
      const both = [
        ["configure", "s"],
        ["produce", "s"],
      ];
      assert.deepEqual(asked, both.slice(0, count + 1));
    }
  }
  const [none, denied] = [undefined, "permission-denied"];
  assert.deepEqual(kinds, [none, none, denied, denied, denied, none]);
});
