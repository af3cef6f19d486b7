/** The grpcio library of Python: unary, all kinds of streams, status and details, deadline, cancel. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createFastPath } from "../../../src/api/mod.ts";
import { serve } from "../../support/http/serve.ts";
import { runProgram } from "../../support/process/run-program.ts";

/** Finds a Python with grpcio. The Debian package is only visible to the Python of the system. */
function findPython(): string | undefined {
  return ["/usr/bin/python3", "python3"].find((python) => {
    try {
      execFileSync(python, ["-c", "import grpc"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

const python = findPython();
const required = (process.env["TAILRACE_REQUIRE"] ?? "").split(",").includes("grpcio");
const options = python === undefined && !required ? { skip: "Python's grpcio is not installed" } : {};
const script = fileURLToPath(new URL("python.py", import.meta.url));

for (const [handler, serveOptions] of Object.entries({
  reference: {},
  "fast path": { fastPath: createFastPath },
})) {
  test(`grpcio works with the ${handler}`, options, async () => {
    assert.ok(python !== undefined, "TAILRACE_REQUIRE asks for grpcio, and no python3 here has it");
    await using served = await serve(serveOptions);
    const { status, out, err } = await runProgram(python, [script, `127.0.0.1:${served.port}`]);
    assert.equal(err, "");
    assert.equal(out, "ok\n");
    assert.equal(status, 0);
  });
}
