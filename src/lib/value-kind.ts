/**
 * The kinds of values that a setting can have: how each is parsed, checked and printed.
 *
 *   bytes     := digits [KiB | MiB | GiB | TiB]        64MiB
 *   duration  := (digits (ms | s | m | h | d))+ | 0    24h, 1h30m
 *   address   := host ":" port                         127.0.0.1:8080, [::1]:8080
 */
import { Fault } from "../fault.ts";

/** One kind of value. `parse` throws Fault "config" whose message says what was expected. */
export interface Kind<T> {
  /** The placeholder of the value in --help. */
  readonly placeholder: string;
  parse(text: string): T;
  print(value: T): string;
}

/** A host and a port, as in `127.0.0.1:8080`. An empty host means all interfaces. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const reject = (expected: string, found: string): never => {
  throw new Fault("config", { message: `expected ${expected}, found "${found}"` });
};

export const text: Kind<string> = {
  placeholder: "TEXT",
  parse: (found) => (found === "" ? reject("some text", found) : found),
  print: (value) => value,
};

export const path: Kind<string> = { ...text, placeholder: "PATH" };

export const flag: Kind<boolean> = {
  placeholder: "",
  parse: (found) => (found === "true" ? true : found === "false" ? false : reject("true or false", found)),
  print: String,
};

/** A whole number in `low … high`, both included. */
export function integer(low: number, high: number): Kind<number> {
  return {
    placeholder: "N",
    parse(found) {
      const value = /^\d+$/.test(found) ? Number(found) : Number.NaN;
      return value >= low && value <= high ? value : reject(`a whole number in ${low} to ${high}`, found);
    },
    print: String,
  };
}

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): Kind<T> {
  return {
    placeholder: words.join("|"),
    parse: (found) => words.find((word) => word === found) ?? reject(words.join(" or "), found),
    print: (value) => value,
  };
}

/** Items separated by commas; spaces around them are ignored. */
export function list<T>(item: Kind<T>): Kind<readonly T[]> {
  return {
    placeholder: `${item.placeholder},…`,
    parse: (found) => (found.trim() === "" ? [] : found.split(",").map((part) => item.parse(part.trim()))),
    print: (values) => values.map(item.print).join(","),
  };
}

const byteUnits = { "": 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

/** A number of bytes in `low … high`, with a binary unit or none. */
export function bytes(low: number, high: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  const print = (value: number): string => {
    const unit = (["TiB", "GiB", "MiB", "KiB"] as const).find((name) => value % byteUnits[name] === 0);
    return value === 0 || unit === undefined ? String(value) : `${value / byteUnits[unit]}${unit}`;
  };
  const range =
    high === Number.MAX_SAFE_INTEGER ? `at least ${print(low)}` : `${print(low)} to ${print(high)}`;
  return {
    placeholder: "BYTES",
    parse(found) {
      const parts = /^(\d+)\s*(KiB|MiB|GiB|TiB|)$/.exec(found);
      const value = parts ? Number(parts[1]) * byteUnits[parts[2] as keyof typeof byteUnits] : Number.NaN;
      return value >= low && value <= high ? value : reject(`a size such as 64MiB, ${range}`, found);
    },
    print,
  };
}

const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type DurationUnit = keyof typeof durationUnits;

/** Returns milliseconds, or undefined if the text is not a duration. */
export function parseDuration(found: string): number | undefined {
  if (found === "0") return 0;
  if (!/^(\d+(ms|s|m|h|d))+$/.test(found)) return undefined;
  let total = 0;
  for (const [, digits, unit] of found.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    total += Number(digits) * durationUnits[unit as DurationUnit];
  }
  return total;
}

/** The shortest text with one unit. */
function printDuration(milliseconds: number): string {
  const unit = (["h", "m", "s", "ms"] as const).find((name) => milliseconds % durationUnits[name] === 0);
  return milliseconds === 0 || unit === undefined ? "0" : `${milliseconds / durationUnits[unit]}${unit}`;
}

/** Milliseconds in `low … high`. */
export function duration(low: number, high: number): Kind<number> {
  return {
    placeholder: "DURATION",
    parse(found) {
      const value = parseDuration(found) ?? Number.NaN;
      const range = `a duration such as 24h, ${printDuration(low)} to ${printDuration(high)}`;
      return value >= low && value <= high ? value : reject(range, found);
    },
    print: printDuration,
  };
}

/** `always`, `never` or `interval=DURATION`, kept as text. */
export const syncMode: Kind<string> = {
  placeholder: "always|interval=DURATION|never",
  parse(found) {
    const interval = found.startsWith("interval=")
      ? parseDuration(found.slice("interval=".length))
      : undefined;
    if (found === "always" || found === "never" || (interval !== undefined && interval > 0)) return found;
    return reject("always, never or interval=DURATION", found);
  },
  print: (value) => value,
};

/** A host and a port. An IPv6 host stands in brackets. */
export const address: Kind<Address> = {
  placeholder: "HOST:PORT",
  parse(found) {
    const parts = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]\s/\p{Cc}]*)):(\d{1,5})$/u.exec(found);
    const port = Number(parts?.[3] ?? Number.NaN);
    if (parts === null || !(port <= 65_535)) return reject("HOST:PORT, such as 127.0.0.1:8080", found);
    return { host: parts[1] ?? parts[2] ?? "", port };
  },
  print: printAddress,
};

/** The text that `address` reads. */
export function printAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Returns true for a host that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Returns true for a host that means all interfaces. */
export function isWildcard(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::";
}
