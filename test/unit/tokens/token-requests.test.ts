import assert from "node:assert/strict";
import { test } from "node:test";
import { makeSigningKey } from "../../../src/tokens/issue-token.ts";
import { revocationSpareMs, tokenLifeMsMax } from "../../../src/tokens/limits.ts";
import {
  changesFor,
  decodeChange,
  encodeChange,
  keyIdOf,
  requestFrom,
  type TokenRequest,
  TokenState,
} from "../../../src/tokens/mod.ts";

const nowMs = 1_000_000_000_000;
const keyX = async (): Promise<string> => (await makeSigningKey()).x;

function apply(state: TokenState, request: TokenRequest, atMs = nowMs): void {
  for (const change of changesFor(state, request, { nowMs: atMs, isTrusted: true }, "root"))
    state.apply(decodeChange(encodeChange(change)));
}

test("the id of a key is the thumbprint of RFC 7638", () => {
  // RFC 8037, appendix A.3.
  assert.equal(
    keyIdOf("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
  );
});

test("a new key replaces another one, whose tokens stay valid until they have expired, or as long as was asked", async () => {
  const state = new TokenState();
  const [first, second, third] = [await keyX(), await keyX(), await keyX()];
  apply(state, { kind: "add-key", x: first });
  apply(state, { kind: "add-key", x: first });
  assert.equal(state.keys.size, 1, "the same key again changes nothing");
  apply(state, { kind: "add-key", x: second, replaces: keyIdOf(first) });
  assert.equal(state.keys.get(keyIdOf(first))?.retiresMs, nowMs + tokenLifeMsMax);
  apply(state, { kind: "add-key", x: third, replaces: keyIdOf(second), retireAfterMs: 5_000 });
  assert.equal(state.keys.get(keyIdOf(second))?.retiresMs, nowMs + 5_000);
  assert.equal(state.keys.get(keyIdOf(third))?.retiresMs, undefined);
  assert.throws(() => apply(state, { kind: "add-key", x: second }), { kind: "failed-precondition" });
  // A key that has retired is dropped with the next one.
  apply(state, { kind: "add-key", x: await keyX() }, nowMs + 6_000);
  assert.ok(!state.keys.has(keyIdOf(second)));
});

test("what is not a key, an id or a subject is refused, and so is what is not there", async () => {
  const state = new TokenState();
  const x = await keyX();
  const refused: readonly (readonly [TokenRequest, string])[] = [
    [{ kind: "add-key", x: "AAAA" }, "bad-request"],
    [{ kind: "add-key", x: `${x}=` }, "bad-request"],
    [{ kind: "add-key", x, retireAfterMs: -1, replaces: "a" }, "bad-request"],
    [{ kind: "add-key", x, retireAfterMs: Number.NaN, replaces: "a" }, "bad-request"],
    [{ kind: "add-key", x, replaces: "a" }, "not-found"],
    [{ kind: "remove-key", id: "a" }, "not-found"],
    [{ kind: "revoke", id: "" }, "bad-request"],
    [{ kind: "revoke", id: "a b" }, "bad-request"],
    [{ kind: "revoke-subject", subject: "local" }, "bad-request"],
    [{ kind: "revoke-subject", subject: "" }, "bad-request"],
  ];
  for (const [request, kind] of refused)
    assert.throws(
      () => changesFor(state, request, { nowMs, isTrusted: true }, "root"),
      { kind },
      JSON.stringify(request),
    );
});

test("keys, revoked ids and revoked subjects have limits, and what has expired does not count", async () => {
  const state = new TokenState();
  for (let n = 0; n < 16; n++) apply(state, { kind: "add-key", x: await keyX() });
  const x = await keyX();
  assert.throws(() => apply(state, { kind: "add-key", x }), { kind: "quota-exceeded" });
  for (let n = 0; n < 8_192; n++) apply(state, { kind: "revoke", id: `t${n}`, expiresMs: nowMs + 10 });
  assert.throws(() => apply(state, { kind: "revoke", id: "more" }), { kind: "quota-exceeded" });
  apply(state, { kind: "revoke", id: "t1" });
  apply(state, { kind: "revoke", id: "more" }, nowMs + 11 + revocationSpareMs);
  for (let n = 0; n < 1_024; n++) apply(state, { kind: "revoke-subject", subject: `s${n}` });
  assert.throws(() => apply(state, { kind: "revoke-subject", subject: "more" }), { kind: "quota-exceeded" });
});

test("a leader whose clock is a day ahead forgets no revocation that counts when it is right again", () => {
  const state = new TokenState();
  const day = 24 * 3_600_000;
  apply(state, { kind: "revoke", id: "stolen", expiresMs: nowMs + 3_600_000 });
  for (const change of state.compacted(nowMs + day)) state.apply(change);
  assert.ok(state.revokedIds.has("stolen"));
  for (const change of state.compacted(nowMs + 3 * day)) state.apply(change);
  assert.ok(!state.revokedIds.has("stolen"));
});

test("compacted records define the same state, without what has expired, and fit into one batch", async () => {
  const state = new TokenState();
  for (let n = 0; n < 16; n++) apply(state, { kind: "add-key", x: await keyX() });
  for (let n = 0; n < 8_192; n++)
    apply(state, {
      kind: "revoke",
      id: `${n}`.padEnd(64, "x"),
      expiresMs: nowMs + (n % 2 === 0 ? 10 : 100_000),
    });
  for (let n = 0; n < 1_024; n++) apply(state, { kind: "revoke-subject", subject: `${n}`.padEnd(256, "ä") });
  const changes = state.compacted(nowMs + 10 + revocationSpareMs);
  const again = new TokenState();
  let bytes = 0;
  for (const change of [{ kind: "revoke", id: "old", untilMs: 1 } as const, ...changes]) {
    const encoded = encodeChange(change);
    bytes += encoded.length;
    again.apply(decodeChange(encoded));
  }
  assert.deepEqual(again.keys, state.keys);
  assert.deepEqual(again.revokedSubjects, state.revokedSubjects);
  assert.equal(again.revokedIds.size, 4_096);
  assert.equal(again.records, changes.length);
  assert.ok(bytes < 2 * 2 ** 20, `${bytes}`);
});

test("records and requests that are malformed are refused", () => {
  for (const text of [
    "",
    "{}",
    "[]",
    '["key"]',
    '["revoke","a"]',
    '["revoke","a",-1]',
    '["own","a",1]',
    "[[1]]",
  ])
    assert.throws(() => decodeChange(Buffer.from(text)), { kind: "corrupt" }, text);
  for (const value of [undefined, null, {}, { kind: "own" }, { kind: "revoke", id: 1 }, []])
    assert.throws(() => requestFrom(value), { kind: "bad-request" });
});
