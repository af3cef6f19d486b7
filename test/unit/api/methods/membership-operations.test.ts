import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { membershipOperations } from "../../../../src/api/methods/membership-operations.ts";
import {
  EventRequestSchema,
  MembersRequestSchema,
  QueryRequestSchema,
} from "../../../../src/gen/log/v1/log_pb.js";
import { QueryResponses } from "../../../../src/membership/query-responses.ts";
import { handlerCall } from "../handler-call.ts";

type Listener = Parameters<ConstructorParameters<typeof QueryResponses>[0]>[0];

function open() {
  const sent: unknown[] = [];
  const events: unknown[] = [];
  const running: { listener?: Listener; stops: number } = { stops: 0 };
  const operations = membershipOperations({
    members: () => [{ name: "n1", host: "::1", port: 7, status: "alive", tags: { a: "b" } }],
    userEvent: (...event) => events.push(event),
    query: (name, payload, options) => {
      sent.push({ name, payload: Buffer.from(payload).toString(), ...options });
      return new QueryResponses((listener) => {
        running.listener = listener;
        return () => {
          running.stops++;
          listener.onDone();
        };
      });
    },
  });
  const { context, abort } = handlerCall();
  const query = (init: MessageInitShape<typeof QueryRequestSchema>) =>
    operations.query(create(QueryRequestSchema, init), context)[Symbol.asyncIterator]();
  return { operations, sent, events, running, context, abort, query };
}

const badRequest = (field: string) => ({ kind: "bad-request", facts: { field } });

test("a member has an address that can be dialed", async () => {
  const { operations, context } = open();
  const { members } = await operations.members(create(MembersRequestSchema, {}), context);
  assert.deepEqual(members, [{ name: "n1", addr: "[::1]:7", status: "alive", tags: { a: "b" } }]);
});

test("an event and a query need a name", async () => {
  const { operations, context, events, query } = open();
  assert.throws(() => operations.event(create(EventRequestSchema, {}), context), badRequest("name"));
  await assert.rejects(query({}).next(), badRequest("name"));
  assert.equal(events.length, 0);
});

test("of Serf's own queries clients can send the ping only, without a payload", async () => {
  const { sent, query } = open();
  for (const init of [
    { name: "_serf_use-key" },
    { name: "_serf_" },
    { name: "_serf_ping", payload: Buffer.from("x") },
  ]) {
    await assert.rejects(query(init).next(), badRequest("name"));
  }
  assert.deepEqual(sent, []);
  void query({ name: "_serf_ping" }).next();
  assert.equal(sent.length, 1);
});

test("a query may collect responses for an hour at most, and without a timeout Serf's own applies", async () => {
  const { sent, query } = open();
  await assert.rejects(query({ name: "q", timeoutMs: 3_600_001 }).next(), badRequest("timeout_ms"));
  void query({ name: "q", timeoutMs: 3_600_000, filterNodes: ["n1"], filterTags: { a: "b" } }).next();
  void query({ name: "q" }).next();
  const common = { name: "q", payload: "", ack: true };
  assert.deepEqual(sent, [
    { ...common, timeoutMs: 3_600_000, nodes: ["n1"], tags: { a: "b" } },
    { ...common, nodes: [], tags: {} },
  ]);
});

test("an abort stops the query and ends it with its fault, after the responses that have arrived", async () => {
  const { running, abort, query } = open();
  const responses = query({ name: "q" });
  const first = responses.next();
  running.listener?.onResponse({ from: "n1", ack: true, payload: Buffer.alloc(0) });
  await first;
  abort();
  await assert.rejects(responses.next(), { kind: "canceled" });
  assert.equal(running.stops, 1);
});

test("a client that reads no more stops the query", async () => {
  const { running, query } = open();
  const responses = query({ name: "q" });
  const first = responses.next();
  running.listener?.onResponse({ from: "n1", ack: true, payload: Buffer.alloc(0) });
  await first;
  await responses.return?.();
  assert.equal(running.stops, 1);
});
