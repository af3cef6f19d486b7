/**
 * Compares the connections of HTTP/1.1 that the server reads itself with those that Node's parser reads. The same bytes, in
 * the same pieces, go to two servers that differ only in the fast path.
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { AccessControl } from "../../../src/access/mod.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { openPathServer, type PathServer } from "../../support/http/fast-path-servers.ts";
import { TestTokens } from "../../support/tokens/test-tokens.ts";
import { until } from "../../support/until.ts";

let fast: PathServer;
let reference: PathServer;

before(async () => {
  const http = { headersMs: 500, requestMs: 1500, idleMs: 3000 };
  fast = await openPathServer(true, { requestBytesMax: 1024 * 1024, http });
  reference = await openPathServer(false, { requestBytesMax: 1024 * 1024, http });
});

after(async () => {
  for (const { session, served } of [fast, reference]) {
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
});

const body = '{"record":{"value":"QUJD"}}';
const post = (content = body, fields = "", path = "/log.v1.Log/Produce"): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${fields}Content-Length: ${content.length}\r\n\r\n${content}`;
const get = "GET /?offset=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
const last = "GET /?offset=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** In place of a piece: waits for a response. Node drops a response in front of a request that it cannot read. */
const answered = "";

/** Sends the pieces, and returns all that the server sends until it closes the connection. */
async function exchange({ served }: PathServer, pieces: readonly string[]): Promise<string> {
  const socket = connect(served.port, "127.0.0.1");
  socket.setNoDelay(true);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  for (const piece of pieces) {
    if (piece === answered) {
      await until("the request is answered", () => text !== "");
      continue;
    }
    await new Promise<void>((resolve) => socket.write(Buffer.from(piece, "latin1"), () => resolve()));
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  return text;
}

/** The responses in a text, each with its fields in one order and without the date. */
function responsesIn(text: string): string[] {
  const responses: string[] = [];
  for (let rest = text; rest !== ""; ) {
    const end = rest.indexOf("\r\n\r\n");
    const [status = "", ...fields] = rest.slice(0, end).split("\r\n");
    const sorted = fields.map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase())).sort();
    const length = Number(/^content-length: (\d+)$/m.exec(sorted.join("\n"))?.[1] ?? rest.length);
    const start = end < 0 ? 0 : end + 4;
    const shown = sorted.map((field) => field.replace(/^date: .*GMT$/, "date"));
    responses.push([status, ...shown, rest.slice(start, start + length)].join("\n"));
    rest = rest.slice(start + length);
  }
  return responses;
}

async function compare(pieces: readonly string[], servers = [fast, reference] as const): Promise<string[]> {
  const [fromFast = "", fromReference = ""] = await Promise.all(
    servers.map((server) => exchange(server, pieces)),
  );
  const label = JSON.stringify(pieces).slice(0, 400);
  assert.deepEqual(responsesIn(fromFast), responsesIn(fromReference), label);
  await until("all calls have ended", () =>
    servers.every(({ served }) => served.service.calls.openCalls === 0),
  );
  assert.equal(servers[0].served.log.next, servers[1].served.log.next, label);
  return responsesIn(fromFast);
}

test("requests that are usual, unusual or for other routes are answered in their order on one connection", async () => {
  const before = fast.fastRequests;
  await compare([post() + post() + last]);
  assert.equal(fast.fastRequests, before + 2, "the first two are served directly");
  const mixed = [post(), get, post(), post("{"), post(body, "", "/nothing"), get, post()];
  const answers = await compare([mixed.join("") + last]);
  assert.equal(answers.length, mixed.length + 1);
  await compare([...mixed, last]);
});

test("a request that is cut anywhere is served, whatever comes before and after it", async () => {
  const one = post();
  for (let at = 1; at < one.length; at += 7) {
    await compare([one + one.slice(0, at), one.slice(at) + last]);
  }
  await compare([...one, last]);
});

test("a hundred requests that arrive together are answered in their order", async () => {
  const answers = await compare([post().repeat(100) + last]);
  const offsets = answers.slice(0, 100).map((answer) => Number(/"offset":"(\d+)"/.exec(answer)?.[1]));
  assert.deepEqual(
    offsets,
    offsets.map((_, at) => (offsets[0] ?? 0) + at),
  );
});

