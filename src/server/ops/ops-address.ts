/**
 * Opens the ops port at `--ops-addr`, or on loopback at the main port + 1000. If that default is in use, for example by a
 * second node on this machine, a free port is used. The ready line names it.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Address } from "../../lib/value-kind.ts";
import { type OpsOptions, OpsServer } from "./ops-server.ts";

const portMax = 65_535;

/** The default ops port for a main port. For port 0, which picks a free one, it is 0. */
export function opsPortBeside(port: number): number {
  if (port === 0) return 0;
  return port + 1_000 > portMax ? port - 1_000 : port + 1_000;
}

/**
 * Opens the ops port at `given`, or at the default for `mainPort`, the configured port.
 * @throws Fault "config" if `given` is not available
 */
export async function openOps(
  given: Address | undefined,
  mainPort: number,
  options: Omit<OpsOptions, "host" | "port"> & { readonly log: Logger },
): Promise<OpsServer> {
  if (given !== undefined) return OpsServer.open({ ...options, host: given.host, port: given.port });
  const port = opsPortBeside(mainPort);
  try {
    return await OpsServer.open({ ...options, port });
  } catch (reason) {
    if (!(reason instanceof Fault) || port === 0) throw reason;
    const ops = await OpsServer.open({ ...options, port: 0 });
    options.log.warn(
      { port, addr: ops.address },
      "the default ops port is in use, another one is used; --ops-addr sets it",
    );
    return ops;
  }
}
