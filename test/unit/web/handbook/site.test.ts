/** The handbook has every route, RPC, command, setting, error and metric, and no link in it is dead. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { keyOf, settingNames } from "../../../../src/agent/config/settings.ts";
import {
  cursorRoutePermissions,
  getPermission,
  logRoutePermissions,
  postPermission,
  streamRoutePermissions,
  tailPermission,
  ticketPermission,
} from "../../../../src/api/calls/method-permissions.ts";
import { examples } from "../../../../src/cli/examples.ts";
import { faultKinds } from "../../../../src/fault.ts";
import { file_log_v1_log } from "../../../../src/gen/log/v1/log_pb.js";
import { pages } from "../../../../web/handbook/pages.ts";
import { peerReasons, reasons } from "../../../../web/handbook/reference/faults.ts";
import { exportedMetrics } from "../../../../web/handbook/reference/metrics.ts";
import { root, site } from "../../../../web/handbook/site.ts";

const files = await site();
const html = (file: string): string => {
  const text = files.get(file);
  assert.ok(text !== undefined, file);
  return text;
};
/** The headings of a page, without the signs of their anchors. */
const headings = (file: string): string[] =>
  [...html(file).matchAll(/<h[1-4] id="[^"]*">(.*?)(?: <a class="anchor".*?)?<\/h[1-4]>/g)].map(
    ([, text = ""]) => text.replaceAll(/<[^>]*>/g, ""),
  );
const missing = (file: string, wanted: readonly string[]): string[] => {
  const found = headings(file);
  return wanted.filter((heading) => !found.includes(heading));
};

test("every page of docs/ is in the handbook", () => {
  const written = globSync("docs/**/*.md", { cwd: root }).map((file) => file.replaceAll("\\", "/"));
  assert.deepEqual(
    written.sort(),
    pages
      .map(({ source }) => source)
      .filter((source) => source.startsWith("docs/"))
      .sort(),
  );
});

test("a generated part takes the place of the whole line, which readers of the Markdown see", () => {
  const line = /^\*Made from the code: .*\* <!-- generated: [a-z-]+ -->$/gm;
  const lines = pages.flatMap(({ source }) => readFileSync(join(root, source), "utf8").match(line) ?? []);
  assert.ok(lines.length > 10, `${lines.length} lines`);
  for (const { file } of pages) assert.doesNotMatch(html(file), /Made from the code/, file);
});

test("every HTTP route has its part", () => {
  const { misnamed: _, ...named } = logRoutePermissions;
  const { misnamed: __, ...streams } = streamRoutePermissions;
  const ofNames = [named, cursorRoutePermissions, streams].flatMap((routes) => Object.values(routes));
  const routes = [postPermission, getPermission, tailPermission, ticketPermission, ...ofNames];
  assert.deepEqual(
    missing(
      "http.html",
      routes.map(({ name }) => name),
    ),
    [],
  );
});

test("every RPC, message and enum has its part", () => {
  const { services, messages, enums } = file_log_v1_log;
  const rpcs = services.flatMap(({ name, methods }) => methods.map((method) => `${name}.${method.name}`));
  const types = [...messages, ...enums].map(({ name }) => name);
  assert.deepEqual(missing("grpc.html", [...rpcs, ...types]), []);
  const fields = messages.flatMap((message) => message.fields.map(({ name }) => name));
  assert.deepEqual(
    fields.filter((name) => !html("grpc.html").includes(`<code>${name}</code>`)),
    [],
  );
});

test("every command has its part", () => {
  assert.deepEqual(
    missing(
      "cli.html",
      Object.keys(examples).map((words) => `tailrace ${words}`),
    ),
    [],
  );
});

test("every setting and every error has its row", () => {
  const flags = settingNames.map((name) => `<code>--${keyOf(name)}`);
  assert.deepEqual(
    flags.filter((flag) => !html("settings.html").includes(flag)),
    [],
  );
  const kinds = faultKinds.map((kind) => `<code>${kind.toUpperCase().replaceAll("-", "_")}</code>`);
  assert.deepEqual(
    kinds.filter((kind) => !html("errors.html").includes(kind)),
    [],
  );
});

test("every narrower reason of an error in the source has its row", () => {
  const found = new Set<string>();
  for (const file of globSync("src/**/*.ts", { cwd: root }))
    for (const [, ...names] of readFileSync(join(root, file), "utf8").matchAll(
      /\b(?:reason: |logExists = |refused\(\s*)"([A-Z][A-Z_]+)"|\? "(TOKEN_[A-Z]+)" :/g,
    ))
      for (const reason of names) if (reason !== undefined) found.add(reason);
  assert.deepEqual([...found].sort(), [...Object.keys(reasons), ...peerReasons].sort());
});

test("every metric has its row, once", async () => {
  const names = (await exportedMetrics()).map(({ name }) => name);
  assert.ok(names.length > 50);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.ok(html("monitoring.html").includes(`<code>${name}</code>`), name);
});

test("every link of the site leads to a page and an anchor that exist, or to another site", () => {
  const wrong: string[] = [];
  for (const [file, text] of files) {
    for (const [, address = ""] of text.matchAll(/\shref="([^"]*)"/g)) {
      if (/^https?:\/\/[\w.-]+(\/|$)/.test(address) || address.startsWith("/ui/")) continue;
      const [target = "", anchor] = address.split("#");
      const other = target === "" ? text : files.get(target);
      const hasAnchor = anchor === undefined || other?.includes(` id="${anchor}"`) === true;
      if (other === undefined || !hasAnchor) wrong.push(`${file}: ${address}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("a page has nothing inline and nothing from another site, as the content policy of a node requires", () => {
  for (const [file, text] of files)
    if (file.endsWith(".html"))
      assert.doesNotMatch(text, /<script|<style|\sstyle=|\son\w+=|\ssrc=|@import/, file);
});