test("a read sees the append in front of it, and an append waits for a read in front of it", async () => {
  for (let round = 0; round < 5; round++) {
    const offset = `{"offset":"${fast.served.log.next}"}`;
    const read = post(offset, "", "/log.v1.Log/Consume");
    const answers = await compare([read + post() + read + post() + last]);
    assert.deepEqual(
      answers.map((answer) => answer.slice(9, 12)),
      ["400", "200", "200", "200", "200"],
    );
  }
});

test("a request whose deadline has passed is refused and appends nothing", async () => {
  for (const [content, path] of [[body], ["{}", "/log.v1.Log/Consume"]]) {
    const [answer = ""] = await compare([post(content, "Connect-Timeout-Ms: 0\r\n", path) + last]);
    assert.match(answer, /^HTTP\/1.1 504/);
  }
});

test("a head with too many fields is refused", async () => {
  const fields = (count: number): string =>
    Array.from({ length: count }, (_, at) => `f${at}: b\r\n`).join("");
  for (const count of [64, 500, 1000, 1500])
    await compare([post(), answered, post(body, fields(count)) + last]);
});

test("more requests than may wait are all served", async () => {
  assert.equal((await compare([post().repeat(1000) + last])).length, 1001);
});

test("requests on whose end parsers can disagree have the same responses", async () => {
  const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const fields: readonly string[] = [
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 27\r\n",
    "Content-Length : 0\r\n",
    "X: y\r\n Content-Length: 0\r\n",
    "X: y\nContent-Length: 0\r\n",
    "X: y\rContent-Length: 0\r\n",
    "X: \u0000\r\n",
    "X: \u00e9\r\n",
    "X:\r\n",
    "X: y \r\n",
    "Host: localhost\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\nUpgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "Expect: nothing\r\n",
    `X: ${"y".repeat(17_000)}\r\n`,
  ];
  for (const field of fields) await compare([post(), answered, post(body, field) + smuggled + last]);
  for (const request of [
    post().replace("HTTP/1.1", "HTTP/1.0"),
    post().replace("HTTP/1.1", "HTTP/1.2"),
    post().replace("POST ", "POST  "),
    post().replace("POST", "post"),
    post().replace("Host: localhost\r\n", ""),
    post().replace("Content-Length: 27", "Content-Length: +27"),
    post().replace("Content-Length: 27", "Content-Length: 027"),
    post().replace("Content-Length: 27\r\n", ""),
    post().replaceAll("\r\n", "\n"),
    post().replace("/log.v1.Log/Produce", "http://localhost/log.v1.Log/Produce"),
    post().replace("/log.v1.Log/Produce", "/log.v1.Log/Produce?a=b"),
    post().replace("/log.v1.Log/Produce", "/log.v1.Log//Produce"),
    post().replace("/log.v1.Log/Produce", "/log.v1.Log/../log.v1.Log/Produce"),
    post().replace("Host: localhost", "Host: evil.example"),
    `\r\n${post()}`,
  ])
    await compare([post(), answered, request + smuggled + last]);
});

test("a body that is refused before it arrives is read, or ends the connection", async () => {
  const large = `{"record":{"value":"${"A".repeat(900_000)}"}}`;
  const tooLarge = `{"record":{"value":"${"A".repeat(2_000_000)}"}}`;
  const other = "Origin: https://evil.example\r\n";
  for (const path of ["/log.v1.Log/Produce", "/"]) {
    await compare([post(large, "", path) + last]);
    await compare([post(large, other, path) + last]);
    const [answer = ""] = await compare([post(tooLarge, "", path)]);
    assert.match(answer, /connection: close/);
  }
});

test("a head or a body that does not come is refused after its time limit", async () => {
  await compare([post().slice(0, 40)]);
  await compare([post(), answered, post().slice(0, 40)]);
  const [, answer = ""] = await compare([post(), answered, post().slice(0, -5)]);
  assert.match(answer, /408/);
});

test("a client that disconnects in a request leaves nothing behind, and one that sends no more is disconnected", async () => {
  for (const sent of [post().slice(0, -5), post().slice(0, 30), post()]) {
    for (const end of ["destroy", "end"] as const) {
      const sockets: Socket[] = [];
      for (const { served } of [fast, reference]) {
        const socket = connect(served.port, "127.0.0.1");
        socket.on("error", () => undefined);
        socket.resume();
        sockets.push(socket);
        await new Promise<void>((resolve) => socket.write(sent, () => resolve()));
        socket[end]();
      }
      await until("the connections are closed", () => sockets.every(({ destroyed }) => destroyed));
    }
  }
  await until("all calls have ended", () => fast.served.service.calls.openCalls === 0);
});

