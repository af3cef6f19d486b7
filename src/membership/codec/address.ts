/**
 * A member's address, as text and as memberlist's raw bytes: 4 for IPv4, 16 for IPv6. One address has exactly one form,
 * because peers compare the bytes and report a conflict when they differ.
 */
import { Fault } from "../../fault.ts";

/** A numeric IP address in its shortest text form, and a port. UDP and TCP share the port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/**
 * Returns the address as memberlist sends it.
 * @throws Fault "bad-request" if `host` is not a numeric address
 */
export function addressBytes(host: string): Buffer {
  const four = ipv4(host);
  if (four !== undefined) return Buffer.from(four);
  const groups = ipv6(host);
  if (groups === undefined) {
    throw new Fault("bad-request", {
      message: "the host is not a numeric IPv4 or IPv6 address",
      facts: { text: host },
    });
  }
  const bytes = Buffer.alloc(16);
  groups.forEach((group, at) => {
    bytes.writeUInt16BE(group, at * 2);
  });
  return bytes;
}

/** Returns the text of a raw address, or undefined unless it is 4 or 16 bytes. IPv4 mapped into IPv6 becomes IPv4. */
export function addressText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return undefined;
  const mapped = bytes.subarray(0, 12).every((byte, at) => byte === (at < 10 ? 0 : 0xff));
  if (mapped) return bytes.subarray(12).join(".");
  const view = Buffer.from(bytes);
  const groups = Array.from({ length: 8 }, (_, at) => view.readUInt16BE(at * 2));
  return shorten(groups);
}

/** Returns `host:port`, with brackets around IPv6. */
export function endpointText(endpoint: Endpoint): string {
  return endpoint.host.includes(":")
    ? `[${endpoint.host}]:${endpoint.port}`
    : `${endpoint.host}:${endpoint.port}`;
}

/**
 * Parses `host:port`, `[v6]:port`, or a host alone (with the default port). The host may be a name.
 * @throws Fault "bad-request" otherwise
 */
export function parseHostPort(text: string, defaultPort: number): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? (ipv6(text) === undefined ? undefined : text);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Fault("bad-request", {
      message: "the address is not of the form host:port",
      facts: { text },
    });
  }
  return { host, port };
}

/** Compares address and port. Both hosts must be in the shortest text form. */
export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.host === other.host && one.port === other.port;
}

/** Returns false for unspecified, multicast and broadcast addresses, which no single member can have. */
export function isUnicast(host: string): boolean {
  const bytes = addressBytes(host);
  if (bytes.length === 16) return bytes[0] !== 0xff && bytes.some((byte) => byte !== 0);
  const [first = 0] = bytes;
  return first > 0 && first < 224;
}

function ipv4(host: string): number[] | undefined {
  const parts = host.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return;
  return parts.map(Number);
}

function ipv6(host: string): number[] | undefined {
  const halves = host.split("::");
  if (!host.includes(":") || halves.length > 2) return;
  const sides = halves.map((half) => (half === "" ? [] : half.split(":")));
  const head = sides[0] ?? [];
  const tail = sides[1] ?? [];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return;
  const groups = [...head, ...new Array<string>(missing).fill("0"), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return;
  return groups.map((group) => Number.parseInt(group, 16));
}

/** RFC 5952: lower case, the longest run of two or more zero groups becomes `::`. */
function shorten(groups: readonly number[]): string {
  let best = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  if (best.length < 2) return text(0, 8);
  return `${text(0, best.at)}::${text(best.at + best.length, 8)}`;
}
