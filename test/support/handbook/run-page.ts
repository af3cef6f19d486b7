/**
 * Runs the commands of a page of the handbook in order, in one shell and an empty directory, and compares what they print
 * with the page. A block of TypeScript with a name (`ts sample.mts`) is a file there; a page (`html chat.html`) is for the tests
 * in a browser. `tailrace` is the command of this
 * repository.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";
import { bin, environment, isCompiled, root } from "../process/process.ts";
import { scratch } from "../scratch.ts";
import { consoleSteps, outputPattern, type Step } from "./console-blocks.ts";
import { ShellSession } from "./shell-session.ts";

export interface PageRun {
  /** Ports of the page → ports here. */
  readonly ports: ReadonlyMap<number, number>;
  /** The address for commands without --addr. Default: none. */
  readonly addr?: string;
  /** Handles a step itself, such as the start of a node in the foreground; returns what it printed. */
  handle?(step: Step): string | undefined;
}

/** Languages of the blocks that are not run. Commands are only in console blocks. */
const shown = ["text", "json", "yaml", ""];

export function readPage(page: string): string {
  const markdown = readFileSync(join(root, page), "utf8");
  const blocks = [...markdown.matchAll(/^```(.*)\n[\s\S]*?^```$/gm)].map(([, info = ""]) => info);
  const unknown = blocks.filter(
    (info) => info !== "console" && !/^(?:ts|html) \S+$/.test(info) && !shown.includes(info),
  );
  assert.deepEqual(unknown, [], `${page}: commands belong in console blocks, and a program has a file name`);
  return markdown;
}

export async function runPage(t: TestContext, page: string, run: PageRun): Promise<void> {
  const markdown = readPage(page);
  const directory = scratch(t);
  const programs = programsIn(directory);
  for (const [, name = "", text = ""] of markdown.matchAll(/^```ts (\S+)\n([\s\S]*?)^```$/gm))
    writeFileSync(join(directory, name), here(text, run.ports));
  await using shell = new ShellSession(directory, {
    ...environment(),
    ...(isCompiled() ? {} : { NODE_OPTIONS: "--conditions=source" }),
    NODE_NO_WARNINGS: "1",
    PATH: [programs, join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter),
    ...(run.addr === undefined ? {} : { TAILRACE_ADDR: run.addr }),
  });
  for (const step of consoleSteps(markdown)) {
    const handled = run.handle?.(step);
    if (handled !== undefined) {
      assert.match(there(handled, run.ports), outputPattern(step.expected), `${page}: ${step.command}`);
      continue;
    }
    const { out, err, status } = await shell.run(here(step.command, run.ports));
    assert.equal(status, 0, `${page}: ${step.command}\n${out}\n${err}`);
    assert.match(there(out, run.ports), outputPattern(step.expected), `${page}: ${step.command}\n${err}`);
  }
}

/** A directory of programs with `tailrace`, and with the `npx` that runs it. */
function programsIn(directory: string): string {
  const programs = join(directory, ".bin");
  mkdirSync(programs);
  const program = (name: string, text: string): void =>
    writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  program("tailrace", `exec "${process.execPath}" "${bin}" "$@"`);
  program("npx", 'case $1 in @bufbuild/buf) shift; exec buf "$@";; esac; exec "$@"');
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(root, join(directory, "node_modules/tailrace"));
  symlinkSync(join(root, "node_modules/@durable-streams"), join(directory, "node_modules/@durable-streams"));
  return programs;
}

const replaced = (text: string, ports: Iterable<readonly [number, number]>): string => {
  const byPort = new Map([...ports].map(([from, to]) => [String(from), String(to)]));
  return text.replaceAll(/\b\d{4,5}\b/g, (port) => byPort.get(port) ?? port);
};

const here = (text: string, ports: PageRun["ports"]): string => replaced(text, ports);
const there = (text: string, ports: PageRun["ports"]): string =>
  replaced(
    text,
    [...ports].map(([page, own]) => [own, page] as const),
  );
