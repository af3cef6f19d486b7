import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { readErrorInfo } from "../../../web/src/core/error-info.ts";

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const key = text.filter((found) => found !== "__proto__");

test("ErrorInfo is read as protobuf-es wrote it", () => {
  fc.assert(
    fc.property(text, text, fc.dictionary(key, text), (reason, domain, metadata) => {
      const bytes = toBinary(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain, metadata }));
      const found = readErrorInfo(bytes);
      assert.equal(found.reason, reason);
      assert.deepEqual({ ...found.metadata }, { ...metadata });
    }),
    { seed: 5, numRuns: 300 },
  );
});

test("bytes that are no ErrorInfo are refused", () => {
  assert.throws(() => readErrorInfo(new Uint8Array([0x0a, 0x7f, 0x01])), RangeError);
});
