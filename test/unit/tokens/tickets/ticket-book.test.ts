import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { type Identity, namedIdentity, type TicketLogs } from "../../../../src/access/mod.ts";
import { Fault } from "../../../../src/fault.ts";
import { parseTicket, TicketBook, ticketIdentity } from "../../../../src/tokens/tickets/ticket-book.ts";
import {
  ticketLifeMs,
  ticketsMax,
  ticketsOfSubjectMax,
} from "../../../../src/tokens/tickets/ticket-limits.ts";
import { TestTokens } from "../../../support/tokens/test-tokens.ts";

const orders: TicketLogs = { objects: ["orders"] };
const alice = namedIdentity("alice");

class Setup {
  nowMs = 0;
  readonly book = new TicketBook({
    node: "node 1 ✓",
    random: randomBytes,
    clock: { monotonicMs: () => this.nowMs },
  });
  make = (holder: Identity = alice, logs: TicketLogs = orders): string => this.book.issue(holder, logs);
  take = (ticket: string) => this.book.take(parseTicket(ticket).digest);
}

const isInvalid = (reason: unknown): boolean =>
  reason instanceof Fault &&
  reason.kind === "unauthenticated" &&
  reason.facts.reason === "TICKET_INVALID" &&
  /was used, is older than 30 s/.test(reason.message);

test("a ticket names its node, and is taken once", () => {
  const { make, take, book } = new Setup();
  const [ticket, other] = [make(), make()];
  assert.equal(parseTicket(ticket).node, "node 1 ✓");
  assert.deepEqual(take(ticket), { holder: alice, logs: orders, endMs: ticketLifeMs });
  assert.throws(() => take(ticket), isInvalid);
  assert.deepEqual(take(other).holder, alice);
  assert.equal(book.size, 0);
});

test("a ticket can be used for its time, on the monotonic clock, and is forgotten afterwards", () => {
  const setup = new Setup();
  assert.ok(ticketLifeMs <= 60_000);
  const [last, late] = [setup.make(), setup.make()];
  setup.nowMs = ticketLifeMs - 1;
  setup.take(last);
  setup.nowMs = ticketLifeMs;
  assert.throws(() => setup.take(late), isInvalid);
  setup.make();
  setup.nowMs = 3 * ticketLifeMs;
  setup.make();
  assert.equal(setup.book.size, 1);
});

test("a text that is no ticket is refused, and no ticket of another random part is found", () => {
  const { make, take } = new Setup();
  const [node] = make().split(".");
  const secret = randomBytes(32).toString("base64url");
  for (const text of [
    "",
    ".",
    "a.b",
    `${node}.${secret}x`,
    `${node}.${secret.slice(1)}`,
    `${node}.${secret}`,
    secret,
  ])
    assert.throws(() => take(text), isInvalid, text);
});

test("the open tickets of a subject, and of all, are limited", () => {
  const setup = new Setup();
  const first = setup.make();
  for (let n = 1; n < ticketsOfSubjectMax; n++) setup.make();
  const isLimit = (limit: number) => (reason: unknown) =>
    reason instanceof Fault && reason.kind === "overloaded" && reason.facts.limit === limit;
  assert.throws(() => setup.make(), isLimit(ticketsOfSubjectMax));
  setup.make(namedIdentity("bob"));
  setup.take(first);
  setup.make();
  assert.throws(() => setup.make(), isLimit(ticketsOfSubjectMax));
  for (let n = 0; setup.book.size < ticketsMax; n++) setup.make(namedIdentity(`subject ${n}`));
  assert.throws(() => setup.make(namedIdentity("last")), isLimit(ticketsMax));
  setup.nowMs = ticketLifeMs;
  setup.make();
  assert.equal(setup.book.size, 1);
});

test("the holder of a ticket has the rights of its maker to read these logs, and no other", async () => {
  const tokens = await TestTokens.make();
  const token = await tokens.issue("alice", { scope: "logs=orders/*,log:consume,produce,describe", id: "t" });
  const maker = await tokens.verifier.identify(token, "192.0.2.7:1");
  const scopesOf = (holder: Identity, logs: TicketLogs) => ticketIdentity({ holder, logs }).token!.scopes!;
  const one = scopesOf(maker, { objects: ["orders/eu", "*", "other"] });
  assert.ok(one.allows("orders/eu", "consume"));
  assert.ok(!one.allows("orders/us", "consume"), "the ticket is not for it");
  assert.ok(!one.allows("other", "consume") && !one.allows("*", "consume"), "the token does not have it");
  for (const action of ["produce", "describe", "admin", "create", "cursor", "peer"] as const)
    assert.ok(!one.allows("orders/eu", action) && !one.allowsSome("produce"), action);
  assert.ok(one.allowsSome("consume"));
  assert.equal(one.narrow(["*"], "consume"), undefined, "each log is asked about");
  assert.deepEqual(one.narrow(["*"], "produce"), []);
  const some = scopesOf(maker, { prefix: "orders/e" });
  assert.ok(some.allows("orders/eu", "consume") && !some.allows("orders/us", "consume"));
  assert.deepEqual(some.narrow(["*"], "consume"), ["orders/e*"]);
  assert.deepEqual(some.narrow(["a*", "z"], "consume"), []);
  const all = scopesOf(alice, { prefix: "" });
  assert.ok(all.allows("orders", "consume") && all.allows("orders", "cursor"));
  assert.ok(!all.allows("*", "consume"), "the prefix does not include the log default");
  assert.deepEqual(all.narrow(["a*", "z"], "consume"), ["a*", "z"]);
});

test("a ticket ends with the token that made it", async () => {
  const tokens = await TestTokens.make();
  const maker = await tokens.verifier.identify(await tokens.issue("alice", { id: "t" }), "192.0.2.7:1");
  const { token } = ticketIdentity({ holder: maker, logs: orders });
  assert.deepEqual([token?.form, token?.id, token?.expiresMs], ["ticket", "t", maker.token?.expiresMs]);
  assert.equal(token?.invalid(), undefined);
  assert.ok(token!.leftMs() > 0 && token!.leftMs() <= 600_000);
  tokens.change({ kind: "revoke", id: "t", untilMs: Number.MAX_SAFE_INTEGER });
  assert.equal(token?.invalid()?.facts.reason, "TOKEN_REVOKED");
  const ofCertificate = ticketIdentity({ holder: alice, logs: orders }).token;
  assert.deepEqual(
    [ofCertificate?.invalid(), ofCertificate?.leftMs()],
    [undefined, Number.POSITIVE_INFINITY],
  );
});
