import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "./datadriven.ts";
import { quote } from "./render.ts";
import { diff, run } from "./runner.ts";

const here = dirname(fileURLToPath(import.meta.url));
const transcripts = (folder: string): string[] =>
  globSync(`${folder}/**/*.txt`, { cwd: here })
    .map((name) => name.replaceAll("\\", "/"))
    .sort();

for (const file of [...transcripts("data"), ...transcripts("scenes")]) {
  test(`${file} has the expected output`, () => {
    const { differences } = run(readFileSync(join(here, file), "utf8"));
    const failures = differences.map(
      ({ command, actual }) => `line ${command.line}: ${command.name}\n${diff(command.expected, actual)}`,
    );
    assert.deepEqual(failures, []);
  });
}

test("the data files of etcd are unchanged", () => {
  const manifest = JSON.parse(readFileSync(join(here, "data/manifest.json"), "utf8")) as Record<
    string,
    string
  >;
  const found = Object.fromEntries(
    transcripts("data").map((file) => [
      file.slice("data/".length),
      createHash("sha256")
        .update(readFileSync(join(here, file)))
        .digest("hex"),
    ]),
  );
  assert.deepEqual(found, manifest);
  assert.equal(transcripts("data").length, 25);
});

test("a difference is found, shown and rewritten", () => {
  const text = "simple\nv1\n----\nvoters=(2)\n\n# the end\n";
  const { differences, rewritten, commands } = run(text);
  assert.equal(commands, 1);
  assert.equal(differences.length, 1);
  assert.equal(diff("a\nb\nd", "a\nc\nd"), "  a\n- b\n+ c\n  d");
  assert.equal(rewritten, "simple\nv1\n----\nvoters=(1)\n1: StateProbe match=0 next=1\n\n# the end\n");
  assert.equal(run(rewritten).differences.length, 0);
});

test("an unknown command counts as a difference, and the file continues", () => {
  const { differences } = run(
    "simple\nv1\n----\nvoters=(1)\n1: StateProbe match=0 next=1\n\nnonsense\n----\n\n",
  );
  assert.deepEqual(
    differences.map(({ actual }) => actual),
    ["unknown command"],
  );
});

test("an argument is a word, a pair or a list, with blanks inside parentheses", () => {
  const [command] = parse("committed cfg=(1, 2) x=y flag idx=(_,12)\n----\n0\n");
  assert.deepEqual(command?.arguments, [
    { key: "cfg", values: ["1", "2"] },
    { key: "x", values: ["y"] },
    { key: "flag", values: [] },
    { key: "idx", values: ["_", "12"] },
  ]);
});

test("an output with blank lines is enclosed in doubled separators", () => {
  const [command] = parse("show\n----\n----\na\n\nb\n----\n----\n\nnext\n----\n");
  assert.equal(command?.expected, "a\n\nb");
});

test("bytes are quoted as in the data files", () => {
  assert.equal(quote(Buffer.from('a"\\\n\u0001é\u2028')), '"a\\"\\\\\\n\\x01é\\u2028"');
  assert.equal(quote(new Uint8Array([0xff, 0x61])), '"\\xffa"');
});
