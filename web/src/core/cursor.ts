/**
 * The connection of the tail as a state machine: events in, actions out. It decides when to open a stream, on which node,
 * how long to wait after a failure, and when to stop and ask the user. Time and random numbers come with the events.
 *
 *   connecting → live → waiting → connecting …        failures, back-off with jitter, next node
 *   live ⇄ parked                                      the buffer is full and the user reads elsewhere in it
 *   any ⇄ hidden                                       the tab was hidden for a minute
 *   any → stopped                                      denied, trimmed, another log: the user decides
 */
import type { StreamFailure } from "./failure.ts";

export type Phase = "connecting" | "live" | "waiting" | "parked" | "hidden" | "stopped";

export interface Cursor {
  readonly phase: Phase;
  /** Failures since the last message arrived. */
  readonly attempt: number;
  /** Base addresses, the page's own first, and which one is in use. */
  readonly nodes: readonly string[];
  readonly node: number;
  /** For waiting: when the next try is due, on the clock of the events. */
  readonly retryAtMs: number;
  /** Why it waits or stopped. */
  readonly failure: StreamFailure | undefined;
}

export type CursorEvent =
  | { readonly kind: "open" }
  | { readonly kind: "message" }
  | {
      readonly kind: "failed";
      readonly failure: StreamFailure;
      readonly nowMs: number;
      readonly chance: number;
    }
  | { readonly kind: "timer" }
  | { readonly kind: "online" }
  | { readonly kind: "park" }
  | { readonly kind: "unpark" }
  | { readonly kind: "hide" }
  | { readonly kind: "show" }
  | { readonly kind: "nodes"; readonly nodes: readonly string[] };

export type Duty =
  | { readonly kind: "open"; readonly node: string }
  | { readonly kind: "close" }
  | { readonly kind: "wait"; readonly delayMs: number };

const firstDelayMs = 250;
export const delayMsMax = 10_000;
/** A node that is behind answers "beyond the end". So many other nodes are asked before that is final. */
export const beyondTriesMax = 4;

export function initialCursor(node: string): Cursor {
  return { phase: "connecting", attempt: 0, nodes: [node], node: 0, retryAtMs: 0, failure: undefined };
}

/** Returns the wait before attempt number `attempt` (from 1): it doubles up to a limit, with jitter from half to full. */
export function backOffMs(attempt: number, chance: number): number {
  const full = Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(attempt - 1, 16));
  return Math.round(full * (0.5 + 0.5 * chance));
}

export function step(cursor: Cursor, event: CursorEvent): readonly [Cursor, readonly Duty[]] {
  switch (event.kind) {
    case "open":
      return reopen({ ...cursor, attempt: 0 });
    case "message":
      if (cursor.phase !== "connecting" && cursor.phase !== "live") return [cursor, []];
      if (cursor.phase === "live" && cursor.attempt === 0) return [cursor, []];
      return [{ ...cursor, phase: "live", attempt: 0, failure: undefined }, []];
    case "failed":
      return cursor.phase === "connecting" || cursor.phase === "live" ? failed(cursor, event) : [cursor, []];
    case "timer":
    case "online":
      return cursor.phase === "waiting" ? reopen(cursor) : [cursor, []];
    case "park":
      if (cursor.phase !== "live" && cursor.phase !== "connecting") return [cursor, []];
      return [{ ...cursor, phase: "parked" }, [{ kind: "close" }]];
    case "unpark":
      return cursor.phase === "parked" ? reopen(cursor) : [cursor, []];
    case "hide":
      return cursor.phase === "stopped" || cursor.phase === "hidden"
        ? [cursor, []]
        : [{ ...cursor, phase: "hidden" }, [{ kind: "close" }]];
    case "show":
      return cursor.phase === "hidden" ? reopen({ ...cursor, attempt: 0 }) : [cursor, []];
    case "nodes":
      return [learned(cursor, event.nodes), []];
  }
}

function reopen(cursor: Cursor): readonly [Cursor, readonly Duty[]] {
  const node = cursor.nodes[cursor.node] as string;
  return [
    { ...cursor, phase: "connecting", failure: cursor.attempt > 0 ? cursor.failure : undefined },
    [{ kind: "close" }, { kind: "open", node }],
  ];
}

function failed(
  cursor: Cursor,
  event: Extract<CursorEvent, { kind: "failed" }>,
): readonly [Cursor, readonly Duty[]] {
  const { failure } = event;
  const attempt = cursor.attempt + 1;
  const final = !failure.retry && !(failure.kind === "beyond" && attempt <= beyondTriesMax);
  if (final) return [{ ...cursor, phase: "stopped", failure }, [{ kind: "close" }]];
  const delayMs = backOffMs(attempt, event.chance);
  const next: Cursor = {
    ...cursor,
    phase: "waiting",
    attempt,
    node: (cursor.node + 1) % cursor.nodes.length,
    retryAtMs: event.nowMs + delayMs,
    failure,
  };
  return [next, [{ kind: "close" }, { kind: "wait", delayMs }]];
}

/** The list from the cluster replaces the known one, but the page's own node and the one in use stay. */
function learned(cursor: Cursor, found: readonly string[]): Cursor {
  const own = cursor.nodes[0] as string;
  const current = cursor.nodes[cursor.node] as string;
  const nodes = [...new Set([own, ...found, current])].slice(0, 16);
  if (nodes.join(" ") === cursor.nodes.join(" ")) return cursor;
  return { ...cursor, nodes, node: Math.max(0, nodes.indexOf(current)) };
}
