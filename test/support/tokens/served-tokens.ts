/** The service of one node that takes tokens and tickets, with a few logs, for tests. */
import assert from "node:assert/strict";
import { AccessControl } from "../../../src/access/mod.ts";
import { createFastPath } from "../../../src/api/mod.ts";
import { curl } from "../http/curl.ts";
import { type ServedNode, serveNode } from "../http/serve-node.ts";
import { TestTokens } from "./test-tokens.ts";

export interface ServedTokens {
  readonly node: ServedNode;
  readonly tokens: TestTokens;
}

/** The logs are orders, events (a stream) and default. alice and bob may do everything. */
export async function serveWithTokens(closing: AsyncDisposableStack): Promise<ServedTokens> {
  const access = await AccessControl.open({ policy: "p, alice, *, *\np, bob, *, *\n" });
  const tokens = await TestTokens.make();
  tokens.onChange = () => access.recheck();
  const node = closing.use(
    await serveNode({ access, tokens: tokens.verifier, tickets: tokens.tickets, fastPath: createFastPath }),
  );
  const admin = { authorization: `Bearer ${await tokens.issue("bob", { id: "setup" })}` };
  assert.equal((await node.ask("PUT", "/logs/orders", "{}", admin)).status, 201);
  assert.equal((await node.ask("POST", "/logs/orders", "a", admin)).status, 200);
  assert.equal((await node.ask("POST", "/logs/default", "a", admin)).status, 200);
  const stream = await node.ask("PUT", "/v1/stream/events", "", { ...admin, "content-type": "text/plain" });
  assert.equal(stream.status, 201);
  return { node, tokens };
}

/** Makes a ticket, as the holder of the token. `logs` is the body of the request. */
export async function ticketFor(
  { url }: ServedNode,
  token: string | undefined,
  logs: string,
): Promise<string> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { status, text, json } = await curl(`${url}/tickets`, { method: "POST", headers, body: logs });
  assert.equal(status, 201, text);
  assert.equal(json["expires_in_ms"], 30_000);
  return json["ticket"] as string;
}
