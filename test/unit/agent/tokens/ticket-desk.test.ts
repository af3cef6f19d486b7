import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { namedIdentity, type TicketLogs } from "../../../../src/access/mod.ts";
import { TicketDesk, ticketsVerb } from "../../../../src/agent/tokens/ticket-desk.ts";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { unusable } from "../../../../src/tokens/mod.ts";
import { issuerKey, TestIssuer } from "../../../support/tokens/test-issuer.ts";
import { testSessions } from "../../../support/tokens/test-sessions.ts";
import { TestTokens } from "../../../support/tokens/test-tokens.ts";

const peer = "192.0.2.7:1234";
const orders: TicketLogs = { objects: ["orders"] };

/** Two nodes of a cluster. What one asks the other goes through JSON. */
async function twoNodes() {
  const issuers = [new TestIssuer(), new TestIssuer()] as const;
  issuers[1].published = issuers[0].published;
  const tokens = await TestTokens.make({ issuer: issuers[0].tokens });
  const desks = new Map<string, TicketDesk>();
  const asked: string[] = [];
  const setup = { tokens, asked, reply: (answer: unknown): unknown => answer, hold: async () => {} };
  const open = (node: string): TicketDesk => {
    const desk: TicketDesk = new TicketDesk({
      node,
      addressOf: (name) => (desks.has(name) ? `${name}:1` : undefined),
      async ask(address, verb, body) {
        assert.equal(verb, ticketsVerb);
        asked.push(JSON.stringify(body));
        await setup.hold();
        const answer = desks.get(address.slice(0, -2))!.answer(JSON.parse(JSON.stringify(body)));
        return setup.reply(JSON.parse(JSON.stringify(answer)));
      },
      source: tokens,
      issuer: issuers[node === "one" ? 0 : 1].tokens,
      random: randomBytes,
      clock: systemClock,
    });
    desks.set(node, desk);
    return desk;
  };
  return { ...setup, setup, issuers, one: open("one"), two: open("two") };
}

const refusedWith = (kind: string, message: RegExp) => (reason: unknown) =>
  reason instanceof Fault && reason.kind === kind && message.test(reason.message);

test("a ticket is taken at any node, and once in the cluster", async () => {
  const { one, two, asked } = await twoNodes();
  for (const [first, second] of [
    [one, two],
    [two, one],
    [one, one],
    [two, two],
  ] as const) {
    const ticket = one.issue(namedIdentity("alice"), orders);
    const identity = await first.redeem(ticket, peer);
    assert.equal(identity.subject, "alice");
    assert.ok(identity.token?.scopes?.allows("orders", "consume"));
    assert.ok(!identity.token?.scopes?.allows("orders", "produce"));
    await assert.rejects(second.redeem(ticket, peer), refusedWith("unauthenticated", /this ticket was used/));
    assert.ok(
      asked.every((body) => !body.includes(ticket.split(".")[1]!)),
      "only its hash is sent",
    );
  }
});

test("a ticket of a token is worth what the token is worth at the node where it is used", async () => {
  const { one, two, tokens } = await twoNodes();
  const token = await tokens.issue("alice", { scope: "logs=orders:consume", id: "t" });
  const maker = await tokens.verifier.identify(token, "192.0.2.7:1");
  const used = await two.redeem(one.issue(maker, { objects: ["orders", "other"] }), peer);
  assert.ok(used.token?.scopes?.allows("orders", "consume") && !used.token.scopes.allows("other", "consume"));
  assert.deepEqual([used.token?.id, used.token?.expiresMs], ["t", maker.token?.expiresMs]);
  const prefixed = await two.redeem(one.issue(maker, { prefix: "or" }), peer);
  assert.ok(prefixed.token?.scopes?.allows("orders", "consume"));
  const open = one.issue(maker, orders);
  tokens.change({ kind: "revoke", id: "t", untilMs: Number.MAX_SAFE_INTEGER });
  assert.equal(used.token?.invalid()?.facts.reason, "TOKEN_REVOKED");
  await assert.rejects(two.redeem(open, peer), refusedWith("unauthenticated", /token t is revoked/));
});

