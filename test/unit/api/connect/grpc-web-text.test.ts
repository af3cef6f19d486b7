import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectError, createContextValues } from "@connectrpc/connect";
import { binaryRequest, isGrpcWebText, textResponse } from "../../../../src/api/connect/grpc-web-text.ts";

async function* chunksOf(chunks: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
}
async function collected(body: AsyncIterable<Uint8Array>): Promise<string[]> {
  const chunks: string[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk).toString());
  return chunks;
}
const requestOf = (chunks: readonly string[]) =>
  binaryRequest({
    httpVersion: "1.1",
    method: "POST",
    url: "http://localhost/",
    header: new Headers({ "content-type": "application/grpc-web-text" }),
    body: chunksOf(chunks),
    signal: new AbortController().signal,
    contextValues: createContextValues(),
  });
const decoded = async (...chunks: string[]): Promise<string> =>
  (await collected(requestOf(chunks).body as AsyncIterable<Uint8Array>)).join("");

test("text mode is known by its content type", () => {
  for (const type of ["application/grpc-web-text", "application/grpc-web-text+proto; charset=x"])
    assert.equal(isGrpcWebText(type), true);
  for (const type of [null, "application/grpc-web", "application/grpc-web-textual"])
    assert.equal(isGrpcWebText(type), false);
});

test("a request body is decoded however it is cut, with padding inside and without padding at the end", async () => {
  assert.equal(requestOf([]).header.get("content-type"), "application/grpc-web+proto");
  const text = `${btoa("hello")}${btoa("you")}${btoa("a").replaceAll("=", "")}`;
  for (let cut = 0; cut <= text.length; cut++)
    assert.equal(await decoded(text.slice(0, cut), text.slice(cut)), "helloyoua");
});

test("a body that is not base64 is refused with a ConnectError", async () => {
  for (const text of ["****", "a", "YQ==="]) await assert.rejects(decoded(text), ConnectError);
});

test("each chunk of a response is padded base64", async () => {
  const response = textResponse({ status: 200, header: new Headers(), body: chunksOf(["a", "bc"]) });
  assert.equal(response.header?.get("content-type"), "application/grpc-web-text+proto");
  assert.deepEqual(await collected(response.body as AsyncIterable<Uint8Array>), [btoa("a"), btoa("bc")]);
});
