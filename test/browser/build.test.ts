import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const dist = join(root, "web/dist");
/** The descriptor of the contract is a part of it, and grows with every RPC. */
const scriptBytesMax = 86_000;

test("the dashboard builds within its size limit, and every script has its compressed files", () => {
  execFileSync(process.execPath, [join(root, "web/build.mjs")], { stdio: "pipe", timeout: 60_000 });
  const scripts = globSync("**/*.js", { cwd: dist });
  let sum = 0;
  for (const script of scripts) {
    const plain = readFileSync(join(dist, script));
    const compressed = readFileSync(join(dist, `${script}.gz`));
    assert.ok(existsSync(join(dist, `${script}.br`)), script);
    assert.ok(gunzipSync(compressed).equals(plain), script);
    sum += compressed.length;
  }
  assert.ok(scripts.length >= 2, "the page and its worker");
  assert.ok(sum <= scriptBytesMax, `${sum} bytes of gzipped script, at most ${scriptBytesMax} are allowed`);
  const design = readFileSync(join(root, "web/DESIGN.md"), "utf8");
  const stated = /JavaScript is (\d+) kB gzip, at most (\d+)/.exec(design);
  assert.equal(Number(stated?.[2]) * 1000, scriptBytesMax, "DESIGN.md states the limit");
  const off = Math.abs(Number(stated?.[1]) * 1000 - sum);
  assert.ok(off <= 2000, `DESIGN.md states ${stated?.[1]} kB of JavaScript, the build has ${sum} bytes`);
});

test("the package contains the built page, which is not in git", () => {
  const listed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [pack] = Object.values(
    JSON.parse(listed.toString()) as Record<string, { files: { path: string }[] }>,
  );
  const paths = (pack?.files ?? []).map(({ path }) => path);
  for (const file of globSync("**/*.*", { cwd: dist })) assert.ok(paths.includes(`web/dist/${file}`), file);
  assert.ok(paths.includes("src/cli/bin.cjs"));
  assert.ok(!paths.some((path) => path.startsWith("test/") || path.startsWith("web/src/")));
});

test("the page has no inline script or style and references only its own files", () => {
  const page = readFileSync(join(dist, "index.html"), "utf8");
  assert.doesNotMatch(page, /<style|style=|<script(?![^>]*src=)|\son\w+=/i);
  const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((found) => found[1] as string);
  assert.ok(named.length >= 3);
  for (const name of named) {
    assert.match(name, /^\/ui\/(assets\/[\w.-]+-[\w-]{8}\.(js|css)|favicon\.svg)$/);
    assert.ok(existsSync(join(dist, name.slice("/ui/".length))), name);
  }
});

test("the scripts do not evaluate text and do not reference another site", () => {
  for (const script of globSync("**/*.js", { cwd: dist })) {
    const code = readFileSync(join(dist, script), "utf8");
    assert.doesNotMatch(code, /\beval\(|new Function\(/, script);
    const sites = [...code.matchAll(/https?:\/\/[\w.-]+/g)].map(([site]) => site);
    assert.deepEqual(
      sites.filter((site) => !site.startsWith("http://www.w3.org")),
      [],
      script,
    );
  }
});
