/**
 * Compares TailLogs on the fast path with Connect's handler. Both servers serve the same node, so a tail must have the same
 * responses from both.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fromBinary, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { Fault } from "../../../src/fault.ts";
import {
  type TailLogsRequestSchema,
  type TailLogsResponse,
  TailLogsResponseSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { encodeRun } from "../../../src/log/mod.ts";
import type { RecordParts } from "../../../src/types.ts";
import {
  envelopesOf,
  type FramingName,
  framings,
  methods,
  observed,
  openPathServer,
  type PathServer,
  send,
  tailLogsRequest,
  type WireResponse,
} from "../../support/http/fast-path-servers.ts";
import type { ServeOptions } from "../../support/http/serve.ts";
import { type OneNodeLog, openOneNode } from "../../support/log/one-node-log.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

type Asked = MessageInitShape<typeof TailLogsRequestSchema>;

const { tailLogs } = methods;
const closing = new AsyncDisposableStack();
let node: OneNodeLog;
let both: PathServer[];
const values = (...texts: string[]) => texts.map((text) => ({ value: Buffer.from(text) }));

before(async () => {
  node = closing.use(await openOneNode(scratch({ after: (work) => closing.defer(work) })));
  both = await openBoth();
  await create("a/🦀", "a/2", "b");
  const headers = [{ key: "h", value: Buffer.from("1") }];
  await append("a/🦀", values("1", "2", "3"));
  await append("a/2", [{}, { value: Buffer.from("5"), key: Buffer.from("k"), headers }]);
  await append("b", values("6"));
  await node.replica.log.append(encodeRun(values("7", "8")));
  // One record is larger than a response, and the batch is divided into several.
  const large = [300_000, 100_000, 100_000, 100_000, 1].map((bytes) => ({ value: Buffer.alloc(bytes, "x") }));
  await append("a/2", large);
  for (let at = 0; at < 200; at++) await append(at % 3 === 0 ? "a/2" : "a/🦀", values(`${at}`));
  await node.replica.log.named.change({ kind: "close", log: { name: "b" } });
});

after(() => closing.disposeAsync());

/** The server with the fast path, and the one without it. */
async function openBoth(options: ServeOptions = {}): Promise<PathServer[]> {
  const { log } = node.replica;
  const servers: PathServer[] = [];
  for (const isFast of [true, false]) {
    const server = await openPathServer(isFast, { log, named: log.named, ...options });
    closing.use(server.served);
    closing.defer(() => server.session.destroy());
    servers.push(server);
  }
  return servers;
}

async function create(...names: string[]): Promise<void> {
  for (const name of names) await node.replica.log.named.change({ kind: "create", name, settings: {} });
}

const append = (name: string, records: readonly Partial<RecordParts>[]) =>
  node.replica.log.named.open({ name }).append(encodeRun(records));

const bodyOf = (request: Asked): Uint8Array => encodeEnvelope(tailLogsRequest(request));

/** Sends the request to both servers in every framing, until it ends. Returns the response, which must be the same. */
async function compare(
  request: Asked,
  servers = both,
): Promise<{ messages: TailLogsResponse[]; text: string }> {
  let last: WireResponse | undefined;
  for (const name of tailLogs.framings) {
    const headers = { "content-type": framings[name] };
    const fastRequests = servers[0]?.fastRequests ?? 0;
    const responses = await Promise.all(
      servers.map((server) => send(server, tailLogs.path, headers, bodyOf(request))),
    );
    const [fromFast, fromReference] = responses.map((response) => observed(response, tailLogs.output));
    assert.deepEqual(fromFast, fromReference, `${name} ${JSON.stringify(request)}`);
    assert.equal(servers[0]?.fastRequests, fastRequests + 1, "the fast path serves it");
    last = responses[0];
  }
  return { messages: messagesOf(last!.body), text: JSON.stringify(observed(last!, tailLogs.output)) };
}

const messagesOf = (body: Buffer): TailLogsResponse[] =>
  envelopesOf(body)
    .filter(({ flags }) => flags === 0)
    .map(({ message }) => fromBinary(TailLogsResponseSchema, message));

