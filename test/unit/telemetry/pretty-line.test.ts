import assert from "node:assert/strict";
import { test } from "node:test";
import { prettyLine } from "../../../src/telemetry/pretty-line.ts";

const line = (facts: object): string =>
  prettyLine(
    JSON.stringify({ level: "warn", time: "2026-01-02T03:04:05.678Z", msg: "call", ...facts }),
    false,
  );

test("a line has its time, level, message and facts; a fact that is not one word is quoted", () => {
  assert.match(
    line({ code: "ok", subject: "a b", empty: "", count: 3 }),
    /^\d\d:\d\d:05\.678 WARN {2}call {2}code=ok {2}subject="a b" {2}empty="" {2}count=3\n$/,
  );
});

test("a text that could pass for another fact is quoted", () => {
  assert.match(line({ subject: "x admin=yes" }), / {2}subject="x admin=yes"\n$/);
  assert.match(line({ subject: "a=b" }), / {2}subject="a=b"\n$/);
});

test("a stack stands below its line, indented", () => {
  const text = line({ err: { type: "TypeError", stack: "TypeError: x\nat f" } });
  assert.match(text, /err=\{"type":"TypeError"\}\n {4}TypeError: x\n {4}at f\n$/);
});

test("text that is not JSON stays as it is", () => {
  assert.equal(prettyLine("Segmentation fault\n", true), "Segmentation fault\n");
});
