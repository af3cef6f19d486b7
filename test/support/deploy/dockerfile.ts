/** The instructions of deploy/docker/Dockerfile, and what containers get from its last stage. */
import { readFileSync } from "node:fs";
import { deployFile } from "../telemetry/deploy-files.ts";

export interface Instruction {
  readonly keyword: string;
  readonly text: string;
}

export const dockerfile = deployFile("docker/Dockerfile");

/** The instructions, with joined lines and without comments. */
export function instructions(): readonly Instruction[] {
  const lines = readFileSync(dockerfile, "utf8")
    .split("\n")
    .filter((line) => !line.startsWith("#"));
  return lines
    .join("\n")
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, keyword = "", text = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
      return { keyword, text };
    });
}

export interface ImageConfig {
  readonly path: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly directory: string;
  readonly user: string;
}

/** What the last stage configures. */
export function imageConfig(): ImageConfig {
  const all = instructions();
  const stage = all.slice(all.findLastIndex(({ keyword }) => keyword === "FROM"));
  const last = (keyword: string): string => stage.findLast((found) => found.keyword === keyword)?.text ?? "";
  return {
    path: last("ENV").replace(/^PATH=/, ""),
    entrypoint: JSON.parse(last("ENTRYPOINT")) as string[],
    command: JSON.parse(last("CMD")) as string[],
    directory: last("WORKDIR"),
    user: last("USER"),
  };
}
