import assert from "node:assert/strict";
import { test } from "node:test";
import {
  contentPolicy,
  createStaticFiles,
  isSitePath,
  type Site,
  sites,
} from "../../../../src/api/http/static-files.ts";
import type { Disk, DiskFile } from "../../../../src/lib/disk/disk.ts";

/** A read-only disk of these files. */
function diskOf(files: Map<string, string>): Disk {
  const refuse = (): never => {
    throw new Error("the dashboard only reads");
  };
  return {
    open(path): DiskFile {
      const bytes = Buffer.from(files.get(path) ?? refuse());
      return {
        path,
        size: () => bytes.length,
        read: (target, position) => bytes.copy(target, 0, position),
        write: refuse,
        writeAsync: refuse,
        writeSyncedAsync: refuse,
        sync: refuse,
        syncAsync: refuse,
        truncate: refuse,
        preallocate: refuse,
        close: () => {},
      };
    },
    exists: (path) => [...files.keys()].some((file) => file === path || file.startsWith(path)),
    list: (directory) => {
      const base = directory.endsWith("/") ? directory : `${directory}/`;
      const below = [...files.keys()]
        .filter((file) => file.startsWith(base))
        .map((file) => file.slice(base.length));
      return [...new Set(below.map((name) => name.split("/")[0] as string))].sort();
    },
    makeDirectory: refuse,
    rename: refuse,
    remove: refuse,
    syncDirectory: refuse,
    freeBytes: refuse,
    totalBytes: refuse,
  };
}

const built = (): Map<string, string> =>
  new Map([
    ["/dist/index.html", "<!doctype html>page"],
    ["/dist/index.html.br", "brotli page"],
    ["/dist/index.html.gz", "gzip page"],
    ["/dist/favicon.svg", "<svg/>"],
    ["/dist/assets/index-abc.js", "code"],
    ["/dist/assets/index-abc.js.br", "brotli code"],
    ["/dist/notes.txt", "not for the page"],
    ["/secret.html", "outside"],
  ]);

function ask(files: Map<string, string>, site: Site = sites.dashboard) {
  const handle = createStaticFiles({
    disk: diskOf(files),
    site,
    directory: "/dist",
    connectOrigins: () => ["http://127.0.0.1:8401", "javascript:alert(1)", "http://x; script-src *"],
  });
  return (url: string, headers: Record<string, string> = {}, method = "GET") => {
    const answer = { taken: false, status: 0, headers: {} as Record<string, string>, body: "" };
    answer.taken = handle({
      target: url,
      headers,
      method,
      send: (status, sent, body) =>
        Object.assign(answer, { status, headers: sent, body: Buffer.from(body).toString() }),
    });
    return answer;
  };
}

test("requests outside /ui/ are not served", () => {
  const get = ask(built());
  for (const path of ["/", "/uix", "/tail", "/UI/"]) assert.equal(get(path).taken, false, path);
});

test("the page is served at /ui/ and is revalidated", () => {
  const page = ask(built())("/ui/?from=3");
  assert.deepEqual([page.status, page.body], [200, "<!doctype html>page"]);
  assert.equal(page.headers["cache-control"], "no-cache");
  assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
  assert.equal(ask(built())("/ui").headers["location"], "/ui/");
});

test("a site is served at its own path only, and its messages name it", () => {
  const get = ask(built(), sites.handbook);
  assert.equal(get("/ui/").taken, false);
  assert.equal(get("/docs/").body, "<!doctype html>page");
  assert.equal(get("/docs").headers["location"], "/docs/");
  assert.match(get("/docs/../secret.html").body, /no such file in the handbook; it starts at \/docs\//);
  assert.match(ask(new Map(), sites.handbook)("/docs/").body, /npm run build:docs/);
  assert.deepEqual(["/docs", "/docs/a.html", "/ui/", "/docsx", "/"].map(isSitePath), [
    true,
    true,
    true,
    false,
    false,
  ]);
});

test("hashed files are immutable, and a client that accepts it gets the compressed copy", () => {
  const get = ask(built());
  const plain = get("/ui/assets/index-abc.js");
  assert.match(plain.headers["cache-control"] ?? "", /immutable/);
  assert.equal(plain.headers["content-encoding"], undefined);
  const small = get("/ui/assets/index-abc.js", { "accept-encoding": "gzip, deflate, br" });
  assert.deepEqual([small.headers["content-encoding"], small.body], ["br", "brotli code"]);
  assert.notEqual(small.headers["etag"], plain.headers["etag"]);
  assert.equal(get("/ui/", { "accept-encoding": "br;q=0, gzip" }).body, "gzip page");
  assert.equal(get("/ui/", { "accept-encoding": "zstd" }).body, "<!doctype html>page");
});

test("an accept-encoding of 16,000 spaces costs no more than its length", () => {
  const get = ask(built());
  const began = performance.now();
  for (let round = 0; round < 100; round++) {
    assert.equal(
      get("/ui/", { "accept-encoding": `gzip${" ".repeat(16_000)}x` }).body,
      "<!doctype html>page",
    );
  }
  // A regular expression took more than 100 ms.
  assert.ok(performance.now() - began < 2_000);
  assert.equal(
    get("/ui/", { "accept-encoding": "br ; q=0 , GZIP ; q=0.5" }).headers["content-encoding"],
    "gzip",
  );
});

test("a page with a known ETag is 304 without a body", () => {
  const get = ask(built());
  const etag = get("/ui/").headers["etag"] as string;
  const again = get("/ui/", { "if-none-match": `"other", W/${etag}` });
  assert.equal(again.status, 304);
  assert.equal(get("/ui/", { "if-none-match": '"other"' }).status, 200);
});

test("a path reaches only the files of the page", () => {
  const get = ask(built());
  for (const path of [
    "../secret.html",
    "%2e%2e/secret.html",
    "..%2fsecret.html",
    "assets/",
    "notes.txt",
    "index.html.br",
    "nothing",
  ]) {
    assert.equal(get(`/ui/${path}`).status, 404, path);
  }
});

test("HEAD has the headers of GET, and other methods are refused", () => {
  const get = ask(built());
  const head = get("/ui/", {}, "HEAD");
  assert.deepEqual([head.status, head.headers["etag"]], [200, get("/ui/").headers["etag"]]);
  const post = get("/ui/", {}, "POST");
  assert.deepEqual([post.status, post.headers["allow"]], [405, "GET, HEAD"]);
});

test("without a build every response is 503 and names the command, until it has run", () => {
  const files = new Map<string, string>();
  const get = ask(files);
  const json = get("/ui/");
  assert.equal(json.status, 503);
  assert.equal((JSON.parse(json.body) as { command: string }).command, "npm run build:web");
  const page = get("/ui/", { accept: "text/html,*/*" });
  assert.equal(page.status, 503);
  assert.match(page.body, /npm run build:web/);
  for (const [name, bytes] of built()) files.set(name, bytes);
  assert.equal(get("/ui/").status, 200);
});

test("the content policy allows nothing inline and no invalid origin", () => {
  const policy = ask(built())("/ui/").headers["content-security-policy"] ?? "";
  assert.match(policy, /script-src 'self'; style-src 'self'/);
  assert.match(policy, /connect-src 'self' http:\/\/127\.0\.0\.1:8401;/);
  assert.doesNotMatch(policy, /unsafe|javascript|\*/);
  assert.match(contentPolicy(["https://[::1]:8400"]), /connect-src 'self' https:\/\/\[::1\]:8400;/);
});
