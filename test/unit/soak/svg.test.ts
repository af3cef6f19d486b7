import assert from "node:assert/strict";
import { test } from "node:test";
import { graphOf } from "../../soak/graph.ts";
import { run } from "./made-run.ts";

test("a graph has a panel for each series, with finite numbers, and lines that end with each life", () => {
  const svg = graphOf(run({ restartSeconds: 60 }), "a < b & c", "below");
  assert.match(svg, /^<svg [^>]+>[\s\S]+<\/svg>\n$/);
  assert.equal(svg.match(/<g /g)?.length, 9);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  assert.match(svg, /a &lt; b &amp; c/);
  // Four lives of the first node are four parts of one line.
  const [first = ""] = svg.match(/d="M[^"]+" fill="none" stroke="#2563c9"/) ?? [];
  assert.equal(first.match(/M/g)?.length, 4);
});
