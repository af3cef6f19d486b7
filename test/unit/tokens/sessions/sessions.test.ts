import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  cookieCharsMax,
  endedSessionsMax,
  endedSessionsOfSubjectMax,
  revokedIdsMax,
  sessionKeyLifeMs,
  sessionLifeMsMax,
} from "../../../../src/tokens/limits.ts";
import { changesFor, decodeChange, encodeChange, TokenState } from "../../../../src/tokens/mod.ts";
import { seal, unseal } from "../../../../src/tokens/sessions/seal.ts";
import { newSessionId } from "../../../../src/tokens/sessions/session-token.ts";
import {
  decodeSession,
  encodeSession,
  type SessionValue,
} from "../../../../src/tokens/sessions/session-value.ts";
import type { SessionKey } from "../../../../src/tokens/token-state.ts";
import { testSessions } from "../../../support/tokens/test-sessions.ts";
import { TestTokens, testAudience } from "../../../support/tokens/test-tokens.ts";

const peer = "192.0.2.7:1234";

const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "taken",
    (reason) => String(Fault.from(reason).facts.reason ?? Fault.from(reason).kind),
  );

test("a session has the rights of its token, at each node, until logout", async () => {
  const tokens = await TestTokens.make();
  const [here, there] = [testSessions(tokens), testSessions(tokens)];
  const token = await tokens.issue("alice", { scope: "logs=orders/*:consume" });
  const { value, identity } = await here.open(token, peer);
  assert.deepEqual([identity.subject, identity.token?.form], ["alice", "session"]);
  assert.ok(!value.includes(token.slice(0, 20)), "the token cannot be read");
  assert.equal(there.known(value), undefined);
  const used = await there.identify(value, peer);
  assert.equal(there.known(value), used);
  assert.deepEqual([used.subject, used.token?.scopes?.allows("orders/eu", "produce")], ["alice", false]);
  const other = await here.open(token, peer);
  await here.end(value, peer);
  assert.equal(used.token?.invalid()?.facts.reason, "SESSION_ENDED");
  assert.equal(there.known(value), undefined);
  assert.equal(await outcome(there.identify(value, peer)), "SESSION_ENDED");
  assert.equal(await outcome(testSessions(tokens).identify(value, peer)), "SESSION_ENDED");
  assert.equal(await outcome(there.identify(other.value, peer)), "taken");
  assert.equal(await outcome(tokens.verifier.identify(token, peer)), "taken", "the token itself goes on");
  tokens.change({ kind: "revoke", id: "t1", untilMs: Number.MAX_SAFE_INTEGER });
  assert.equal(await outcome(there.identify(other.value, peer)), "TOKEN_REVOKED");
});

test("a cookie that was changed, of another cluster, of another purpose or of no key is refused, and attempts are limited", async () => {
  const tokens = await TestTokens.make();
  const sessions = testSessions(tokens);
  const token = await tokens.issue("alice");
  const { value } = await sessions.open(token, peer);
  const elsewhere = testSessions(tokens, { clusterId: () => "another-cluster" });
  const changed = (at: number): string =>
    `${value.slice(0, at)}${value[at] === "A" ? "B" : "A"}${value.slice(at + 1)}`;
  const wrong = {
    "a first character": changed(value.indexOf(".") + 1),
    "a middle character": changed(value.length >> 1),
    "a last character": changed(value.length - 3),
    "a character of the key": changed(2),
    "more characters": `${value}AAAA`,
    "fewer characters": value.slice(0, -4),
    "other base64": `${value}=`,
    "another cluster": (await elsewhere.open(token, peer)).value,
    "another purpose": await sessions.seal("login", Buffer.alloc(64)),
    "no session": await sessions.seal("session", Buffer.alloc(64)),
    "too short": await sessions.seal("session", Buffer.alloc(4)),
    nothing: "",
    huge: "x".repeat(cookieCharsMax + 1),
    token,
  };
  let address = 0;
  for (const [name, cookie] of Object.entries(wrong))
    assert.equal(await outcome(sessions.identify(cookie, `192.0.2.${++address}:1`)), "SESSION_INVALID", name);
  assert.equal(await outcome(elsewhere.identify(value, "192.0.2.200:1")), "SESSION_INVALID");
  const attempts = await Promise.all(
    Array.from({ length: 40 }, (_, n) => outcome(sessions.identify(`x${n}`, "198.51.100.1:1"))),
  );
  assert.ok(attempts.includes("SESSION_INVALID"));
  assert.equal(await outcome(sessions.identify("y", "198.51.100.1:1")), "overloaded");
  assert.equal(await outcome(sessions.identify(value, "198.51.100.2:1")), "taken");
});

