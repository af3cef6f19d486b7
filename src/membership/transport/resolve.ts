/** Resolves names to addresses. The first address of a name is used, and the system caches. */
import { lookup } from "node:dns/promises";
import { Fault } from "../../fault.ts";
import { addressBytes, addressText, type Endpoint, parseHostPort } from "../codec/address.ts";

/**
 * Resolves `host:port`, or a host alone with the default port.
 * @throws Fault "bad-request" for another form, "unavailable" if the name is unknown
 */
export async function resolveEndpoint(text: string, defaultPort: number): Promise<Endpoint> {
  const { host, port } = parseHostPort(text, defaultPort);
  return { host: await resolveHost(host), port };
}

/**
 * Resolves a host to a numeric address in its shortest form.
 * @throws Fault "unavailable" if the name is unknown
 */
export async function resolveHost(host: string): Promise<string> {
  try {
    const { address } = await lookup(host);
    return addressText(addressBytes(address)) ?? address;
  } catch (cause) {
    throw new Fault("unavailable", { message: "a host name is not known", facts: { host }, cause });
  }
}
