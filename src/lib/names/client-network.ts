/** What counts as one client where clients are limited. Pure. */

/** Returns what counts as one client: an IPv4 address, or a network of 2^64 IPv6 addresses. */
export function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const v4 = address.slice(address.lastIndexOf(":") + 1);
  if (v4.includes(".")) return v4;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const tailLength = tail === "" ? 0 : tail.split(":").length;
    while (groups.length + tailLength < 8) groups.push("0");
    groups.push(...(tail === "" ? [] : tail.split(":")));
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** The same for an address with its port, `address:port`. */
export const clientNetworkOf = (peer: string): string => clientOf(peer.slice(0, peer.lastIndexOf(":")));
