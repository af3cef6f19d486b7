/**
 * W3C traceparent: a valid one is parsed and formatted, an invalid one counts as absent.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkedTracestate,
  formatTraceparent,
  parseTraceparent,
} from "../../../src/telemetry/trace-context.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const span = "b7ad6b7169203331";

test("a valid traceparent is parsed and formatted back", () => {
  const text = `00-${trace}-${span}-01`;
  assert.deepEqual(parseTraceparent(text), { traceId: trace, spanId: span, traceFlags: 1 });
  assert.equal(formatTraceparent({ traceId: trace, spanId: span, traceFlags: 1 }), text);
  assert.equal(parseTraceparent(`00-${trace}-${span}-00`)?.traceFlags, 0);
  assert.equal(parseTraceparent(`00-${trace}-${span}-03`)?.traceFlags, 1, "unknown flags are dropped");
});

test("the known fields of a later version are parsed", () => {
  assert.equal(parseTraceparent(`cc-${trace}-${span}-01-what-the-future-brings`)?.spanId, span);
});

for (const [why, text] of Object.entries({
  absent: undefined,
  empty: "",
  "zero trace": `00-${"0".repeat(32)}-${span}-01`,
  "zero span": `00-${trace}-${"0".repeat(16)}-01`,
  "version ff": `ff-${trace}-${span}-01`,
  "more after version 00": `00-${trace}-${span}-01-x`,
  capitals: `00-${trace.toUpperCase()}-${span}-01`,
  short: `00-${trace}-${span.slice(1)}-01`,
  "no flags": `00-${trace}-${span}`,
  space: ` 00-${trace}-${span}-01`,
})) {
  test(`a traceparent with ${why} is invalid`, () => assert.equal(parseTraceparent(text), undefined));
}

test("a tracestate is passed on unless it is too long or not ASCII", () => {
  assert.equal(checkedTracestate("a=1,b=2"), "a=1,b=2");
  assert.equal(checkedTracestate("a=".padEnd(513, "x")), undefined);
  assert.equal(checkedTracestate("a=\n"), undefined);
  assert.equal(checkedTracestate(undefined), undefined);
});
