/** How a command names a directory that it cannot use. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { checkDataDirectory } from "../../../../src/cli/storage/data-directory.ts";
import { checkStoreUrl } from "../../../../src/objects/mod.ts";
import { scratch } from "../../../support/scratch.ts";

test("a directory without a log, and one that cannot be read, have different faults", (t) => {
  const home = scratch(t);
  assert.throws(() => checkDataDirectory(home), { kind: "not-found", message: `there is no log in ${home}` });
  // A loop of links fails for every user. A mode would not stop root.
  symlinkSync("log", join(home, "log"));
  assert.throws(() => checkDataDirectory(home), {
    kind: "config",
    message: /cannot be read: too many symbolic links/,
  });
  const other = scratch(t);
  mkdirSync(join(other, "log"));
  checkDataDirectory(other);
});

test("a directory of backups without a log is named by its URL, which the store of backups takes", (t) => {
  const place = join(scratch(t), "a #b");
  mkdirSync(join(place, "backups"), { recursive: true });
  const { href } = pathToFileURL(place);
  const message = `there is no log in ${place}, but there are backups: name them by the URL ${href}`;
  assert.throws(() => checkDataDirectory(place), { kind: "not-found", message });
  assert.equal(checkStoreUrl(href), href);
});
