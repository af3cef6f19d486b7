import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { limitRequestBody } from "../../../../src/api/request-limits/request-body-limits.ts";
import { encodeEnvelope } from "../../../../src/lib/envelope.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { MemoryBudget } from "../../../../src/memory/mod.ts";

type Kind = Parameters<typeof limitRequestBody>[1];

/** The limited body of a request with this body. */
function limited(
  body: AsyncIterable<Uint8Array>,
  kind: Kind,
  options: { late?: boolean; budget?: number } = {},
) {
  const clock = systemClock;
  const memory = new MemoryBudget({ limit: options.budget ?? 1_000_000, clock });
  const request = {
    httpVersion: "2.0",
    method: "POST",
    url: "http://localhost/",
    header: new Headers(),
    body,
    signal: new AbortController().signal,
    contextValues: createContextValues(),
  };
  limitRequestBody(request, kind, {
    share: memory.share("in"),
    clock,
    deadlineMs: () => (options.late ? clock.monotonicMs() : undefined),
    messageBytesMax: 100,
  });
  return request.body;
}
async function* chunksOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
async function collected(body: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return chunks;
}
const codeOf = (code: Code) => (reason: unknown) => reason instanceof ConnectError && reason.code === code;

test("a body within the limits is passed on unchanged", async () => {
  const chunks = [Buffer.from("ab"), Buffer.from("c")];
  for (const kind of ["unary", "bidi_streaming"] as const)
    assert.equal(Buffer.concat(await collected(limited(chunksOf(...chunks), kind))).toString(), "abc");
});

test("a body that is not complete at the deadline fails", async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("a");
    await new Promise(() => undefined);
  }
  await assert.rejects(collected(limited(endless(), "unary", { late: true })), codeOf(Code.DeadlineExceeded));
});

test("a body that exceeds the memory budget is overloaded", async () => {
  const body = limited(chunksOf(Buffer.alloc(200_000)), "unary", { budget: 100_000 });
  await assert.rejects(collected(body), codeOf(Code.ResourceExhausted));
});

test("the messages before one that is too large come in a chunk of their own", async () => {
  const small = encodeEnvelope(Buffer.from("small"));
  const large = encodeEnvelope(Buffer.alloc(101));
  const chunks = await collected(limited(chunksOf(Buffer.concat([small, large])), "client_streaming"));
  assert.deepEqual(
    chunks.map(({ length }) => length),
    [small.length, large.length],
  );
});
