/** `GET /tail` for several logs: events and lines, resuming, permissions and hostile parameters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessControl } from "../../../src/access/mod.ts";
import { accessAs, type ServedNode, serveNode } from "../../support/http/serve-node.ts";
import { openTail, type TailEvent, type TailReader } from "../../support/http/tail-reader.ts";
import { run } from "../../support/log/logs.ts";
import { until } from "../../support/until.ts";

async function withLogs(node: ServedNode, ...names: string[]): Promise<void> {
  for (const name of names) {
    const { status } = await node.ask("PUT", `/logs/${name}`, "{}");
    assert.equal(status, 201);
  }
}

async function post(node: ServedNode, name: string, ...values: string[]): Promise<void> {
  for (const value of values) {
    const answer =
      name === "default"
        ? await node.ask(
            "POST",
            "/",
            JSON.stringify({ record: { value: Buffer.from(value).toString("base64") } }),
          )
        : await node.ask("POST", `/logs/${name}`, value);
    assert.equal(answer.status, 200, answer.text);
  }
}

const parsed = ({ data }: TailEvent): Record<string, unknown> => JSON.parse(data) as Record<string, unknown>;

/** Opens a tail and takes its first position, which comes before anything else. */
async function openLogs(url: string, headers: Record<string, string> = {}): Promise<TailReader> {
  const tail = await openTail(url, headers);
  if (tail.status !== 200) return tail;
  const first = await tail.next();
  const position = first?.event === "retry" ? await tail.next() : first;
  assert.ok(position?.event === "position" || "position" in parsed(position!), String(position?.data));
  return tail;
}

/** The records up to the next position, as "log value". */
async function records(tail: TailReader): Promise<{ texts: string[]; last: TailEvent | undefined }> {
  const texts: string[] = [];
  let last: TailEvent | undefined;
  for (;;) {
    const event = await tail.next();
    if (event === undefined || event.event === "position") return { texts, last: event ?? last };
    if (event.event !== undefined) continue;
    last = event;
    const { log, text } = parsed(event);
    texts.push(`${log} ${text}`);
  }
}

test("an event has a token as its id, and the record with its log; a Last-Event-ID goes on after it", async () => {
  await using node = await serveNode();
  await withLogs(node, "a/1", "a/2", "b");
  for (const [name, value] of [
    ["a/1", "1"],
    ["b", "2"],
    ["a/2", "3"],
    ["default", "4"],
  ] as const)
    await post(node, name, value);
  const tail = await openLogs(`${node.url}/tail?prefix=a/&from=start&format=text`);
  assert.deepEqual([tail.status, tail.contentType], [200, "text/event-stream"]);
  const first = await tail.next();
  assert.match(String(first?.id), /^r\d+\.\d+\.1$/);
  const { log, log_id: logId, offset, text } = parsed(first!);
  assert.deepEqual([log, offset, text], ["a/1", 0, "1"]);
  assert.match(String(logId), /^\d+-1$/);
  assert.deepEqual((await records(tail)).texts, ["a/2 3"]);
  tail.close();

  const resumed = await openLogs(`${node.url}/tail?prefix=a/&from=end&format=text`, {
    "last-event-id": first!.id!,
  });
  const { texts, last } = await records(resumed);
  assert.deepEqual(texts, ["a/2 3"]);
  assert.match(String(last?.id), /^r\d+\.\d+\.0$/, "a position is resumed at, too");
  resumed.close();
  const byFrom = await openLogs(`${node.url}/tail?log=b&log=default&log=a/2&from=${first!.id}&format=text`);
  assert.deepEqual((await records(byFrom)).texts, ["b 2", "a/2 3", "default 4"]);
  byFrom.close();
});

test("a place that is not on the node is an event for EventSource and a status for lines, for one log and for several", async () => {
  await using node = await serveNode();
  await withLogs(node, "a", "b");
  await post(node, "a", "1");
  await node.node.trim(1, { log: { name: "a" } });
  const { life } = node.node.replica.log.named;
  const lines = { accept: "application/x-ndjson" };
  for (const [query, code] of [
    ["log=a&from=0", "out_of_range"],
    [`log=a&log=b&from=r${life}.9007199254740991.0`, "out_of_range"],
    [`prefix=a&from=r${life}.9007199254740991.0`, "out_of_range"],
    [`prefix=a&from=r${(life ^ 1) >>> 0}.1.0`, "failed_precondition"],
  ] as const) {
    const tail = await openTail(`${node.url}/tail?${query}`, {});
    assert.equal(tail.status, 200, query);
    const events = await tail.all();
    assert.deepEqual(
      events.filter(({ event }) => event === "error").map((event) => parsed(event)["code"]),
      [code],
      query,
    );
    const refused = await fetch(`${node.url}/tail?${query}`, { headers: lines });
    assert.ok(refused.status >= 400, query);
    assert.equal(((await refused.json()) as { code: string }).code, code);
  }
  for (const query of ["log=none", "log=none&log=also", `log=a&log=b&log_id=${life}-9&log_id=`])
    assert.ok((await node.ask("GET", `/tail?${query}`)).status >= 400, query);
});

