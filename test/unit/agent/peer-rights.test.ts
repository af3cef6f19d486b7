/**
 * Which connections may be peers, at the start of a link and after a change of the rules.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { AccessControl, type Identity, namedIdentity } from "../../../src/access/mod.ts";
import { PeerRights } from "../../../src/agent/peer-rights.ts";
import { logLines } from "../../support/log/log-lines.ts";

const node = (name: string): Identity => ({
  ...namedIdentity(name, true),
  sans: [`URI:urn:tailrace:node:${name}`],
});

test("a link must have the certificate of its node, and the permission 'peer'", async () => {
  const access = await AccessControl.open({ policy: "p, a, *, peer" });
  using rights = new PeerRights(access, logLines().log);
  assert.equal(rights.of(new PassThrough(), node("a"))({ name: "a" }), undefined);
  assert.equal(rights.of(new PassThrough(), node("a"))({ name: "b" }), "the certificate is not that of b");
  assert.equal(rights.of(new PassThrough(), node("b"))({ name: "b" }), "b may not be a peer");
});

test("a link that loses its permission is closed, and other links stay open", async () => {
  const access = await AccessControl.open({ policy: "p, a, *, peer\np, b, *, peer\np, c, *, peer" });
  const { log, lines } = logLines();
  using rights = new PeerRights(access, log);
  const links = ["a", "b", "c"].map((name) => {
    const socket = new PassThrough();
    rights.of(socket, node(name));
    return socket;
  });
  const [a, b, c] = links;
  c?.destroy();
  await once(c!, "close");
  await access.setPolicy({ policy: "p, a, *, peer" });
  assert.deepEqual([a?.destroyed, b?.destroyed], [false, true]);
  assert.deepEqual(
    lines.map(({ facts }) => facts["subject"]),
    ["b"],
  );
});
