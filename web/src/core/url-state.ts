/**
 * The view as a URL, so that a link reproduces it: where the tail starts, the filter, the format of values, the open
 * record and the panel. Unknown or malformed parts become the default; nothing throws.
 *
 *   ?log=<name>  &from=-200|end|start|<offset>|@<unix-ms>|<RFC 3339>  &live=1  &q=…&by=regex|path  &as=hex  &time=utc  &open=<offset>  &view=cluster
 *   ?q=…&in=log&by=key|header|regex|cel      a search of the whole log
 */
import { type FormatChoice, formatChoices } from "./decode.ts";
import type { FilterMode } from "./filter.ts";
import { type TimeStyle, timeStyles } from "./format.ts";
import { type SearchKind, searchKinds } from "./search-query.ts";

/** Where a tail starts, with the values of the parameter `from` of `GET /tail`. */
export type From =
  | { readonly kind: "end" }
  | { readonly kind: "start" }
  | { readonly kind: "offset"; readonly offset: number }
  | { readonly kind: "last"; readonly count: number }
  | { readonly kind: "time"; readonly atMs: number };

const views = ["tail", "logs", "cluster", "segments"] as const;
export type View = (typeof views)[number];

export const scopes = ["tab", "log"] as const;
export type Scope = (typeof scopes)[number];

/** The kinds of a query, by its scope. */
export const modesOf: Readonly<Record<Scope, readonly (FilterMode | SearchKind)[]>> = {
  tab: ["text", "regex", "path"],
  log: searchKinds,
};

export interface UrlState {
  /** The name of the log. Empty: the log `default`. */
  readonly log: string;
  readonly from: From;
  /** Start at an offset and then follow the end: for a link that continues a live tail on another node. */
  readonly live: boolean;
  readonly query: string;
  /** Where the query is applied: to the records in the tab as they arrive, or to the whole log by the server. */
  readonly scope: Scope;
  /** Of the scope. */
  readonly mode: FilterMode | SearchKind;
  readonly format: FormatChoice;
  readonly time: TimeStyle;
  readonly open: number | undefined;
  readonly view: View;
}

export const lastMax = 50_000;
/** A longer name is not one of a log: names have at most 255 bytes. */
const nameLengthMax = 255;
export const defaultFrom: From = { kind: "last", count: 200 };

/** Parses what users type: an offset, −N, end, start, @unix-ms or a date. Undefined for other text. */
export function parseFrom(text: string): From | undefined {
  const word = text.trim().replaceAll("−", "-");
  if (word === "end" || word === "now") return { kind: "end" };
  if (word === "start" || word === "beginning") return { kind: "start" };
  const digits = word.replace(/[,_ ]/g, "");
  if (/^\d{1,16}$/.test(digits)) return safe(Number(digits), (offset) => ({ kind: "offset", offset }));
  if (/^-\d{1,16}$/.test(digits)) {
    return safe(-Number(digits), (count) => ({ kind: "last", count: Math.min(lastMax, Math.max(1, count)) }));
  }
  if (/^@\d{1,16}$/.test(digits)) return safe(Number(digits.slice(1)), (atMs) => ({ kind: "time", atMs }));
  const atMs = hasRealDate(word) ? Date.parse(word) : Number.NaN;
  return Number.isNaN(atMs) || atMs < 0 ? undefined : { kind: "time", atMs };
}

/** Date.parse takes 2026-02-30 for 2 March. */
function hasRealDate(word: string): boolean {
  const [, year, month, day = "1"] = /^(\d{4})-(\d\d)(?:-(\d\d))?/.exec(word) ?? [];
  if (year === undefined) return false;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}

const safe = (value: number, make: (value: number) => From): From | undefined =>
  Number.isSafeInteger(value) ? make(value) : undefined;

function formatFrom(from: From): string {
  switch (from.kind) {
    case "offset":
      return String(from.offset);
    case "last":
      return `-${from.count}`;
    case "time":
      return `@${from.atMs}`;
    default:
      return from.kind;
  }
}

/** Where a page begins that shows this record: a little before it. */
export const fromBefore = (offset: number): From => ({ kind: "offset", offset: Math.max(0, offset - 20) });

/** Reads the query part of an address. */
export function parseUrl(search: string): UrlState {
  const params = new URLSearchParams(search);
  const scope = oneOf(scopes, params.get("in"), "tab");
  const open = Number(params.get("open") ?? Number.NaN);
  const log = params.get("log") ?? "";
  const isOpen = Number.isSafeInteger(open) && open >= 0;
  const from = parseFrom(params.get("from") ?? "") ?? (isOpen ? fromBefore(open) : defaultFrom);
  return {
    log: log === "default" ? "" : log.slice(0, nameLengthMax),
    from,
    live: from.kind === "offset" && params.get("live") === "1",
    query: (params.get("q") ?? "").slice(0, 2000),
    scope,
    mode: oneOf(modesOf[scope], params.get("by"), "text"),
    format: oneOf(formatChoices, params.get("as"), "auto"),
    time: oneOf(timeStyles, params.get("time"), "local"),
    open: isOpen ? open : undefined,
    view: oneOf(views, params.get("view"), "tail"),
  };
}

/** The query part for a state, shortest form: what is default is left out. */
export function formatUrl(state: UrlState): string {
  const params = new URLSearchParams();
  if (state.log !== "") params.set("log", state.log);
  const from = formatFrom(state.from);
  if (from !== formatFrom(defaultFrom)) params.set("from", from);
  if (state.live && state.from.kind === "offset") params.set("live", "1");
  if (state.query !== "") params.set("q", state.query);
  if (state.scope !== "tab") params.set("in", state.scope);
  if (state.query !== "" && state.mode !== "text") params.set("by", state.mode);
  if (state.format !== "auto") params.set("as", state.format);
  if (state.time !== "local") params.set("time", state.time);
  if (state.open !== undefined) params.set("open", String(state.open));
  if (state.view !== "tail") params.set("view", state.view);
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

function oneOf<T extends string>(all: readonly T[], found: string | null, otherwise: T): T {
  return all.find((item) => item === found) ?? otherwise;
}

/** What a reload needs besides the URL: the exact position, kept in the history entry. */
export interface Place {
  /** The first record that was in the ring. */
  readonly first: number;
  readonly next: number;
  /** The record at the top of the window. */
  readonly top: number;
  readonly following: boolean;
}

/** Records read again after a reload at most. */
const reloadMax = 2_000;

/** Returns where to read from so that a reloaded page shows the same records. */
export function reloadFrom(place: Place): From {
  const near = place.following ? place.next - reloadMax : place.top - reloadMax / 2;
  return { kind: "offset", offset: Math.max(0, place.first, near) };
}

/** A place from a history entry, if it is one. */
export function asPlace(state: unknown): Place | undefined {
  if (typeof state !== "object" || state === null) return undefined;
  const { first, next, top, following } = state as Record<string, unknown>;
  const whole = [first, next, top].every((value) => Number.isSafeInteger(value) && (value as number) >= 0);
  return whole && typeof following === "boolean" ? (state as Place) : undefined;
}
