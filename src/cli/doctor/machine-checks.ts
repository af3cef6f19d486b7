/** The checks of this machine: descriptors, memory, and the synchronization of its clock. */
import { createRequire } from "node:module";
import { settings } from "../../agent/config/settings.ts";
import { type MachineMemory, machineMemory, memoryBytesAdvised } from "../../agent/memory/machine-memory.ts";
import { connectionLimits, descriptorLimit } from "../../server/mod.ts";
import { bytesText } from "../output/table.ts";
import { type Check, ok, skipped, warning } from "./check.ts";

export const machineChecks = (): readonly Check[] => [
  judgeDescriptors(descriptorLimit()),
  judgeMemory(machineMemory()),
  judgeKernelClock(kernelClockState()),
];

/** Descriptors that suffice for the default limits, with room for segments and peers. */
const descriptorsAdvised = 65_536;

/** `limit` is undefined where there is none, or it is unknown. */
export function judgeDescriptors(limit: number | undefined): Check {
  const name = "descriptors";
  if (limit === undefined) return ok(name, "no limit is known for this process");
  const connectionsMax = settings.connectionsMax.value;
  const { clientsMax } = connectionLimits({ connectionsMax, perClientMax: 0, descriptors: limit });
  if (clientsMax >= connectionsMax) return ok(name, `${limit} files and connections (ulimit -n)`);
  return warning(
    name,
    `ulimit -n is ${limit}: a node started here takes ${clientsMax} connections, and --connections-max is ${connectionsMax}`,
    `ulimit -n ${descriptorsAdvised} before tailrace serve, or LimitNOFILE=${descriptorsAdvised} in the unit of systemd`,
  );
}

export function judgeMemory({ limitBytes, source }: MachineMemory): Check {
  const name = "memory";
  const found = `${bytesText(limitBytes)} (limit of the ${source})`;
  if (limitBytes >= memoryBytesAdvised) return ok(name, found);
  return warning(name, found, `give a node at least ${bytesText(memoryBytesAdvised)}`);
}

/** What adjtimex(2) returns for a clock that is not synchronized. */
const timeError = 5;

/** The state of the kernel's clock, as adjtimex(2) returns it; undefined where it cannot be asked. */
function kernelClockState(): number | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
    const adjtimex = koffi.load("libc.so.6").func("int adjtimex(void *state)");
    // A struct timex of zeros changes nothing. It has at most 208 bytes.
    const state = Number(adjtimex(Buffer.alloc(512)));
    return state < 0 ? undefined : state;
  } catch {
    return undefined;
  }
}

export function judgeKernelClock(state: number | undefined): Check {
  const name = "clock";
  if (state === undefined) return skipped(name, "this system does not say whether its clock is synchronized");
  if (state !== timeError) return ok(name, "synchronized");
  return warning(
    name,
    "the kernel says that the clock is not synchronized; retention by age, expiry and certificates need the time",
    "start a time service, such as chrony or systemd-timesyncd (timedatectl set-ntp true)",
  );
}