/** A tail that stays open: what it has sent, and how it ends. */
function follow(server: PathServer, name: FramingName, request: Asked) {
  const stream = server.session.request({
    ":method": "POST",
    ":path": tailLogs.path,
    "content-type": framings[name],
  });
  const response = { headers: {}, trailers: {}, body: Buffer.alloc(0), reset: 0 };
  stream.on("response", (headers) => Object.assign(response, { headers: { ...headers } }));
  stream.on("trailers", (trailers) => Object.assign(response, { trailers: { ...trailers } }));
  stream.on("data", (chunk: Buffer) =>
    Object.assign(response, { body: Buffer.concat([response.body, chunk]) }),
  );
  stream.on("error", () => undefined);
  stream.end(bodyOf(request));
  let decoded: TailLogsResponse[] = [];
  let decodedBytes = 0;
  const messages = (): TailLogsResponse[] => {
    if (response.body.length === decodedBytes) return decoded;
    decodedBytes = response.body.length;
    try {
      decoded = messagesOf(response.body);
    } catch {
      decoded = [];
    }
    return decoded;
  };
  return {
    stream,
    messages,
    caughtUp: () => until("it has caught up", () => messages().at(-1)?.caughtUp === true),
    ended: async () => {
      await until("it ends", () => stream.closed);
      return observed(response, tailLogs.output);
    },
    stop: () => stream.close(),
  };
}

/** Reads the request from both servers up to the end of the logs. Returns the responses, which must be the same. */
async function compareOpen(request: Asked, servers = both): Promise<TailLogsResponse[]> {
  let last: TailLogsResponse[] = [];
  for (const name of tailLogs.framings) {
    const seen = await Promise.all(
      servers.map(async (server) => {
        const tail = follow(server, name, request);
        await tail.caughtUp();
        tail.stop();
        return tail.messages();
      }),
    );
    const [fromFast, fromReference] = seen.map((all) =>
      all.map((one) => toJson(TailLogsResponseSchema, one)),
    );
    assert.deepEqual(fromFast, fromReference, `${name} ${JSON.stringify(request)}`);
    last = seen[0]!;
  }
  return last;
}

const recordsOf = (responses: readonly TailLogsResponse[]): number =>
  responses.reduce((sum, { records }) => sum + records.length, 0);

test("tails by names and by prefix, from the start, from the end and from each token", async () => {
  const all = await compareOpen({ prefix: "", fromStart: true });
  assert.equal(recordsOf(all), 211);
  assert.equal(recordsOf(await compareOpen({ prefix: "a/", fromStart: true })), 210);
  assert.equal(recordsOf(await compareOpen({ prefix: "a/" })), 0);
  const names = ["default", "a/2", "b"];
  const named = await compareOpen({ names, fromStart: true });
  assert.deepEqual(
    named[0]?.ends.map(({ log }) => log),
    names,
  );
  const sizes = named.map(({ records }) => records.length).filter((count) => count > 0);
  // The large batch is sent in three parts.
  assert.deepEqual(sizes.slice(0, 7), [2, 1, 2, 1, 2, 2, 1]);
  const tokens = named.filter(({ log }) => log === "a/2").map(({ resume }) => resume);
  for (const resume of tokens.slice(0, 4)) {
    const rest = await compareOpen({ names, resume });
    assert.equal(
      recordsOf(rest),
      recordsOf(named.slice(named.findIndex((one) => one.resume === resume) + 1)),
    );
  }
  const inBatch = tokens[0]!.replace(/\.2$/, ".1");
  assert.notEqual(inBatch, tokens[0]);
  await compareOpen({ names, resume: inBatch });
});