test("a session that has ended is no failed attempt, as often as its cookie comes", async () => {
  const tokens = await TestTokens.make();
  const sessions = testSessions(tokens);
  const [revoked, other] = [await tokens.issue("alice", { id: "a" }), await tokens.issue("bob")];
  const [dead, live] = [await sessions.open(revoked, peer), await sessions.open(other, peer)];
  tokens.change({ kind: "revoke", id: "a", untilMs: Number.MAX_SAFE_INTEGER });
  for (let n = 0; n < 50; n++)
    assert.equal(await outcome(sessions.identify(dead.value, peer)), "TOKEN_REVOKED");
  assert.equal(await outcome(sessions.identify(live.value, peer)), "taken");
  assert.equal(await outcome(tokens.verifier.identify(await tokens.issue("carol"), peer)), "taken");
});

test("the tag of a cluster is that of no other one, and a node without a cluster has none", async () => {
  const tokens = await TestTokens.make();
  const tagOf = async (id: string | undefined) => testSessions(tokens, { clusterId: () => id }).clusterTag;
  const [one, two] = [await tagOf("a-cluster"), await tagOf("another-cluster")];
  assert.match(one ?? "", /^[0-9a-f]{8}$/);
  assert.notEqual(one, two);
  assert.equal(await tagOf("a-cluster"), one);
  assert.equal(await tagOf(undefined), undefined);
});

test("a session ends with its token, and at most after a week", async () => {
  const tokens = await TestTokens.make();
  const sessions = testSessions(tokens);
  const begunMs = tokens.nowMs();
  tokens.nowMs = () => begunMs;
  const short = await sessions.open(await tokens.issue("alice", { lifeMs: 60_000 }), peer);
  const long = await sessions.open(await tokens.issue("alice", { lifeMs: 2 * sessionLifeMsMax }), peer);
  tokens.nowMs = () => short.expiresMs;
  assert.equal(await outcome(sessions.identify(short.value, peer)), "TOKEN_EXPIRED");
  const { token: rights } = await sessions.identify(long.value, peer);
  tokens.nowMs = () => begunMs + sessionLifeMsMax - 2_000;
  assert.equal(rights?.invalid(), undefined);
  assert.ok((rights?.leftMs() ?? 0) <= 2_000);
  tokens.nowMs = () => begunMs + sessionLifeMsMax;
  assert.equal(await outcome(sessions.identify(long.value, peer)), "SESSION_EXPIRED");
});

test("a key seals for a month, and its sessions outlive it", async () => {
  const tokens = await TestTokens.make();
  const sessions = testSessions(tokens);
  const token = await tokens.issue("alice", { lifeMs: 60 * 86_400_000 });
  const other = testSessions(tokens);
  await Promise.all([sessions.open(token, peer), other.open(token, peer)]);
  assert.equal(tokens.state.sessionKeys.size, 1, "nodes that ask at the same time get one key");
  const begunMs = tokens.nowMs();
  tokens.nowMs = () => begunMs + sessionKeyLifeMs - 1_000;
  const { value } = await sessions.open(token, peer);
  tokens.nowMs = () => begunMs + sessionKeyLifeMs + 60_000;
  await sessions.open(token, peer);
  assert.equal(tokens.state.sessionKeys.size, 2);
  const written = new TokenState();
  for (const change of tokens.state.compacted(tokens.nowMs()))
    written.apply(decodeChange(encodeChange(change)));
  assert.deepEqual([...written.sessionKeys], [...tokens.state.sessionKeys]);
  assert.equal(await outcome(sessions.identify(value, peer)), "taken");
  const later = tokens.state.compacted(begunMs + sessionKeyLifeMs + sessionLifeMsMax + 120_000);
  assert.equal(later.filter(({ kind }) => kind === "session-key").length, 1);
});

test("who has the key and a cookie makes the session again after logout, until the subject is revoked", async () => {
  const tokens = await TestTokens.make();
  const sessions = testSessions(tokens);
  const token = await tokens.issue("alice");
  const { value } = await sessions.open(token, peer);
  const key = tokens.state.newestSessionKey as SessionKey;
  const place = { purpose: "session", clusterId: testAudience };
  const held = decodeSession(unseal(key.key, place, value) as Uint8Array) as SessionValue;
  assert.equal(held.token, token, "the key opens the cookie");
  await sessions.end(value, peer);
  const again = (id: string, of: string): string =>
    seal(
      key,
      place,
      encodeSession({ ...held, token: of, id: newSessionId(id, randomBytes) }),
      randomBytes(12),
    );
  const stolen = again("alice", token);
  assert.equal(await outcome(sessions.identify(value, peer)), "SESSION_ENDED");
  assert.equal(await outcome(sessions.identify(stolen, peer)), "taken");
  const forged = again("root", `${token.slice(0, -8)}AAAAAAAA`);
  assert.equal(await outcome(sessions.identify(forged, peer)), "TOKEN_INVALID", "the key alone makes none");
  const time = { nowMs: tokens.nowMs(), isTrusted: true };
  for (const change of changesFor(tokens.state, { kind: "revoke-subject", subject: "alice" }, time, "root"))
    tokens.change(change);
  assert.equal(sessions.known(stolen), undefined);
  for (const cookie of [stolen, again("alice", token)])
    assert.equal(await outcome(sessions.identify(cookie, peer)), "TOKEN_REVOKED");
  assert.equal(await outcome(tokens.verifier.identify(token, peer)), "TOKEN_REVOKED");
  tokens.nowMs = () => time.nowMs + 2_000;
  const next = await sessions.open(await tokens.issue("alice", { id: "t2" }), peer);
  assert.equal(await outcome(sessions.identify(next.value, peer)), "taken", "a new login is valid");
});

