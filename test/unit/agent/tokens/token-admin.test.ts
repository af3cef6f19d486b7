/** Keys and revocations at the leader, with a log in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TokenAdmin, type TokenAdminOptions } from "../../../../src/agent/tokens/token-admin.ts";
import { TokenState } from "../../../../src/tokens/mod.ts";

const dayMs = 86_400_000;

function openAdmin(time: { nowMs: number; isTrusted: boolean }): {
  readonly admin: TokenAdmin;
  readonly appended: Uint8Array[];
} {
  const state = new TokenState();
  const appended: Uint8Array[] = [];
  const named = {
    admin: {
      level: { prepare: async () => undefined },
      creation: { create: async () => undefined },
      trim: async () => undefined,
      presentTime: () => time,
    },
    open: () => ({
      append: async (run: Uint8Array) => {
        appended.push(run);
        return { firstOffset: appended.length - 1 };
      },
    }),
  };
  // Far more records than count: the log is due to be written again.
  for (let n = 0; n < 400; n++) state.apply({ kind: "revoke", id: "gone", untilMs: 1_000 });
  const registry = { state, next: 0, refresh: async () => undefined };
  const replica = { ready: true, log: { named } };
  const clock = { monotonicMs: () => 0, wallMs: () => time.nowMs };
  const admin = new TokenAdmin({ replica, registry, clock } as unknown as TokenAdminOptions);
  return { admin, appended };
}

test("revocations are forgotten only by a clock that is trusted", async () => {
  const root = { subject: "root", isPeer: false } as never;
  const ahead = openAdmin({ nowMs: 900 * dayMs, isTrusted: false });
  await ahead.admin.change({ kind: "revoke", id: "a" }, root);
  assert.equal(ahead.appended.length, 1, "the revocation alone");
  const trusted = openAdmin({ nowMs: 900 * dayMs, isTrusted: true });
  await trusted.admin.change({ kind: "revoke", id: "a" }, root);
  assert.equal(trusted.appended.length, 2, "the revocation, and the log again");
});
