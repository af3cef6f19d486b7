/**
 * Watching files: links and directories above them that are swapped.
 */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type FileWatch, watchFiles } from "../../../../src/lib/file-watch/file-watch.ts";

interface Scene extends Disposable {
  path(name: string): string;
  readonly watch: FileWatch;
  /** Resolves when the watched file was reported with this text. */
  reported(text: string): Promise<void>;
}

function scene(t: TestContext, prepare: (path: (name: string) => string) => string): Scene {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-watch-"));
  const path = (name: string): string => join(directory, name);
  const watched = path(prepare(path));
  const texts: string[] = [];
  const waiting = new Set<() => void>();
  const watch = watchFiles([watched], () => {
    texts.push(readFileSync(watched, "utf8"));
    for (const look of [...waiting]) look();
  });
  const awake = setInterval(() => {}, 1_000); // Watching alone keeps no process alive.
  t.after(() => {
    clearInterval(awake);
    watch[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });
  const reported = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (texts.at(-1) !== text) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { path, watch, reported, [Symbol.dispose]: () => {} };
}

const limit = { timeout: 60_000 };

test("a link to the directory of a file is swapped, again and again", limit, async (t) => {
  const { path, reported } = scene(t, (at) => {
    for (const version of ["v1", "v2", "v3"]) {
      mkdirSync(at(version));
      writeFileSync(at(`${version}/policy.csv`), version);
    }
    symlinkSync("v1", at("cur"));
    return "cur/policy.csv";
  });
  for (const version of ["v2", "v3", "v1"]) {
    symlinkSync(version, path("next"));
    renameSync(path("next"), path("cur"));
    await reported(version);
  }
  writeFileSync(path("v1/policy.csv"), "edited behind the link");
  await reported("edited behind the link");
});

test("Kubernetes swaps the link ..data beside the mounted files", limit, async (t) => {
  const { path, reported } = scene(t, (at) => {
    mkdirSync(at("..2026_1"));
    writeFileSync(at("..2026_1/policy.csv"), "one");
    symlinkSync("..2026_1", at("..data"));
    symlinkSync("..data/policy.csv", at("policy.csv"));
    return "policy.csv";
  });
  mkdirSync(path("..2026_2"));
  writeFileSync(path("..2026_2/policy.csv"), "two");
  symlinkSync("..2026_2", path("..data_tmp"));
  renameSync(path("..data_tmp"), path("..data"));
  rmSync(path("..2026_1"), { recursive: true });
  await reported("two");
});

test("the directory of a file is replaced, also one further up, and is gone in between", limit, async (t) => {
  const { path, reported } = scene(t, (at) => {
    mkdirSync(at("a/b"), { recursive: true });
    writeFileSync(at("a/b/policy.csv"), "one");
    return "a/b/policy.csv";
  });
  mkdirSync(path("new/b"), { recursive: true });
  writeFileSync(path("new/b/policy.csv"), "two");
  renameSync(path("a"), path("old"));
  renameSync(path("new"), path("a"));
  await reported("two");
  renameSync(path("a/b"), path("a/c"));
  mkdirSync(path("a/b"));
  writeFileSync(path("a/b/policy.csv"), "three");
  await reported("three");
});

test("follow() moves the watch without an event", limit, async (t) => {
  const { path, watch, reported } = scene(t, (at) => {
    writeFileSync(at("policy.csv"), "one");
    return "policy.csv";
  });
  watch.follow();
  writeFileSync(path("policy.csv"), "two");
  await reported("two");
});
