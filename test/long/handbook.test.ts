/** Runs the commands of the pages of the handbook that need a cluster, on a cluster that the commands start. */
import { test } from "node:test";
import { longPages } from "../support/handbook/long-pages.ts";
import { runPage } from "../support/handbook/run-page.ts";
import { openS3Server } from "../support/objects/s3-server.ts";
import { freePort } from "../support/process/free-port.ts";
import { requireProgram } from "../support/process/require-program.ts";

for (const page of longPages) {
  test(`the commands of ${page} print the output that it shows`, requireProgram("curl"), async (t) => {
    const ports = new Map<number, number>();
    for (const port of [8081, 8082, 8083, 8084]) {
      const own = await freePort();
      // The default ops port is 1000 above.
      ports.set(port, own).set(port + 1000, own + 1000);
    }
    await using s3 = await openS3Server();
    await runPage(t, page, { ports: ports.set(9000, Number(new URL(s3.endpoint).port)) });
  });
}
