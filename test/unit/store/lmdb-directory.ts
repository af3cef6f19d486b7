/**
 * A data directory that the last version with LMDB made: 17 segments, five starts, a vote, a configuration. With the values
 * of its stable store as that version read them.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { unpack } from "msgpackr";

interface LmdbDirectory {
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly values: Readonly<Record<string, unknown>>;
}

const { files, values } = unpack(
  gunzipSync(readFileSync(new URL("./data/lmdb-directory.msgpack.gz", import.meta.url))),
) as LmdbDirectory;

/** The values of its stable store, sorted by key. */
export const lmdbValues = new Map(Object.entries(values).sort(([one], [other]) => (one < other ? -1 : 1)));

/** How many records its log holds. */
export const lmdbRecords = 150;

/** Writes its files into a directory. */
export function putLmdbDirectory(home: string): void {
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), bytes, { mode: 0o600 });
  }
}
