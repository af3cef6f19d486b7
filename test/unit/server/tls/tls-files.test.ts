import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { readTlsFiles } from "../../../../src/server/tls/tls-files.ts";
import { testAuthority, writeTlsFiles } from "../../../support/process/certificates.ts";
import { scratch } from "../../../support/scratch.ts";

const authority = await testAuthority();

test("files that cannot be used are a config fault that names the file", async (t) => {
  const directory = scratch(t);
  const files = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  const refused = (changed: Partial<typeof files>, pattern: RegExp): void =>
    assert.throws(
      () => readTlsFiles({ ...files, ...changed }),
      (thrown) => thrown instanceof Fault && thrown.kind === "config" && pattern.test(thrown.message),
    );
  refused({ caFile: join(directory, "none.pem") }, /none\.pem cannot be read: no such file or directory/);
  refused({ caFile: files.keyFile }, /server-key\.pem holds no certificate/);
  refused({ keyFile: files.certFile }, /is not an unencrypted private key/);
});
