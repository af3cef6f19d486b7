/** One machine with a log whose disk fails, for the models of a log: the steps that all models share. */
import assert from "node:assert/strict";
import { Fault } from "../../../../src/fault.ts";
import type { LogSettings } from "../../../../src/log/mod.ts";
import { FixedSyncPolicy } from "../../../support/log/fixed-sync-policy.ts";
import { type SimMachine, simMachine } from "../../../support/log/logs.ts";
import type { OneNodeLog, OneNodeOptions } from "../../../support/log/one-node-log.ts";

export interface World {
  readonly seed: number;
  readonly settings: Partial<LogSettings>;
  readonly asyncFlush: boolean;
  readonly frameCacheBytesMax: number;
}

export type MachineStep =
  | { readonly kind: "advance"; readonly ms: number }
  /** A power failure during the n-th changing operation from now. */
  | { readonly kind: "cut"; readonly operations: number }
  /** A power failure; the death of the process; a close and a restart. */
  | { readonly kind: "crash" | "kill" | "reopen" }
  | { readonly kind: "syncFails" | "writeFails" };

/** `Step`: the other steps of the model. */
export abstract class MachineRun<Step extends { readonly kind: string }> {
  readonly machine: SimMachine;
  readonly #world: World;
  readonly #options: OneNodeOptions;
  log: OneNodeLog | undefined;
  /** Power failures before the log was opened. */
  #failuresBefore = 0;
  /** Makes the values of a run unique. */
  protected serial = 0;

  constructor(world: World, options: OneNodeOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.machine = simMachine(world.seed);
  }

  /** Runs a step of the model. */
  protected abstract act(step: Step): Promise<void>;
  /** Compares a log that was opened with the model. It may replace the log. */
  protected abstract check(log: OneNodeLog): Promise<void>;

  /** Runs the steps, and then a power failure and a restart. */
  async run(steps: readonly (Step | MachineStep)[]): Promise<void> {
    this.log = await this.open();
    for (const step of steps) await this.#step(step);
    await this.#step({ kind: "crash" });
    await this.#step({ kind: "reopen" });
  }

  /** False after a failure, also if it was in background work and the log has not met it yet. */
  protected get isRunning(): boolean {
    return this.log?.failure === undefined && this.machine.disk.counts.crash === this.#failuresBefore;
  }

  protected open(): Promise<OneNodeLog> {
    const { settings, asyncFlush, frameCacheBytesMax } = this.#world;
    this.#failuresBefore = this.machine.disk.counts.crash;
    return this.machine.open(settings, {
      syncPolicy: new FixedSyncPolicy(!asyncFlush),
      frameCacheBytesMax,
      zerosMax: 100 * (this.#world.seed % 4),
      openFilesMax: 3,
      // Producers in the checkpoints, or in files of their own.
      inlineProducersMax: this.#world.seed % 2 === 0 ? 1 : 100,
      ...this.#options,
    });
  }

  /** Opens the log and checks it, as often as the power fails meanwhile. */
  protected async reopen(): Promise<void> {
    const { disk } = this.machine;
    disk.faults.syncFails = 0;
    disk.faults.writeFails = 0;
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    for (;;) {
      try {
        this.log = await this.open();
        return await this.check(this.log);
      } catch (fault) {
        if (!(fault instanceof Fault) || fault.kind !== "disk-failed") {
          if (!(fault instanceof Error) || fault.name !== "SimulatedCrash") throw fault;
        }
        disk.crash();
      }
    }
  }

  /** Waits for an operation. While the disk is full, it may wait: time passes, and then the disk gets free space. */
  protected async answer<T>(work: Promise<T>): Promise<T> {
    const { clock, disk } = this.machine;
    let isPending = true;
    const settled = (): void => {
      isPending = false;
    };
    work.then(settled, settled);
    for (let turn = 0; isPending && turn < 200; turn++) {
      await settle();
      if (turn >= 5) clock.advance(5);
      if (turn >= 100) disk.capacityBytes = Number.POSITIVE_INFINITY;
    }
    assert.ok(!isPending, "a node with free space on its disk does not complete the operation");
    return work;
  }

  async #step(step: Step | MachineStep): Promise<void> {
    if (isMachineStep(step)) await this.#fail(step);
    else await this.act(step);
    await settle();
    if (this.isRunning) return;
    // A node that failed ends. Bytes that a failed sync lost are missing only after a power failure.
    this.machine.disk[this.machine.chance.chance(0.5) ? "crash" : "kill"]();
    await this.reopen();
  }

  async #fail(step: MachineStep): Promise<void> {
    const { disk, clock } = this.machine;
    switch (step.kind) {
      case "advance":
        for (let left = step.ms; left > 0; left -= 500) {
          clock.advance(Math.min(left, 500));
          await settle();
        }
        break;
      case "cut":
        disk.crashAfter(step.operations);
        break;
      case "syncFails":
      case "writeFails":
        disk.faults[step.kind] = 1;
        break;
      case "reopen":
        await this.log?.close().catch(() => {});
        disk.kill();
        await this.reopen();
        break;
      case "kill":
      case "crash":
        disk[step.kind]();
        await this.reopen();
        break;
    }
  }
}

const machineKinds: readonly string[] = [
  "advance",
  "cut",
  "crash",
  "kill",
  "reopen",
  "syncFails",
  "writeFails",
];
const isMachineStep = <Step extends { readonly kind: string }>(
  step: Step | MachineStep,
): step is MachineStep => machineKinds.includes(step.kind);

export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
