/** The checks of the ports of a node that does not run yet. */
import { isIP } from "node:net";
import { Fault } from "../../fault.ts";
import { type Address, address, isLoopback } from "../../lib/value-kind.ts";
import { checkFree, opsPortBeside } from "../../server/mod.ts";
import { type Check, ok, problem } from "./check.ts";

/** Whether a node of this machine could have the address: loopback. */
export const isOwn = (addr: string): boolean => isLoopback(address.parse(addr).host);

/** Checks that the port is free for TCP and UDP, and that of --ops-addr for TCP and UDP too, which is more than needed. */
export async function portChecks(addr: string): Promise<readonly Check[]> {
  const main = address.parse(addr);
  // Names are resolved by a node as well.
  const host = isIP(main.host) === 0 ? "127.0.0.1" : main.host;
  const ops = { host: "127.0.0.1", port: opsPortBeside(main.port) };
  return [await portCheck("--addr", { host, port: main.port }), await portCheck("--ops-addr", ops)];
}

async function portCheck(flag: "--addr" | "--ops-addr", found: Address): Promise<Check> {
  const name = flag === "--addr" ? "port" : "ops-port";
  const shown = address.print(found);
  try {
    await checkFree({ flag, address: found });
    return ok(name, `${shown} is free`);
  } catch (reason) {
    const { message } = Fault.from(reason);
    return problem(name, message, `stop the other process, or start the node with another ${flag}`);
  }
}
