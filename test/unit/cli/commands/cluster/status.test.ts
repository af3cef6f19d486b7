/** The output of `tailrace status`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { statusOutput } from "../../../../../src/cli/commands/cluster/status.ts";
import { StatusResponseSchema } from "../../../../../src/gen/log/v1/log_pb.js";

const candidate = create(StatusResponseSchema, {
  id: "n1",
  role: "candidate",
  term: 7n,
  commit: 12n,
  applied: 11n,
  voters: ["n1", "n2", "n3"],
  reasons: ["there is no leader"],
});

test("the data is one line of JSON, on a terminal as in a pipe", () => {
  const { data, message } = statusOutput(candidate, false);
  assert.match(data, /^\{"id":"n1",.*\}\n$/);
  assert.equal(statusOutput(candidate, true).data, data);
  assert.equal(message, "not ready: there is no leader\n");
});

test("the status on a terminal starts with whether the node is ready, and why not", () => {
  assert.equal(
    statusOutput(candidate, true).message,
    "n1 is not ready\n  there is no leader\nrole      candidate, term 7, no leader is known\nindex     11 applied, 12 committed\nvoters    n1, n2, n3\n",
  );
});
