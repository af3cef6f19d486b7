/**
 * Names to addresses.
 *
 * Never: caches (the system does); answers more than one address for a name.
 */
import { lookup } from "node:dns/promises";
import { Fault } from "../../fault.ts";
import { addressBytes, addressText, type Endpoint, parseHostPort } from "../codec/address.ts";

/** The numeric endpoint of `host:port`. Throws Fault "bad-request" on bad form, "unavailable" when unknown. */
export async function resolveEndpoint(text: string, defaultPort: number): Promise<Endpoint> {
  const { host, port } = parseHostPort(text, defaultPort);
  return { host: await resolveHost(host), port };
}

/** The numeric address of a host, in the form that the protocol compares. Throws Fault "unavailable". */
export async function resolveHost(host: string): Promise<string> {
  try {
    const { address } = await lookup(host);
    return addressText(addressBytes(address)) ?? address;
  } catch (cause) {
    throw new Fault("unavailable", { message: "a host name is not known", facts: { host }, cause });
  }
}