test("a ticket of a token of an OpenID provider is taken at another node that has its key, and ends with the key there", async () => {
  const { one, two, tokens, issuers } = await twoNodes();
  const maker = await tokens.verifier.identify(
    await issuers[0].sign({ claims: { jti: "j", rights: "logs=orders:consume" } }),
    "192.0.2.7:1",
  );
  const used = await two.redeem(one.issue(maker, { objects: ["orders", "other"] }), peer);
  assert.equal(used.subject, "oidc:alice");
  assert.ok(used.token?.scopes?.allows("orders", "consume") && !used.token.scopes.allows("other", "consume"));
  const open = one.issue(maker, orders);
  const again = one.issue(maker, orders);
  // The second node learns that the provider has another key with the same id.
  issuers[1].published = [issuerKey("k1")];
  await issuers[1].keys.reload();
  assert.equal(used.token?.invalid()?.facts.reason, "TOKEN_KEY_UNKNOWN");
  await assert.rejects(two.redeem(open, peer), { message: unusable().message });
  assert.equal((await one.redeem(again, peer)).subject, "oidc:alice");
  issuers[1].failure = new Error("the provider does not answer");
  issuers[1].published = [];
  await assert.rejects(two.redeem(one.issue(maker, orders), peer), { message: unusable().message });
});

test("a ticket of a session is taken at any node, and its tail ends with the logout", async () => {
  const { one, two, tokens, issuers } = await twoNodes();
  const sessions = testSessions(tokens);
  for (const token of [await tokens.issue("alice"), await issuers[0].sign()]) {
    const { identity, value } = await sessions.open(token, peer);
    const used = await two.redeem(one.issue(identity, orders), peer);
    const open = one.issue(identity, orders);
    assert.equal(used.subject, identity.subject);
    assert.equal(used.token?.expiresMs, identity.token?.expiresMs);
    await sessions.end(value, peer);
    assert.equal(used.token?.invalid()?.facts.reason, "SESSION_ENDED");
    await assert.rejects(two.redeem(open, peer), { message: /was logged out/ });
  }
});

test("the refusal of a ticket does not say whether its node is unknown, is down, or does not have it", async () => {
  const { one, two, setup } = await twoNodes();
  const refusedAs = (reason: unknown): boolean =>
    reason instanceof Fault && reason.message === unusable().message && reason.cause === undefined;
  const [, secret] = one.issue(namedIdentity("alice"), orders).split(".");
  const stranger = `${Buffer.from("stranger").toString("base64url")}.${secret}`;
  await assert.rejects(two.redeem(stranger, peer), refusedAs);
  for (const answer of [
    null,
    {},
    { subject: 1 },
    { subject: "a" },
    { subject: "a", logs: { objects: [1] } },
    { subject: "a", logs: orders, token: {} },
  ]) {
    setup.reply = () => answer;
    await assert.rejects(two.redeem(one.issue(namedIdentity("alice"), orders), peer), refusedAs);
  }
  setup.reply = () => {
    throw new Fault("unreachable");
  };
  await assert.rejects(two.redeem(one.issue(namedIdentity("alice"), orders), peer), refusedAs);
  for (const body of [null, {}, { digest: 1 }])
    assert.throws(() => one.answer(body), refusedWith("bad-request", /malformed/));
});

test("an address whose tickets other nodes refuse waits, and neither an address nor a node takes all requests", async () => {
  const { one, two, setup, asked } = await twoNodes();
  const wrong = (node: string): string =>
    `${Buffer.from(node).toString("base64url")}.${randomBytes(32).toString("base64url")}`;
  const redeem = (ticket: string, from: string): Promise<string> =>
    two.redeem(ticket, from).then(
      () => "taken",
      (reason) => Fault.from(reason).kind,
    );
  for (const [node, address] of [
    ["one", "192.0.2.1:1"],
    ["stranger", "192.0.2.2:1"],
  ] as const) {
    for (let n = 0; n < 20; n++) assert.equal(await redeem(wrong(node), address), "unauthenticated");
    assert.equal(await redeem(wrong(node), address), "overloaded", node);
  }
  assert.equal(asked.length, 20);
  assert.equal(await redeem(one.issue(namedIdentity("alice"), orders), "192.0.2.3:1"), "taken");

  const held = Promise.withResolvers<void>();
  setup.hold = () => held.promise;
  asked.length = 0;
  const from = (address: string): Promise<string>[] =>
    Array.from({ length: 40 }, () => redeem(wrong("one"), address));
  const all = from("192.0.2.4:1");
  await setImmediate();
  assert.equal(asked.length, 32, "for one address");
  all.push(...from("192.0.2.5:1"), ...from("192.0.2.6:1"));
  await setImmediate();
  assert.equal(asked.length, 64, "of one node");
  held.resolve();
  const kinds = await Promise.all(all);
  assert.equal(kinds.filter((kind) => kind === "overloaded").length, 120 - 64);
  assert.equal(await redeem(one.issue(namedIdentity("alice"), orders), "192.0.2.6:1"), "taken");
});