test("requests with tokens are served directly, from the first one on, and refused alike", async () => {
  await using closing = new AsyncDisposableStack();
  const clock = { ...systemClock, monotonicMs: () => 0 };
  const both = [await TestTokens.make({ clock }), await TestTokens.make({ clock })] as const;
  const [tokens, others] = both;
  others.add(tokens.key);
  const open = async (one: TestTokens): Promise<PathServer> => {
    const access = await AccessControl.open({ policy: "p, alice, *, *\np, bob, *, consume\n" });
    one.onChange = () => access.recheck();
    const server = await openPathServer(one === tokens, { tokens: one.verifier, access });
    closing.defer(async () => {
      server.session.destroy();
      await server.served[Symbol.asyncDispose]();
    });
    return server;
  };
  const pair = [await open(tokens), await open(others)] as const;
  const as = (token: string): string => `Authorization: Bearer ${token}\r\n`;
  const end = (token: string): string => last.replace("Connection", `${as(token)}Connection`);
  const statuses = async (pieces: readonly string[]): Promise<string> =>
    (await compare(pieces, pair)).map((answer) => answer.slice(9, 12)).join(" ");
  const alice = await tokens.issue("alice", { id: "alice" });
  assert.equal(await statuses([post(body, as(alice)) + post(body, as(alice)) + end(alice)]), "200 200 200");
  assert.equal(pair[0].fastRequests, 2, "also the request with which the token came");
  const [first, second] = [await tokens.issue("alice"), await tokens.issue("alice")];
  const mixed = [first, second, first, alice].map((token) => post(body, as(token)));
  // Appends with tokens that are not known yet overtake each other where Connect serves them.
  for (const token of [first, second])
    assert.equal(await statuses([post(body, as(token)) + end(alice)]), "200 200");
  assert.equal(await statuses([mixed.join("") + end(alice)]), "200 200 200 200 200");
  assert.equal(await statuses([...mixed, end(alice)]), "200 200 200 200 200");
  assert.equal(pair[0].fastRequests, 12);

  const [bob, narrow] = [await tokens.issue("bob"), await tokens.issue("alice", { scope: "logs=*:consume" })];
  for (const denied of [bob, narrow, bob]) {
    assert.equal(await statuses([post(body, as(denied)) + end(alice)]), "403 200");
    const consume = post('{"offset":"0"}', as(denied), "/log.v1.Log/Consume");
    assert.equal(await statuses([consume + post(body, as(alice)) + end(alice)]), "200 200 200");
  }
  for (const header of [
    "rubbish",
    "Bearer",
    "Bearer a b",
    "Basic YTpi",
    `bearer ${alice}`,
    `Bearer  ${alice}`,
  ])
    await compare([post(body, `Authorization: ${header}\r\n`) + end(alice)], pair);
  await compare([post(body, as(alice), "/log.v1.Log/Nothing") + end(alice)], pair);
  await compare([post(body, as(alice), "/nowhere") + end(alice)], pair);
  await compare([post(body, `${as(alice)}Origin: https://evil.example\r\n`) + end(alice)], pair);

  tokens.nowMs = () => Date.now() - 3_600_000;
  const expired = await tokens.issue("alice", { lifeMs: 60_000 });
  tokens.nowMs = () => Date.now();
  assert.equal(await statuses([post(body, as(expired)) + end(alice)]), "401 200");
  assert.equal(await statuses([post(body, as(alice)) + post(body, as(expired)) + end(alice)]), "200 401 200");
  for (const one of both) one.change({ kind: "revoke", id: "alice", untilMs: Number.MAX_SAFE_INTEGER });
  assert.equal(await statuses([post(body, as(alice)) + end(first)]), "401 200");
  // A refusal is one failed attempt, also if it was found before the request was passed on.
  const rubbish = Array.from({ length: 25 }, (_, n) => `rubbish${n}`);
  const found: string[] = [];
  for (const token of rubbish) found.push((await statuses([post(body, as(token)) + end(first)])).slice(0, 3));
  assert.equal(found.indexOf("429"), 17, "three attempts failed before");
});
