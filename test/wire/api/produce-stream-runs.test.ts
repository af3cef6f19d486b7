/**
 * Messages of a ProduceStream that arrive together are one append on the fast path, also those of a producer. Each message must
 * have the outcome that it has alone, as Connect's handler appends it: offset, duplicate, and the error that ends the stream.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.js";
import { ProduceResponseSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { type Prng, prng } from "../../../src/lib/prng.ts";
import { grpcHeaders, H2Client } from "../../bench/load/h2-client.ts";
import {
  envelopesOf,
  methods,
  openPathServer,
  type PathServer,
  produceRequest,
} from "../../support/http/fast-path-servers.ts";
import { allValues } from "../../support/log/logs.ts";
import { type OneNodeLog, openOneNode } from "../../support/log/one-node-log.ts";
import { scratch } from "../../support/scratch.ts";

/** A server of a log of its own. */
interface Side extends PathServer {
  readonly node: OneNodeLog;
}

const closing = new AsyncDisposableStack();
let fast: Side;
let reference: Side;

before(async () => {
  const [one, other] = await Promise.all([true, false].map(open));
  fast = one!;
  reference = other!;
});

after(() => closing.disposeAsync());

async function open(isFast: boolean): Promise<Side> {
  const node = closing.use(await openOneNode(scratch({ after: (work) => closing.defer(work) })));
  const { log } = node.replica;
  await log.named.change({ kind: "create", name: "named", settings: {} });
  const server = await openPathServer(isFast, { log, named: log.named });
  closing.use(server.served);
  closing.defer(() => server.session.destroy());
  return Object.assign(server, { node });
}

interface Message {
  readonly value: string;
  readonly id?: bigint;
  readonly epoch?: number;
  readonly sequence?: number;
  readonly log?: string;
}

const encode = ({ value, id, epoch = 0, sequence = 0, log = "" }: Message): Uint8Array =>
  encodeEnvelope(
    produceRequest({
      log,
      record: { value: Buffer.from(value) },
      ...(id === undefined ? {} : { producer: { id, epoch, sequence: BigInt(sequence) } }),
    }),
  );

/** `count` messages of a producer from `sequence` on. */
const numbered = (id: bigint, sequence: number, count: number, more: Partial<Message> = {}): Message[] =>
  Array.from({ length: count }, (_, n) => ({
    value: `${id}/${sequence + n}`,
    id,
    sequence: sequence + n,
    ...more,
  }));

/** Sends a stream with these messages. */
function stream({ session }: Side, messages: readonly Message[]) {
  return new Promise<{ acks: unknown[]; code: unknown; info: unknown }>((resolve, reject) => {
    const headers = { "content-type": "application/grpc", te: "trailers" };
    const request = session.request({ ":method": "POST", ":path": methods.produceStream.path, ...headers });
    const chunks: Buffer[] = [];
    let trailers: Record<string, unknown> = {};
    request.on("trailers", (tail) => {
      trailers = { ...tail };
    });
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", reject);
    request.on("close", () => {
      const acks = acksIn(Buffer.concat(chunks));
      resolve({ acks, code: trailers["grpc-status"], info: infoOf(trailers["grpc-status-details-bin"]) });
    });
    request.end(Buffer.concat(messages.map(encode)));
  });
}

const acksIn = (body: Buffer): string[] =>
  envelopesOf(body).map(({ message }) => {
    const { offset, duplicate } = fromBinary(ProduceResponseSchema, message);
    return `${offset}${duplicate ? " again" : ""}`;
  });

/** Sends a stream in these frames, all of which arrive together. Returns the acknowledgments. */
async function sendFrames(port: number, frames: readonly Uint8Array[]): Promise<string[]> {
  const client = await H2Client.open({ port });
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const id = client.request(grpcHeaders(methods.produceStream.path), undefined, {
      onData: (chunk) => chunks.push(chunk),
      onEnd: (reset) => (reset ? reject(new Error("the stream was reset")) : resolve()),
    });
    for (const [n, frame] of frames.entries()) client.write(id, frame, n === frames.length - 1);
  });
  client.close();
  return acksIn(Buffer.concat(chunks));
}

function infoOf(details: unknown): unknown {
  if (details === undefined) return undefined;
  const status = fromBinary(StatusSchema, Buffer.from(String(details), "base64"));
  return status.details
    .filter(({ typeUrl }) => typeUrl.endsWith("ErrorInfo"))
    .map(({ value }) => fromBinary(ErrorInfoSchema, value))
    .map(({ reason, metadata }) => ({ reason, ...metadata }))[0];
}

/** Sends the messages to both. Both outcomes must be the same. */
async function compare(messages: readonly Message[]) {
  const got = await stream(fast, messages);
  assert.deepEqual(got, await stream(reference, messages));
  return got;
}

