/**
 * Encodes and decodes the lines of the snapshot file, as Serf writes them:
 *
 *   alive: NAME ADDR · not-alive: NAME · clock: N · event-clock: N · query-clock: N · leave
 *
 * A later line overrides an earlier one. A torn last line and unknown or implausible lines are skipped.
 */
import { type Endpoint, endpointText, parseHostPort } from "../codec/address.ts";
import { lamportPlausibleMax } from "./serf-messages.ts";

export interface SnapshotState {
  /** Name → address of the members that were alive at the end. */
  readonly alive: ReadonlyMap<string, Endpoint>;
  readonly clocks: { readonly member: number; readonly event: number; readonly query: number };
  /** This member left the cluster and has not joined one since. */
  readonly left: boolean;
}

export const snapshotLine = {
  alive: (name: string, at: Endpoint): string => `alive: ${name} ${endpointText(at)}\n`,
  notAlive: (name: string): string => `not-alive: ${name}\n`,
  clocks: (clocks: SnapshotState["clocks"]): string =>
    `clock: ${clocks.member}\nevent-clock: ${clocks.event}\nquery-clock: ${clocks.query}\n`,
  leave: (): string => "leave\n",
};

export function parseSnapshot(text: string): SnapshotState {
  const alive = new Map<string, Endpoint>();
  const clocks = { member: 0, event: 0, query: 0 };
  let left = false;
  for (const line of text.slice(0, text.lastIndexOf("\n") + 1).split("\n")) {
    const [key, rest] = split(line, ": ");
    if (key === "alive") {
      const at = rest.lastIndexOf(" ");
      const endpoint = readEndpoint(rest.slice(at + 1));
      if (at > 0 && endpoint !== undefined) alive.set(rest.slice(0, at), endpoint);
      left = false;
    } else if (key === "not-alive") alive.delete(rest);
    else if (key === "clock") clocks.member = readTime(rest, clocks.member);
    else if (key === "event-clock") clocks.event = readTime(rest, clocks.event);
    else if (key === "query-clock") clocks.query = readTime(rest, clocks.query);
    else if (key === "leave") {
      alive.clear();
      left = true;
    }
  }
  return { alive, clocks, left };
}

function split(line: string, mark: string): [string, string] {
  const at = line.indexOf(mark);
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + mark.length)];
}

/** An implausible time is ignored: with it, other members would ignore this one. */
function readTime(text: string, otherwise: number): number {
  return /^\d{1,15}$/.test(text) && Number(text) <= lamportPlausibleMax ? Number(text) : otherwise;
}

function readEndpoint(text: string): Endpoint | undefined {
  try {
    return parseHostPort(text, 0);
  } catch {
    return undefined;
  }
}
