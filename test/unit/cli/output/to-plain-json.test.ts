/** Messages as JSON for scripts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { toPlainJson } from "../../../../src/cli/output/to-plain-json.ts";
import {
  DescribeResponseSchema,
  RecordSchema,
  StatusResponseSchema,
} from "../../../../src/gen/log/v1/log_pb.js";

test("fields have the names of the .proto file, 64-bit integers are numbers, and zeros are included", () => {
  const status = toPlainJson(StatusResponseSchema, create(StatusResponseSchema, { id: "n1", term: 7n }));
  assert.deepEqual([status["id"], status["term"], status["commit"], status["voters"]], ["n1", 7, 0, []]);
  assert.equal(
    Object.keys(toPlainJson(DescribeResponseSchema, create(DescribeResponseSchema)))[0],
    "lowest_offset",
  );
});

test("messages in a list are objects, and bytes are base64", () => {
  const value = Buffer.from("hi");
  const record = create(RecordSchema, { value, headers: [{ key: "h", value }] });
  const { headers, value: text } = toPlainJson(RecordSchema, record);
  assert.deepEqual([headers, text], [[{ key: "h", value: "aGk=" }], "aGk="]);
});
