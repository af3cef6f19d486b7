/**
 * The exit status of a command.
 *
 *   0 done · 1 failed · 2 usage · 3 unreachable · 4 permission · 5 corrupt · 6 only warnings (doctor) · 130 Ctrl-C
 */
import { Fault, type FaultKind } from "../fault.ts";

export const exitStatus = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  permission: 4,
  corrupt: 5,
  warnings: 6,
  interrupted: 130,
} as const;

const byKind: Readonly<Partial<Record<FaultKind, number>>> = {
  unauthenticated: exitStatus.permission,
  "permission-denied": exitStatus.permission,
  corrupt: exitStatus.corrupt,
};

/** Invalid flag or argument. No request was sent. */
export const usageFault = (message: string): Fault =>
  new Fault("config", { message, facts: { usage: true } });

/** Usage fault of a value: `expected` says what it must be, as in "--addr must be HOST:PORT". The value is quoted. */
export const argumentFault = (expected: string, found: string): Fault =>
  usageFault(`${expected}, not "${found}"`);

/** Returns the exit status of a fault. */
export function statusOf(fault: Fault): number {
  if (fault.facts.unreachable === true) return exitStatus.unreachable;
  if (fault.facts.usage === true) return exitStatus.usage;
  return byKind[fault.kind] ?? exitStatus.failed;
}