test("lines hold the token in each record, and a limit ends the stream", async () => {
  await using node = await serveNode();
  await withLogs(node, "a", "b");
  await post(node, "a", "1", "2");
  await post(node, "b", "3");
  const lines = { accept: "application/x-ndjson" };
  const tail = await openLogs(`${node.url}/tail?log=a&log=b&from=start&format=text&limit=2`, lines);
  const all = (await tail.all()).map(parsed);
  assert.deepEqual(
    all.map(({ log, offset, text }) => [log, offset, text]),
    [
      ["a", 0, "1"],
      ["a", 1, "2"],
    ],
  );
  const from = String(all[0]!["resume"]);
  const rest = await openLogs(`${node.url}/tail?log=a&log=b&format=text&from=${from}`, lines);
  assert.deepEqual([parsed((await rest.next())!)["text"], parsed((await rest.next())!)["text"]], ["2", "3"]);
  const position = parsed((await rest.next())!)["position"] as Record<string, unknown>;
  assert.match(String(position["resume"]), /^r\d+\.\d+\.0$/);
  assert.deepEqual(
    (position["ends"] as { log: string; next: number }[]).map(({ log, next }) => [log, next]),
    [
      ["a", 2],
      ["b", 1],
    ],
  );
  await node.ask("DELETE", "/logs/a");
  const { log } = parsed((await rest.next())!)["deleted"] as { log: string };
  assert.equal(log, "a");
  await node.ask("DELETE", "/logs/b");
  const ending = (await rest.all()).map(parsed);
  assert.equal((ending.at(-1)!["error"] as { code: string }).code, "not_found");
});

test("with batch, an event has several records and the reader gets positions, for one log too", async () => {
  await using node = await serveNode({ heartbeatMs: 50 });
  await withLogs(node, "a");
  const values = ["1", "2", "3", "4", "5"].map((value) => ({ value: Buffer.from(value).toString("base64") }));
  const json = { "content-type": "application/vnd.tailrace+json" };
  assert.equal((await node.ask("POST", "/logs/a", JSON.stringify({ records: values }), json)).status, 200);
  for (const [query, id] of [
    ["log=a", /^\d+-\d+\.\d+$/],
    ["prefix=a", /^r\d+\.\d+\.\d+$/],
  ] as const) {
    const response = await fetch(`${node.url}/tail?${query}&from=start&format=text&batch=3`);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      // A busy machine can send positions before the records too.
      const positions = text.match(/^event: position\ndata: .*$/gm) ?? [];
      if (positions.length >= 2 && (query !== "log=a" || /"next":5/.test(positions.at(-1)!))) break;
    }
    const events = text
      .split("\n\n")
      .filter((block) => block.includes("data: {") && !block.includes("event:"));
    const seen = events.flatMap((block) => block.split("\n").filter((line) => line.startsWith("data:")));
    assert.equal(seen.length, 5, text);
    assert.ok(events.every((block) => id.test(/^id: (.*)$/m.exec(block)![1]!)));
    assert.equal(events.length, 2);
    const [, last] = [...text.matchAll(/^event: position\ndata: (.*)$/gm)].at(-1)!;
    const position = JSON.parse(last!) as Record<string, unknown>;
    if (query === "log=a") assert.deepEqual(position, { next: 5, end: 5 });
    else assert.ok(Number(position["end_index"]) >= 3);
  }
});

const policy = `
p, ann, orders/eu*, consume
p, ann, users, consume
p, bob, orders/, consume
p, bob, x, produce
p, all, *, consume
`;

test("each named log is authorized, and a prefix shows only logs that the caller may read", async () => {
  let subject = "all";
  await using node = await serveNode({ access: await accessAs(policy, () => subject), heartbeatMs: 50 });
  const { log } = node.node.replica;
  for (const name of ["orders/eu", "orders/us", "users"])
    await log.named.change({ kind: "create", name, settings: {} });
  for (const name of ["orders/us", "orders/eu", "users"]) await log.append(run("1"), { log: { name } });
  const seenBy = async (who: string, query: string): Promise<string[] | string> => {
    subject = who;
    const tail = await openLogs(`${node.url}/tail?${query}&from=start&format=text`);
    if (tail.status !== 200) {
      const { code, message } = parsed({ data: (await tail.all()).map(({ data }) => data).join("") });
      return `${code}: ${message}`;
    }
    const { texts } = await records(tail);
    tail.close();
    return texts;
  };
  assert.deepEqual(await seenBy("ann", "prefix="), ["orders/eu 1", "users 1"]);
  assert.deepEqual(await seenBy("ann", "prefix=orders/"), ["orders/eu 1"]);
  assert.deepEqual(await seenBy("all", "prefix=orders/"), ["orders/us 1", "orders/eu 1"]);
  assert.deepEqual(await seenBy("ann", "log=orders/eu&log=users"), ["orders/eu 1", "users 1"]);
  const refused = [
    await seenBy("ann", "log=orders/eu&log=orders/us"),
    await seenBy("ann", "log=orders/eu&log=orders/none"),
    await seenBy("ann", "prefix=orders/us"),
    await seenBy("ann", "prefix=none"),
    await seenBy("bob", "prefix=users"),
    await seenBy("eve", "prefix=orders/"),
  ];
  for (const answer of refused) {
    assert.match(String(answer), /^permission_denied: /);
    assert.doesNotMatch(String(answer), /orders\/eu/, "nothing is said about other logs");
  }
});