test("a token that fits into no cookie is refused, and one that is not valid opens no session", async () => {
  const tokens = await TestTokens.make();
  const sessions = testSessions(tokens);
  const scope = (names: number): string =>
    `logs=${Array.from({ length: names }, (_, n) => `${randomBytes(12).toString("hex")}${n}`).join(",")}:consume`;
  assert.equal(
    await outcome(sessions.open(await tokens.issue("alice", { scope: scope(60) }), peer)),
    "taken",
  );
  assert.equal(
    await outcome(sessions.open(await tokens.issue("alice", { scope: scope(125) }), peer)),
    "too-large",
  );
  assert.equal(await outcome(sessions.open("x.y.z", peer)), "TOKEN_INVALID");
});

test("requests that need a key at the same time cause one change, and a change that fails is made again", async () => {
  const tokens = await TestTokens.make();
  let changes = 0;
  const sessions = testSessions(tokens, {
    change: async () => {
      changes++;
      throw new Fault("unavailable");
    },
  });
  const seal = () => outcome(sessions.seal("login", Buffer.alloc(8)));
  assert.deepEqual(await Promise.all([seal(), seal(), seal()]), Array(3).fill("unavailable"));
  assert.equal(changes, 1);
  await seal();
  assert.equal(changes, 2);
});

test("a subject that logs out often leaves room for the others", async () => {
  const tokens = await TestTokens.make();
  const sessions = testSessions(tokens);
  const [alice, bob] = [await tokens.issue("alice"), await tokens.issue("bob")];
  const logOut = async (token: string): Promise<string> =>
    outcome(sessions.end((await sessions.open(token, peer)).value, peer));
  for (let n = 0; n < endedSessionsOfSubjectMax; n++) assert.equal(await logOut(alice), "taken");
  assert.equal(await logOut(alice), "quota-exceeded");
  assert.equal(await logOut(bob), "taken");
  const laterMs = tokens.nowMs() + 600_000;
  tokens.nowMs = () => laterMs;
  assert.equal(await logOut(await tokens.issue("alice")), "taken", "the ended sessions have expired");
});

test("users who log out leave room for revocations, and the other way around", () => {
  const state = new TokenState();
  const end = (id: string): void => {
    const request = { kind: "end-session", id, untilMs: 2_000 } as const;
    for (const change of changesFor(state, request, { nowMs: 1_000, isTrusted: true }, ""))
      state.apply(change);
  };
  for (let n = 0; n < endedSessionsMax; n++)
    state.apply({ kind: "revoke", id: `session.${n}`, untilMs: 2_000 });
  assert.throws(() => end("A".repeat(22)), /quota|at most 8192 sessions/);
  assert.equal(
    changesFor(state, { kind: "revoke", id: "a" }, { nowMs: 1_000, isTrusted: true }, "").length,
    1,
  );
  for (let n = 0; n < revokedIdsMax; n++) state.apply({ kind: "revoke", id: `t${n}`, untilMs: 2_000 });
  assert.throws(
    () => changesFor(state, { kind: "revoke", id: "a" }, { nowMs: 1_000, isTrusted: true }, ""),
    /at most/,
  );
  for (const id of ["", "a b", "x".repeat(64)]) assert.throws(() => end(id), /id of a session/);
});

test("a session ends in the whole cluster when the clock of the leader is wrong", () => {
  const [untilMs, dayMs] = [1_000_000_000_000, 86_400_000];
  const endedBy = (nowMs: number, isTrusted: boolean): readonly unknown[] =>
    changesFor(
      new TokenState(),
      { kind: "end-session", id: "A".repeat(22), untilMs },
      { nowMs, isTrusted },
      "",
    );
  const ended = [{ kind: "revoke", id: `session.${"A".repeat(22)}`, untilMs }];
  assert.deepEqual(
    endedBy(untilMs + dayMs, false),
    ended,
    "ahead: by its time the session has ended already",
  );
  assert.deepEqual(endedBy(1_000, false), ended, "behind: kept as long as the session lives");
  assert.deepEqual(endedBy(untilMs - 1, true), ended);
  assert.deepEqual(endedBy(untilMs, true), [], "it has ended");
  const endless = { kind: "end-session", id: "A".repeat(22), untilMs: Number.POSITIVE_INFINITY } as const;
  assert.throws(
    () => changesFor(new TokenState(), endless, { nowMs: 1_000, isTrusted: false }, ""),
    { kind: "bad-request" },
    "a peer sends what it wants",
  );
});
