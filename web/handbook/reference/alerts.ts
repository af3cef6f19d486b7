/** The alerts of deploy/prometheus/alerts.yml. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { code, plain, table } from "./table.ts";

interface Alert {
  readonly alert: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly description: string; readonly what_to_do: string };
}

export function alerts(): string {
  const text = readFileSync(new URL("../../../deploy/prometheus/alerts.yml", import.meta.url), "utf8");
  const { groups } = parse(text) as { groups: readonly { readonly rules: readonly Alert[] }[] };
  return table(
    ["alert", "severity", "means", "what to do"],
    groups
      .flatMap(({ rules }) => rules)
      .map(({ alert, labels, annotations }) => [
        code(alert),
        labels.severity,
        plain(annotations.description),
        plain(annotations.what_to_do),
      ]),
  );
}
