/**
 * Where the ops port listens: `--ops-addr`, or loopback at the main port + 1000.
 *
 * The default is only a convenience, so a node whose default is taken, for example a second one on this machine, takes
 * a free port instead of refusing to start. The ready line names it.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Address } from "../../lib/value-kind.ts";
import { type OpsOptions, OpsServer } from "./ops-server.ts";

const portMax = 65_535;

/** The default ops port beside a main port. Port 0, which picks a free one, has a free one beside it. */
export function opsPortBeside(port: number): number {
  if (port === 0) return 0;
  return port + 1_000 > portMax ? port - 1_000 : port + 1_000;
}

/**
 * Opens the ops port at `given`, or at its default beside `mainPort` as it was configured.
 *
 * @throws Fault "config" when `given` cannot be had
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
      "the default ops port is taken, another one is used; --ops-addr sets it",
    );
    return ops;
  }
}
