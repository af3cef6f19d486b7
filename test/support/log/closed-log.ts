/**
 * A small log that was closed, to damage, verify and repair.
 */
import assert from "node:assert/strict";
import { Fault } from "../../../src/fault.ts";
import { frameBytes, type LogDirectory } from "../../../src/log/mod.ts";
import type { RowDatabase } from "../../../src/rows/mod.ts";
import { MemoryRowStore } from "../rows/memory-row-store.ts";
import { allValues, run, type SimMachine, simDirectory, simMachine, valueAt } from "./logs.ts";

export const corrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";
export const directoryOf = ({ disk, store, rowStore }: SimMachine): LogDirectory => ({
  directory: simDirectory,
  disk,
  store,
  rowStore,
});

/** The same, with a limit on the rows that are in memory. `used` is called once for each database that is created. */
export const withFewRows = (machine: SimMachine, rowsMax: number, used: () => void): LogDirectory => ({
  ...directoryOf(machine),
  scratch: () => {
    const store = new MemoryRowStore(machine.disk);
    let created: RowDatabase | undefined;
    return {
      create: (from) => {
        used();
        created = store.buildNow({ directoryId: new Uint8Array(16), generation: 1 }, from);
        return created;
      },
      rowsMax,
      remove: () => {
        void created?.close();
        void store.remove(1);
      },
    };
  },
});
export const settings = { segmentStoreBytesMax: 700 };

/** A log of three segments that was closed, its values and its files: index and store of each segment. */
export async function closedLog(
  seed = 1,
): Promise<{ machine: SimMachine; values: string[]; files: string[] }> {
  const machine = simMachine(seed);
  const log = await machine.open(settings);
  const values: string[] = [];
  for (let n = 0; n < 15; n++) {
    values.push(`value ${n}`);
    const producer = n % 3 === 0 ? { subject: "s", id: 1n, epoch: 0, sequence: n / 3 } : undefined;
    await log.append(run(`value ${n}`), producer === undefined ? {} : { producer });
  }
  await log.close();
  const files = machine.disk.list(`${simDirectory}/log`).map((name) => `${simDirectory}/log/${name}`);
  assert.equal(files.length, 6);
  return { machine, values, files };
}

/**
 * Starts a node and reads everything, by offset and with a tail. All values that it serves must be right. Returns the faults
 * of the others. The machine is restored afterwards.
 */
export async function faultsServed(
  machine: SimMachine,
  values: readonly string[],
  options: { checkBytesMax?: number } = {},
): Promise<Fault[]> {
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  try {
    return await faultsWhileServing(machine, values, options);
  } finally {
    machine.disk.restoreImage(image.disk);
    machine.store.restoreImage(image.store);
  }
}

async function faultsWhileServing(
  machine: SimMachine,
  values: readonly string[],
  options: { checkBytesMax?: number },
): Promise<Fault[]> {
  const faults: Fault[] = [];
  const note = (reason: unknown): void => {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
    faults.push(reason);
  };
  let log: Awaited<ReturnType<SimMachine["open"]>>;
  try {
    log = await machine.open(settings, options);
  } catch (reason) {
    note(reason);
    return faults;
  }
  for (const [offset, value] of values.entries()) {
    try {
      assert.equal(await valueAt(log, offset), value);
    } catch (reason) {
      note(reason);
    }
  }
  try {
    assert.deepEqual(await allValues(log), values);
  } catch (reason) {
    note(reason);
  }
  await log.close();
  return faults;
}

/** Where the first frame with records is in the first store. */
export const firstRecordAt = (store: Uint8Array): number =>
  frameBytes(store, 0) + frameBytes(store, frameBytes(store, 0));
