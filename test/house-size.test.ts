/** The sizes of the source: folders, files and functions are small, except those that are listed with a reason. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const filesOf = (pattern: string): string[] =>
  globSync(pattern, { cwd: root })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => !file.startsWith("src/gen/"))
    .sort();
const sources = filesOf("src/**/*.ts");

const folderFilesMax = 15;
/** Folders with more files → how many, and why they are not divided. */
const largeFolders: Readonly<Record<string, readonly [filesMax: number, why: string]>> = {
  "src/agent": [16, "one file for each part of a node that the agent opens, and the agent itself"],
  "src/api/fast-path": [21, "one pipeline: recognize, decode, append or read, render, write"],
  "src/api/methods": [18, "one file for each method of the API, and the limits that they share"],
  "src/client/calls": [16, "the parts of one call: pick a node, connect, try, retry"],
  "src/membership/serf": [16, "the parts of one protocol, each named as in its description"],
  "src/membership/swim": [22, "the parts of one protocol, each named as in its description"],
  "src/raft/core": [21, "the parts of one state machine, which share its state"],
  "src/store": [16, "one file format: pages, rows, transactions, repair"],
  "src/telemetry": [18, "one implementation of a port: logs, metrics, traces"],
};

const fileLinesMax = 400;
/** Files with more lines → how many, and why they are not divided. */
const largeFiles: Readonly<Record<string, readonly [linesMax: number, why: string]>> = {};

const functionLinesMax = 60;
/** Functions with more lines, as FILE NAME → how many, and why they are not divided. */
const largeFunctions: Readonly<Record<string, readonly [linesMax: number, why: string]>> = {};

/** What exceeds its limit without being listed, and what is listed without need. */
function exceptions(
  found: ReadonlyMap<string, number>,
  max: number,
  listed: Readonly<Record<string, readonly [max: number, why: string]>>,
  unit: string,
): string[] {
  const over = [...found]
    .filter(([name, size]) => size > (listed[name]?.[0] ?? max))
    .map(([name, size]) => `${name} has ${size} ${unit}, more than ${listed[name]?.[0] ?? max}: divide it`);
  const needless = Object.keys(listed)
    .filter((name) => (found.get(name) ?? 0) <= max)
    .map((name) => `${name} has at most ${max} ${unit} now: take it off the list`);
  return [...over, ...needless];
}

test("a folder of src has at most 15 files", () => {
  const found = new Map<string, number>();
  for (const file of sources) found.set(dirname(file), (found.get(dirname(file)) ?? 0) + 1);
  assert.deepEqual(exceptions(found, folderFilesMax, largeFolders, "files"), []);
});

test("a file of src has at most 400 lines", () => {
  const found = new Map(sources.map((file) => [file, read(file).split("\n").length - 1]));
  assert.deepEqual(exceptions(found, fileLinesMax, largeFiles, "lines"), []);
});

/** The longest function of each name in a file, with its number of lines. */
function functionsOf(file: string): Map<string, number> {
  const text = read(file);
  const found = new Map<string, number>();
  const measure = (name: string, from: number, to: number): void => {
    const lines = text.slice(from, to).split("\n").length;
    const key = `${file} ${name}`;
    if (lines > (found.get(key) ?? 0)) found.set(key, lines);
  };
  const nameBefore = (start: number): string =>
    /([\w#]+)\s*(?:[=:]\s*(?:async\s*)?|)$/.exec(text.slice(Math.max(0, start - 200), start))?.[1] ??
    "a function";
  new Visitor({
    FunctionDeclaration: ({ id, start, end }) => measure(id?.name ?? "default", start, end),
    FunctionExpression: ({ id, start, end }) => measure(id?.name ?? nameBefore(start), start, end),
    ArrowFunctionExpression: ({ start, end }) => measure(nameBefore(start), start, end),
  }).visit(parseSync(file, text).program);
  return found;
}

test("a function of src and of the dashboard has at most 60 lines", () => {
  const found = new Map<string, number>();
  for (const file of [...sources, ...filesOf("web/src/**/*.{ts,tsx}")])
    for (const [name, lines] of functionsOf(file)) if (lines > functionLinesMax) found.set(name, lines);
  assert.deepEqual(exceptions(found, functionLinesMax, largeFunctions, "lines"), []);
});
