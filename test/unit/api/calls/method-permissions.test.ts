import assert from "node:assert/strict";
import { test } from "node:test";
import { logPermissions, permissionOfPath } from "../../../../src/api/calls/method-permissions.ts";

test("the permission of an RPC is found by its path", () => {
  assert.equal(permissionOfPath("/log.v1.Log/ProduceBatch"), logPermissions.produceBatch);
  assert.equal(permissionOfPath("/log.v1.Cluster/WhoAmI")?.action, undefined);
  assert.equal(permissionOfPath("/log.v1.Log/Trim")?.action, "trim");
  assert.equal(permissionOfPath("/log.v1.Log/Watch")?.action, "describe");
  assert.equal(permissionOfPath("/log.v1.Log/Nope"), undefined);
  assert.equal(permissionOfPath("/grpc.health.v1.Health/Check")?.action, undefined);
});