test("a change of the policy ends the tail of a named log, and takes logs out of a prefix", async () => {
  const access = await AccessControl.open({ policy });
  const caller = { subject: "ann", isPeer: false };
  await using node = await serveNode({
    heartbeatMs: 50,
    access: {
      check: (_, object, action) => access.check(caller, object, action),
      authorize: (_, object, action) => access.authorize(caller, object, action),
      authenticate: () => undefined,
      onReload: (listener) => access.onReload(listener),
      authorizeSome: (_, action) => access.authorizeSome(caller, action),
      patternsOf: (_, action) => access.patternsOf(caller, action),
      allowedActions: (_, object) => access.allowedActions(caller, object),
    },
  });
  const { log } = node.node.replica;
  for (const name of ["orders/eu", "users"]) await log.named.change({ kind: "create", name, settings: {} });
  const named = await openLogs(`${node.url}/tail?log=users&log=orders/eu`);
  const prefixed = await openLogs(`${node.url}/tail?prefix=&format=text`);
  for (const tail of [named, prefixed]) await records(tail);
  await access.setPolicy({ policy: "p, ann, users, consume" });
  for (const name of ["orders/eu", "users"]) await log.append(run("1"), { log: { name } });
  assert.match((await named.all()).at(-1)?.data ?? "", /"code":"permission_denied"/);
  let seen: string[] = [];
  while (seen.length === 0) seen = (await records(prefixed)).texts;
  assert.deepEqual(seen, ["users 1"]);
  prefixed.close();
});

test("parameters that are not clear are refused with a status and the name of the field", async () => {
  await using node = await serveNode();
  await withLogs(node, "a", "b");
  const refused: readonly (readonly [string, number, string])[] = [
    ["prefix=a&prefix=b", 400, "prefix"],
    ["prefix=a&log=b", 400, "prefix"],
    ["log=a&log=a", 400, "names"],
    ["log=a&log=", 400, "names"],
    ["log=a&log=b&log_id=7-1", 400, "log_ids"],
    ["log=a&log=b&log_id=x&log_id=y", 400, "log_ids"],
    ["prefix=a&from=7", 400, "from"],
    ["prefix=a&from=-1", 400, "from"],
    ["prefix=a&from=r1.2", 400, "from"],
    ["log=a&from=r1.2.3", 400, "from"],
    ["prefix=a&x=1", 400, "x"],
    ["prefix=a&limit=0", 400, "limit"],
    ["prefix=a&batch=0", 400, "batch"],
    ["prefix=a&format=xml", 400, "format"],
    ["prefix=a*", 400, "prefix"],
    ["log=a&log=none", 404, ""],
    [`${Array.from({ length: 257 }, (_, n) => `log=l${n}`).join("&")}`, 400, "names"],
  ];
  for (const [query, status, field] of refused) {
    const answer = await node.ask("GET", `/tail?${query}`);
    assert.deepEqual([answer.status, answer.json["field"] ?? ""], [status, field], `${query} ${answer.text}`);
    assert.equal(answer.json["written"], "no");
  }
  const wrong = await node.ask("GET", "/tail?prefix=a", undefined, { "last-event-id": "12" });
  assert.deepEqual([wrong.status, wrong.json["field"]], [400, "Last-Event-ID"]);
  const messages: readonly (readonly [string, RegExp])[] = [
    ["log=a&log=b&log=a", /^the log "a" is named twice$/],
    ["log=a&log=b&from=0", /^from must be start, end or a token /],
    ["log=a&lag=1", /^there is no parameter lag here, only from, .*, log, log_id, prefix$/],
    ["lag=1", /^there is no parameter lag, only from, .*, log, log_id, prefix$/],
  ];
  for (const [query, message] of messages)
    assert.match(String((await node.ask("GET", `/tail?${query}`)).json["message"]), message);
});

test("a client that disconnects frees its tail", async () => {
  await using node = await serveNode();
  await withLogs(node, "a");
  const { tails } = node.node.storedLog.committed;
  const open = await Promise.all(
    Array.from({ length: 20 }, () => openLogs(`${node.url}/tail?prefix=a&from=start`)),
  );
  await until("all tails are open", () => tails.size === 20);
  for (const tail of open) tail.close();
  await until("all tails are gone", () => tails.size === 0);
  assert.equal(node.served.service.calls.openCalls, 0);
});
