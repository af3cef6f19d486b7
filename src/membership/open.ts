/** Opens membership: checks the options, binds the ports, and starts. It does not join a cluster. */
import { Fault } from "../fault.ts";
import { systemClock } from "../lib/time/clock.ts";
import { Keyring } from "./codec/keyring.ts";
import { packetOverheadBytes, type WireOptions } from "./codec/packet.ts";
import { Membership } from "./membership.ts";
import { defaults, type MembershipOptions } from "./options.ts";
import { randomNonce } from "./transport/random.ts";
import { resolveEndpoint, resolveHost } from "./transport/resolve.ts";
import { openTransport } from "./transport/transport.ts";

/**
 * Starts a member on an address.
 * @throws Fault "config" for invalid options, "too-large" for the tags, and "unavailable" if the port is in use or a host
 *   name is unknown
 */
export async function openMembership(options: MembershipOptions): Promise<Membership> {
  const clock = options.clock ?? systemClock;
  if (!/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u.test(options.name) || Buffer.byteLength(options.name) > 128) {
    throw new Fault("config", {
      message: "the name of a member must have 1 to 128 bytes and no control characters",
      facts: { name: options.name },
    });
  }
  const wire: WireOptions = {
    keyring: options.keys === undefined ? undefined : new Keyring(options.keys, randomNonce),
    label: options.label ?? "",
  };
  const host = await resolveHost(options.host);
  const transport = await (options.openTransport ?? openTransport)({
    host,
    port: options.port,
    listen: options.listen ?? true,
    wire,
    limits: { ...defaults.streams, ...options.streams },
    clock,
  });
  try {
    const at =
      options.advertise === undefined
        ? transport.bound
        : await resolveEndpoint(options.advertise, transport.bound.port);
    if (at.host === "0.0.0.0" || at.host === "::") {
      throw new Fault("config", {
        message: "gossip is bound to all interfaces and needs an address to advertise",
      });
    }
    return new Membership(options, clock, transport, at, packetOverheadBytes(wire));
  } catch (reason) {
    await transport.close();
    throw reason;
  }
}
