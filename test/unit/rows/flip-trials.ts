/**
 * Flips one bit in the files of a database, opens it and reads every row. What it may do then: refuse to open, refuse a read,
 * or answer as before.
 */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { Fault } from "../../../src/fault.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { openRowStore, type RowDatabase, type StoredRow } from "../../../src/rows/mod.ts";
import type { RowsIdentity } from "../../../src/rows/rows.ts";

export interface Expected {
  readonly identity: RowsIdentity;
  readonly index: number;
  readonly rows: ReadonlyMap<number, StoredRow>;
  /** In the order of their bytes. */
  readonly names: readonly string[];
  readonly absentIds: readonly number[];
  readonly absentNames: readonly string[];
}

export interface FlipResult {
  /** How many trials were refused at the open, had a refused read, and had no effect. */
  readonly refused: number;
  readonly refusedReads: number;
  readonly unseen: number;
}

/** `directory` has the closed database of `expected`. `scratch` is empty. @throws if an answer is wrong or an error is no Fault */
export function flipTrials(
  directory: string,
  scratch: string,
  expected: Expected,
  file: "" | "-wal",
  trials: number,
  random: Prng,
): FlipResult {
  const name = `logs-${expected.identity.generation}.db`;
  const bytes = readFileSync(`${directory}/${name}${file}`);
  const result = { refused: 0, refusedReads: 0, unseen: 0 };
  for (let trial = 0; trial < trials; trial++) {
    for (const ending of ["", "-wal"]) {
      if (existsSync(`${directory}/${name}${ending}`)) {
        copyFileSync(`${directory}/${name}${ending}`, `${scratch}/${name}${ending}`);
      }
    }
    const bit = random.between(0, bytes.length * 8 - 1);
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    writeFileSync(`${scratch}/${name}${file}`, flipped);
    try {
      one(scratch, expected, result);
    } catch (cause) {
      throw new Error(`after bit ${bit & 7} of byte ${bit >> 3} of ${name}${file}`, { cause });
    }
  }
  return result;
}

type Counts = { -readonly [Key in keyof FlipResult]: number };

function one(scratch: string, expected: Expected, result: Counts): void {
  const store = openRowStore(scratch);
  let rows: RowDatabase;
  try {
    rows = store.open(expected.identity, expected.index);
  } catch (reason) {
    damageOnly(reason);
    result.refused++;
    return;
  }
  const refused = readAll(rows, expected);
  void rows.close();
  if (refused > 0) result.refusedReads++;
  else result.unseen++;
}

/** Returns how many reads were refused. @throws if an answer is wrong */
function readAll(rows: RowDatabase, expected: Expected): number {
  let refused = 0;
  const check = (what: string, read: () => unknown, wanted: unknown): void => {
    let found: unknown;
    try {
      found = read();
    } catch (reason) {
      damageOnly(reason);
      refused++;
      return;
    }
    if (!isEqual(found, wanted)) throw new Error(`${what} is ${show(found)}, not ${show(wanted)}`);
  };
  check("the index", () => rows.head.index, expected.index);
  for (const [id, row] of expected.rows) {
    check(`row ${id}`, () => rows.row(id), row);
    check(row.name, () => rows.named(row.name), row);
  }
  for (const id of expected.absentIds) check(`row ${id}`, () => rows.row(id), undefined);
  for (const name of expected.absentNames) check(name, () => rows.named(name), undefined);
  let after = "";
  for (let at = 0; at < expected.names.length; at += 100) {
    const page = expected.names.slice(at, at + 100);
    check(`names after ${after}`, () => rows.namesFrom("", after, 100), page);
    after = page.at(-1)!;
  }
  const wanted = [...expected.rows.values()].filter(({ dueMs }) => dueMs !== undefined).map(({ id }) => id);
  const due = (): unknown => rows.due(Number.MAX_SAFE_INTEGER, undefined, 1000).map(({ id }) => id);
  check("the due rows", due, wanted);
  return refused;
}

function damageOnly(reason: unknown): void {
  if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
}

const show = (value: unknown): string => JSON.stringify(value) ?? "undefined";
const isEqual = (one: unknown, other: unknown): boolean => show(one) === show(other);
