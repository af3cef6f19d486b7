import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppendRequest } from "../../../../../src/api/http/exchange/append-requests.ts";

test("appends are the POST requests that carry records, whatever their query", () => {
  for (const target of [
    "/",
    "/?key=a",
    "/log.v1.Log/Produce",
    "/log.v1.Log/ProduceBatch",
    "/log.v1.Log/ProduceStream",
    "/log.v1.Log/ProduceBulk",
    "/logs/a/b",
    "/v1/stream/a?x=/",
  ]) {
    assert.equal(isAppendRequest("POST", target), true, target);
    assert.equal(isAppendRequest("PUT", target), false, target);
    assert.equal(isAppendRequest(undefined, target), false, target);
  }
});

test("reads and changes of logs are not appends", () => {
  for (const target of [
    "/log.v1.Log/Consume",
    "/log.v1.Log/Trim",
    "/log.v1.Logs/CreateLog",
    "/tail",
    "",
    "?/",
  ])
    assert.equal(isAppendRequest("POST", target), false, target);
});
