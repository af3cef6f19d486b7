import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ended, root } from "../../../support/process/process.ts";

const entry = fileURLToPath(new URL("../../../../src/agent/embedded/server-entry.ts", import.meta.url));
/** Makes this process look like one of Node.js 20. */
const asOld = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.20.2"}})`;

test("an old Node.js is answered with the version that is needed, before the node is loaded", async () => {
  const child = spawn(process.execPath, ["--import", asOld, entry], { cwd: root });
  const { status, err } = await ended(child);
  assert.equal(status, 1);
  assert.match(
    err,
    /Error: tailrace\/server needs Node\.js 24 or newer, this is 20\.20\.2\. .* npx node FILE\n/,
  );
});
