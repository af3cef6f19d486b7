/** The output of `tailrace status` on a terminal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { statusText } from "../../../../../src/cli/commands/cluster/status.ts";
import { StatusResponseSchema } from "../../../../../src/gen/log/v1/log_pb.js";

test("the status on a terminal starts with whether the node is ready, and why not", () => {
  const text = statusText(
    create(StatusResponseSchema, {
      id: "n1",
      role: "candidate",
      term: 7n,
      commit: 12n,
      applied: 11n,
      voters: ["n1", "n2", "n3"],
      reasons: ["there is no leader"],
    }),
  );
  assert.equal(
    text,
    "n1 is not ready\n  there is no leader\nrole      candidate, term 7, no leader is known\nindex     11 applied, 12 committed\nvoters    n1, n2, n3\n",
  );
});
