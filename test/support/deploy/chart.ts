/** Renders the chart of deploy/helm with helm. */
import { spawnSync } from "node:child_process";
import { parseAllDocuments, stringify } from "yaml";
import { deployFile } from "../telemetry/deploy-files.ts";
import type { Manifest } from "./manifests.ts";

export const chart = deployFile("helm/tailrace");
export const namespace = "logs";
export const kubernetesVersion = "1.34.0";

export interface HelmRun {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs helm with these values on its standard input, which `-f -` reads. */
export function helm(args: readonly string[], values: object = {}): HelmRun {
  const run = spawnSync("helm", args, { encoding: "utf8", input: stringify(values) });
  if (run.error !== undefined) throw run.error;
  return { status: run.status, out: run.stdout, err: run.stderr };
}

/** Values without which nothing is rendered. */
export const needed = { gossip: { key: Buffer.alloc(32, 7).toString("base64") } } as const;

/** The chart as helm would install it. */
export function renderText(values: object = needed): HelmRun {
  return helm(
    ["template", "tailrace", chart, "--namespace", namespace, "--kube-version", kubernetesVersion, "-f", "-"],
    values,
  );
}

const rendered = new Map<string, string>();

/**
 * The same text, rendered once for the same values.
 * @throws Error with the message of helm
 */
export function textOf(values: object = needed): string {
  const key = JSON.stringify(values);
  const known = rendered.get(key);
  if (known !== undefined) return known;
  const { status, out, err } = renderText(values);
  if (status !== 0) throw new Error(err);
  rendered.set(key, out);
  return out;
}

/** The manifests, as Kubernetes reads them: with YAML 1.1, in which 0440 is octal. @throws Error with the message of helm */
export function render(values: object = needed): readonly Manifest[] {
  return parseAllDocuments(textOf(values), { version: "1.1" }).flatMap((document) => {
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}
