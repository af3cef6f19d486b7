/** The Dockerfile: hadolint finds nothing, and it states what a node needs. test/long/image.test.ts builds it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pages } from "../../../web/handbook/pages.ts";
import { dockerfile, imageConfig, instructions } from "../../support/deploy/dockerfile.ts";
import { root } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { deployFile } from "../../support/telemetry/deploy-files.ts";

test("hadolint finds nothing in the Dockerfile", requireProgram("hadolint"), () => {
  const { status, stdout, stderr } = spawnSync("hadolint", [dockerfile], { encoding: "utf8" });
  assert.deepEqual([stdout + stderr, status], ["", 0]);
});

test("the image runs without root's rights and keeps records in a volume only", () => {
  const { user, directory, entrypoint, command, path } = imageConfig();
  assert.deepEqual([user, directory, entrypoint, command], ["65532:65532", "/data", ["tailrace"], ["serve"]]);
  const last = (keyword: string): string | undefined =>
    instructions().findLast((instruction) => instruction.keyword === keyword)?.text;
  assert.equal(last("VOLUME"), "/data");
  assert.equal(last("STOPSIGNAL"), "SIGTERM");
  assert.match(last("HEALTHCHECK") ?? "", /\/livez/);
  const unit = readFileSync(deployFile("systemd/tailrace.service"), "utf8");
  const modules = /^Environment=PATH=([^:]+)/m.exec(unit)?.[1] ?? "";
  assert.ok(path.split(":").includes(modules), `${path} has no ${modules}`);
});

test("the version of the image is that of the package", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.ok(instructions().some(({ keyword, text }) => keyword === "ARG" && text === `VERSION=${version}`));
});

test("the build gets the sources and no secret", () => {
  const lines = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
  assert.equal(
    lines.find((line) => line !== "" && !line.startsWith("#")),
    "*",
    "everything is ignored that is not listed",
  );
  const listed = lines.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  assert.deepEqual(
    listed.filter((name) => !existsSync(join(root, name))),
    [],
  );
  for (const ignored of ["certs/*.pem", "certs/*.p12", "web/dist", "web/handbook/dist"])
    assert.ok(lines.includes(ignored), ignored);
  // The handbook: its pages, the files that they link to, and the file that makes the contract readable for buf.
  const read = pages.flatMap(({ source }) => [
    source,
    ...[...readFileSync(join(root, source), "utf8").matchAll(/\]\((\.[^)#\s]+)/g)].map(([, link = ""]) =>
      join(source, "..", link),
    ),
  ]);
  for (const name of [...read, "buf.yaml"])
    assert.ok(listed.includes(name.split("/")[0] ?? ""), `${name} is not in the build`);
});
