/** The alert rules, their tests and the board of deploy/, as far as tests read them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { root } from "../process/process.ts";

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuleTest {
  readonly name: string;
  readonly input_series: readonly { readonly series: string }[];
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
  }[];
}

export interface Board {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

export const deployFile = (path: string): string => join(root, "deploy", path);
const read = (path: string): string => readFileSync(deployFile(path), "utf8");

export const alertRules = (): readonly AlertRule[] =>
  (parse(read("prometheus/alerts.yml")) as { groups: { rules: AlertRule[] }[] }).groups.flatMap(
    ({ rules }) => rules,
  );

export const ruleTests = (): readonly RuleTest[] =>
  (parse(read("prometheus/alerts.test.yml")) as { tests: RuleTest[] }).tests;

export const board = (): Board => JSON.parse(read("grafana/tailrace.json")) as Board;

/** An expression of the board with values for Grafana's variables. */
export const withValues = (expression: string): string =>
  expression
    .replaceAll("$__rate_interval", "1m")
    .replaceAll("$job", "tailrace")
    .replaceAll("$instance", ".*");
