/** Opens the node's memory budget, and the garbage collection that belongs to it. */
import type { Clock } from "../lib/time/clock.ts";
import { MemoryBudget } from "../memory/mod.ts";
import type { Config } from "./config/settings.ts";
import {
  checkMemory,
  defaultBudgetBytes,
  type MachineMemory,
  machineMemory,
} from "./memory/machine-memory.ts";
import { mapLargeBlocks, Reclaim } from "./memory/reclaim.ts";

export interface NodeMemory extends Disposable {
  readonly machine: MachineMemory;
  readonly budgetBytes: number;
  readonly budget: MemoryBudget;
}

/** @throws Fault "config" if the machine has too little memory */
export function openMemory(config: Pick<Config, "memoryBudgetBytes">, clock: Clock): NodeMemory {
  const machine = machineMemory();
  const budgetBytes = config.memoryBudgetBytes ?? defaultBudgetBytes(machine);
  checkMemory(machine, budgetBytes);
  mapLargeBlocks(machine);
  const reclaim = new Reclaim({ machine, clock, onChecked: () => budget.collected() });
  const budget = new MemoryBudget({ limit: budgetBytes, clock, onGarbage: reclaim.check });
  return { machine, budgetBytes, budget, [Symbol.dispose]: () => reclaim[Symbol.dispose]() };
}
