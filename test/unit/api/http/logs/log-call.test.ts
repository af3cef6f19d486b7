/** The parameters of requests for logs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkParams } from "../../../../../src/api/http/logs/log-call.ts";

test("a part of a filter that is taken for a parameter brings a hint to %26, another name does not", () => {
  const refused = (query: string, message: RegExp): void =>
    assert.throws(() => checkParams(new URLSearchParams(query), ["filter"]), {
      kind: "bad-request",
      message,
    });
  refused("filter=json.level==1&&json.ms>10", /"?json\.ms>10"? here, only filter\. .*write & as %26$/);
  refused("filter=true&&has(json.x)", /%26$/);
  refused("filters=true", /only filter$/);
  checkParams(new URLSearchParams("filter=a%26%26b"), ["filter"]);
});
