/** The alert rules and the board: promtool accepts them, and each rule says what it means, what to do, and has a test. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import {
  alertRules,
  board,
  deployFile,
  ruleTests,
  withValues,
} from "../../support/telemetry/deploy-files.ts";
import { queryOf } from "../../support/telemetry/promql.ts";

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
}

test("promtool accepts the alert rules and the configuration with them", requireProgram("promtool"), () => {
  promtool("check", "rules", deployFile("prometheus/alerts.yml"));
  promtool("check", "config", deployFile("prometheus/prometheus.yml"));
});

test("each alert fires for its series, not for others and not too early", requireProgram("promtool"), () => {
  promtool("test", "rules", deployFile("prometheus/alerts.test.yml"));
});

test("promtool accepts every expression of the board", requireProgram("promtool"), (t) => {
  const rules = board().panels.flatMap(({ id, targets = [] }) =>
    targets.map(({ refId, expr }) => ({ record: `panel:${id}:${refId}`, expr: withValues(expr) })),
  );
  assert.ok(rules.length >= 60);
  const file = join(scratch(t), "board.yml");
  writeFileSync(file, stringify({ groups: [{ name: "board", rules }] }));
  promtool("check", "rules", file);
});

test("each alert has a severity, says what it means and what to do, and has a test", () => {
  const rules = alertRules();
  assert.deepEqual(
    ruleTests().map(({ name }) => name),
    rules.map(({ alert }) => alert),
  );
  for (const { alert, labels, annotations } of rules) {
    assert.match(labels["severity"] ?? "", /^(critical|warning|info)$/, alert);
    assert.deepEqual(Object.keys(annotations), ["summary", "description", "what_to_do"], alert);
    assert.match(annotations["description"] ?? "", /\.$/, alert);
    assert.match(annotations["what_to_do"] ?? "", /\.$/, alert);
  }
});

test("an alert names only labels that its expression keeps", () => {
  const wrong: string[] = [];
  for (const { alert, expr, annotations } of alertRules()) {
    const { grouped, selectors } = queryOf(expr);
    const matched = selectors.flatMap(({ matchers }) => matchers.map(({ label }) => label));
    // Without a group an alert has the labels of its series, of which tests of a node know these.
    const kept = grouped.length > 0 ? grouped : [...matched, "job", "instance", "peer"];
    for (const [, label = ""] of JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g))
      if (!kept.includes(label)) wrong.push(`${alert} names ${label}, and keeps ${kept.join(", ")}`);
  }
  assert.deepEqual(wrong, []);
});

test("the panels of the board have an id, a description and a place of their own", () => {
  const { panels } = board();
  const taken = new Map<string, string>();
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const { type, title, description, gridPos, targets = [] } of panels) {
    if (type !== "row") {
      assert.match(description ?? "", /\.$/, title);
      assert.ok(targets.length > 0, title);
    }
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        const other = taken.get(`${x} ${y}`);
        assert.equal(other, undefined, `${title} covers ${other}`);
        taken.set(`${x} ${y}`, title);
      }
    }
  }
});