test("messages that arrive together are one append, also of a producer and in frames of their own", async (t) => {
  const { log } = fast.node.replica;
  for (const messages of [
    numbered(1n, 0, 300),
    Array.from({ length: 300 }, (_, n) => ({ value: `plain ${n}` })),
  ]) {
    const append = t.mock.method(log, "append");
    const acks = await sendFrames(fast.served.port, messages.map(encode));
    // So that both logs have the same end.
    await stream(reference, messages);
    const first = Number(acks[0]);
    assert.deepEqual(
      acks,
      Array.from({ length: 300 }, (_, n) => `${first + n}`),
    );
    assert.ok(append.mock.callCount() <= 10, `${append.mock.callCount()} appends`);
    append.mock.restore();
  }
});

test("of messages that a producer sends again, each that was appended is acknowledged as a duplicate", async () => {
  const first = await compare(numbered(2n, 0, 10));
  const again = await compare(numbered(2n, 5, 10));
  assert.deepEqual(
    again.acks.slice(0, 5),
    first.acks.slice(5).map((ack) => `${ack} again`),
  );
  assert.equal(again.acks.filter((ack) => String(ack).endsWith("again")).length, 5);
  // Those of another producer lie between, so no batch has them all.
  await compare([
    ...numbered(3n, 0, 2),
    ...numbered(2n, 15, 2),
    ...numbered(3n, 2, 2),
    ...numbered(2n, 17, 2),
  ]);
  const apart = await compare(numbered(2n, 14, 9));
  assert.equal(apart.acks.filter((ack) => String(ack).endsWith("again")).length, 5);
  assert.equal(apart.acks.length, 9);
});

test("a message out of sequence ends the stream, and those before it are acknowledged", async () => {
  const gap = await compare([...numbered(4n, 0, 5), ...numbered(4n, 7, 3)]);
  assert.equal(gap.acks.length, 5);
  const { reason, expected, records_before, written } = gap.info as Record<string, string>;
  assert.deepEqual([reason, expected, records_before, written], ["OUT_OF_SEQUENCE", "5", "5", "no"]);
  const fenced = await compare([...numbered(4n, 0, 2, { epoch: 3 }), ...numbered(4n, 5, 2)]);
  assert.equal(fenced.acks.length, 2);
  assert.equal((fenced.info as Record<string, string>)["reason"], "PRODUCER_FENCED");
});

test("producers, epochs and logs in one stream are kept apart", async () => {
  const { code, acks } = await compare([
    ...numbered(5n, 0, 3),
    ...numbered(5n, 0, 3, { log: "named" }),
    ...numbered(6n, 0, 3, { log: "named" }),
    { value: "plain", log: "named" },
    ...numbered(5n, 3, 3, { log: "named" }),
    ...numbered(5n, 3, 3),
    ...numbered(5n, 0, 3, { epoch: 1 }),
    { value: "plain" },
  ]);
  assert.equal(code, "0");
  assert.equal(acks.length, 20);
});

test("any division into frames, with any resends, has the outcome and the records of single appends", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = prng(`frames ${seed}`);
    const messages = randomMessages(random, seed);
    const body = Buffer.concat(messages.map(encode));
    const frames: Uint8Array[] = [];
    for (let at = 0; at < body.length; ) {
      const end = at + random.between(1, random.pick([20, 200, 4000]));
      frames.push(body.subarray(at, end));
      at = end;
    }
    const acks = await sendFrames(fast.served.port, frames);
    assert.deepEqual(acks, (await stream(reference, messages)).acks, `seed ${seed}`);
  }
  assert.deepEqual(await allValues(fast.node), await allValues(reference.node));
});

/**
 * Runs of two producers and of none, some of which begin before the end of the one before: by at most five records, of which the
 * log always knows the offsets. A run with a gap is the last.
 */
function randomMessages(random: Prng, seed: number): Message[] {
  const messages: Message[] = [];
  const next = new Map<bigint, number>();
  for (let left = random.between(1, 8); left > 0; left--) {
    const count = random.between(1, 40);
    if (random.chance(0.2)) {
      for (let n = 0; n < count; n++)
        messages.push({ value: `${seed}.${messages.length}`.repeat(random.between(1, 30)) });
      continue;
    }
    const id = BigInt(100 * seed + random.between(0, 1));
    const end = next.get(id) ?? 0;
    const isAhead = random.chance(0.03);
    const from = isAhead ? end + 1 : Math.max(0, end - (random.chance(0.4) ? random.between(0, 5) : 0));
    messages.push(...numbered(id, from, count));
    if (isAhead) break;
    next.set(id, Math.max(end, from + count));
  }
  return messages;
}
