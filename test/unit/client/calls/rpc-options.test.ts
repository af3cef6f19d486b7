import assert from "node:assert/strict";
import { test } from "node:test";
import { rpcOptions } from "../../../../src/client/calls/rpc-options.ts";

test("a limit that an attempt does not have is absent: Connect would take undefined as given", () => {
  const { signal } = new AbortController();
  assert.deepEqual(Object.keys(rpcOptions({ signal: undefined, timeoutMs: undefined })), []);
  assert.deepEqual(rpcOptions({ signal, timeoutMs: 0 }), { signal, timeoutMs: 0 });
});