test("a tail of closed logs ends", async () => {
  const { messages, text } = await compare({ names: ["b"], fromStart: true });
  assert.equal(recordsOf(messages), 1);
  assert.equal(messages.at(-1)?.caughtUp, true);
  assert.match(text, /"code":"0"|"end":\{/);
});

test("logs that are deleted, and the end when none is left", async () => {
  for (const name of tailLogs.framings) {
    const names = [`deleted/${name}/1`, `deleted/${name}/2`];
    await create(...names);
    const tails = both.map((server) => follow(server, name, { names, fromStart: true }));
    for (const tail of tails) await tail.caughtUp();
    for (const log of names) {
      await append(log, values("last"));
      for (const tail of tails)
        await until("the record has arrived", () => tail.messages().some((one) => one.log === log));
      for (const tail of tails) await tail.caughtUp();
      await node.replica.log.named.change({ kind: "delete", log: { name: log } });
      for (const tail of tails)
        await until("the deletion has arrived", () =>
          tail.messages().some((one) => one.deleted && one.log === log),
        );
    }
    const [fromFast, fromReference] = await Promise.all(tails.map((tail) => tail.ended()));
    assert.deepEqual(fromFast, fromReference);
    assert.match(JSON.stringify(fromFast), /all logs of the tail were deleted/);
  }
});

test("requests that are refused", async () => {
  const life = node.replica.log.named.life;
  const requests: readonly Asked[] = [
    {},
    { names: [""] },
    { names: ["a/2", "a/2"] },
    { names: ["a/2"], prefix: "a" },
    { names: ["a/2"], logIds: ["x"] },
    { names: ["a/2"], logIds: [`${life}-999`] },
    { names: ["a/2", "b"], logIds: [""] },
    { names: ["gone"] },
    { names: ["_a"] },
    { names: Array.from({ length: 257 }, (_, at) => `${at}`) },
    { prefix: "a*" },
    { prefix: "x".repeat(256) },
    { prefix: "a", resume: "7" },
    { prefix: "a", resume: `r${life}.1.0`, fromStart: true },
    { prefix: "a", resume: `r${(life ^ 1) >>> 0}.1.0` },
    { prefix: "a", resume: `r${life}.9007199254740991.0` },
  ];
  for (const request of requests) {
    const { messages, text } = await compare(request);
    assert.deepEqual(messages, [], JSON.stringify(request));
    assert.match(text, /"code":"?[a-z1-9]/);
  }
});

test("a deadline ends a tail that waits with the same error", async () => {
  for (const name of tailLogs.framings) {
    const headers = { "content-type": framings[name], "grpc-timeout": "100m", "connect-timeout-ms": "100" };
    const ends = await Promise.all(
      both.map(async (server) => {
        const response = await send(server, tailLogs.path, headers, bodyOf({ prefix: "none/" }));
        return { ...(observed(response, tailLogs.output) as object), messages: [] };
      }),
    );
    assert.deepEqual(ends[0], ends[1]);
    assert.match(JSON.stringify(ends[0]), /the deadline has passed/);
  }
});

test("the permission for each log decides what a prefix shows", async () => {
  const may = (object: string): boolean => object.startsWith("a/") && object !== "a/2";
  const access: ServeOptions["access"] = {
    check: (_caller, object) => may(object),
    authorize(_caller, object) {
      if (!may(object)) throw new Fault("permission-denied", { facts: { object } });
    },
    authenticate: () => undefined,
    onReload: () => () => undefined,
    allowedActions: () => [],
    authorizeSome: () => undefined,
    patternsOf: () => ["a/*"],
  };
  const servers = await openBoth({ access });
  const shown = await compareOpen({ prefix: "", fromStart: true }, servers);
  assert.deepEqual([...new Set(shown.map(({ log }) => log))], ["", "a/🦀"]);
  for (const request of [{ names: ["a/🦀", "a/2"] }, { names: ["default"] }, { prefix: "b" }]) {
    const { text } = await compare(request, servers);
    assert.match(text, /PERMISSION_DENIED|permission_denied|"code":"7"/, text);
  }
});

test("nothing is read ahead for a client that takes nothing, and it misses nothing", async () => {
  const [server] = (await openBoth()) as [PathServer, PathServer];
  const { memory } = server.served;
  const request: Asked = { prefix: "", fromStart: true };
  const all = recordsOf(await compareOpen(request, [server, server]));
  const before = memory.bytes;
  const tail = follow(server, "grpc", request);
  tail.stream.pause();
  await until("bytes wait for the window", () => memory.bytes > before + 100_000);
  assert.ok(memory.bytes < before + 1_000_000, `${memory.bytes - before} bytes wait`);
  tail.stream.resume();
  await tail.caughtUp();
  assert.equal(recordsOf(tail.messages()), all);
  tail.stop();
  await until("the memory is free", () => memory.bytes <= before, {
    explain: () => `${memory.bytes - before} bytes are held`,
  });
});
