/**
 * Opens membership: checks what it was told, binds the network, and starts.
 *
 * Never: joins.
 */
import { Fault } from "../fault.ts";
import { systemClock } from "../lib/time/clock.ts";
import { Keyring } from "./codec/keyring.ts";
import { packetOverheadBytes, type WireOptions } from "./codec/packet.ts";
import { Membership } from "./membership.ts";
import { defaults, type MembershipOptions } from "./options.ts";
import { randomNonce } from "./transport/random.ts";
import { resolveEndpoint, resolveHost } from "./transport/resolve.ts";
import { openTransport } from "./transport/transport.ts";

/** Opens gossip on an address. Throws Fault "config" on wrong options, "unavailable" when the port is taken. */
export async function openMembership(options: MembershipOptions): Promise<Membership> {
  const clock = options.clock ?? systemClock;
  if (!/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u.test(options.name) || Buffer.byteLength(options.name) > 128) {
    throw new Fault("config", {
      message: "a member's name has 1 to 128 bytes and no control characters",
      facts: { name: options.name },
    });
  }
  const wrapping: WireOptions = {
    keyring: options.keys === undefined ? undefined : new Keyring(options.keys, randomNonce),
    label: options.label ?? "",
  };
  const host = await resolveHost(options.host);
  const transport = await (options.openTransport ?? openTransport)({
    host,
    port: options.port,
    listen: options.listen ?? true,
    wire: wrapping,
    limits: { ...defaults.streams, ...options.streams },
    clock,
  });
  try {
    const at =
      options.advertise === undefined
        ? transport.bound
        : await resolveEndpoint(options.advertise, transport.bound.port);
    if (at.host === "0.0.0.0" || at.host === "::") {
      throw new Fault("config", { message: "bound to all interfaces, gossip needs an address to advertise" });
    }
    return new Membership(options, clock, transport, at, packetOverheadBytes(wrapping));
  } catch (reason) {
    await transport.close();
    throw reason;
  }
}
