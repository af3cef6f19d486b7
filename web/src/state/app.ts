/** The state of the page: the tail, the cluster, the user's identity, and what is shown. Created once. */
import { batch, computed, effect, signal } from "@preact/signals";
import type { FilterMode } from "../core/filter.ts";
import { isAllowed, type Permissions } from "../core/permissions.ts";
import { conditionOf, markedText, type SearchKind } from "../core/search-query.ts";
import {
  asPlace,
  defaultFrom,
  type From,
  formatUrl,
  fromBefore,
  modesOf,
  type Place,
  parseUrl,
  reloadFrom,
  type Scope,
  type UrlState,
} from "../core/url-state.ts";
import { asCallError, callsTo, ownBase } from "../io/calls.ts";
import { isVisible, onDarkScheme, replaceAddress, storedTheme, storeTheme, type Theme } from "../io/page.ts";
import { after, every, nowMs } from "../io/timing.ts";
import { ClusterWatch } from "./cluster.ts";
import { DefaultLog } from "./default-log.ts";
import { LogCursors } from "./log-cursors.ts";
import { LogList } from "./log-list.ts";
import { LogSearch } from "./log-search.ts";
import { OneLog } from "./one-log.ts";
import { PrefixTail } from "./prefix-tail.ts";
import { SessionEnd } from "./session-end.ts";
import { Tail } from "./tail.ts";

export interface Identity extends Permissions {
  readonly subject: string;
  /** What the browser has shown: certificate, token, session or none. */
  readonly credential: string;
}

const initial: UrlState = parseUrl(location.search);

export const view = signal(initial.view);
export const query = signal(initial.query);
export const mode = signal(initial.mode);
export const scope = signal(initial.scope);
export const format = signal(initial.format);
export const timeStyle = signal(initial.time);
/** The offset of the record whose parts are shown. */
export const open = signal(initial.open);
/** The offset that the keyboard is on. */
export const selected = signal(initial.open);
export const producing = signal(false);
export const helping = signal(false);
/** Does the system ask for the dark scheme? */
export const darkScheme = signal(false);
export const theme = signal<Theme>(storedTheme());
/** The user asked for the login. */
export const loggingIn = signal(false);
export const identity = signal<Identity | undefined>(undefined);
/** A clock that ticks each second, for relative times. */
export const second = signal(nowMs());
export const sessionEnd = new SessionEnd(second);
/** Offsets that this page appended, to be marked in the list; the newest few. */
export const appended = signal<ReadonlySet<number>>(new Set());

export const tail = new Tail();
/** The search of the whole log of the tail. */
export const logSearch = new LogSearch();
export const cluster = new ClusterWatch((bases) => {
  logSearch.link.send({ kind: "nodes", nodes: bases });
  tail.link.send({ kind: "nodes", nodes: bases });
  cluster.link.send({ kind: "nodes", nodes: bases });
});

export const logList = new LogList(() => cluster.link.node);
/** The tail of the logs of a prefix, in the Logs view. */
export const prefixTail = new PrefixTail(() => cluster.link.node);
/** The log `default` in the list. */
export const defaultLog = new DefaultLog();
/** The log of the tail. It has no name for the log `default`. */
export const tailedLog = new OneLog(() => tail.link.node);
/** The log that the panel of the Logs view describes. */
export const describedLog = new OneLog(() => cluster.link.node);
/** The name of that log. Undefined: the panel is closed. */
export const described = signal<string | undefined>(undefined);
/** The cursors of the tail's log. */
export const logCursors = new LogCursors(() => tail.link.node);
/** Their panel is open. */
export const showingCursors = signal(false);
/** The panel with the settings of the tail's log is open. */
export const configuring = signal(false);
export const creating = signal(false);
/** The log that the keyboard is on in the Logs view. */
export const selectedLog = signal<string | undefined>(undefined);

/** Returns false only if the server would refuse this action on the log of the tail. */
export const may = (action: string): boolean =>
  identity.value === undefined || isAllowed(identity.value, action, tail.log.value);

/** The login is shown: the user asked for it, or the node requires it. */
export const needsLogin = computed(() => {
  const { phase, failure } = tail.link.cursor.value;
  return loggingIn.value || (phase === "stopped" && failure?.kind === "unauthenticated");
});

/** Records that are committed and not yet on the page. */
export const unread = computed(() => {
  tail.version.value;
  return Math.max(0, (tail.end.value ?? 0) - tail.ring.next);
});

const addressDelayMs = 400;
/** How often the description of a log and the visible part of the list are read again. */
const refreshMs = 2_000;
/** The log that is in the address. */
let writtenLog = initial.log;
/** Records shown again when a live tail moves to another node. */
const handedOver = 200;
/** Rows above the record that the address opens. */
const recordsAbove = 3;
let addressDue = false;

/** Begins: reads the address, opens the streams. */
export function begin(): void {
  storeTheme(theme.peek());
  effect(() => storeTheme(theme.value));
  effect(() => {
    tail.version.value;
    tail.following.value;
    formatUrl(stateNow());
    if (addressDue) return;
    addressDue = true;
    after(addressDelayMs, writeAddress);
  });
  effect(() => {
    const end = tail.log.value === "" ? cluster.end.value : tailedLog.info.value?.next;
    if (end !== undefined) tail.learnEnd(end);
  });
  every(refreshMs, refreshLogs);
  every(1000, () => {
    second.value = nowMs();
    sessionEnd.tick();
  });
  onDarkScheme((dark) => {
    darkScheme.value = dark;
  });
  const place = asPlace(history.state);
  if (place !== undefined) {
    tail.openLog(initial.log, reloadFrom(place), place.following);
    if (!place.following) tail.show(place.top);
  } else {
    tail.openLog(initial.log, initial.from, initial.live ? true : undefined);
    if (initial.open !== undefined) tail.show(Math.max(0, initial.open - recordsAbove));
  }
  effect(() => applyQuery());
  tailedLog.follow(initial.log);
  cluster.start();
  void askIdentity();
  // A policy may have changed while the node was away, and another node may have another one.
  let phase = tail.link.cursor.peek().phase;
  tail.link.cursor.subscribe((cursor) => {
    if (
      cursor.phase === "live" &&
      (phase === "connecting" || phase === "stopped") &&
      identity.peek() !== undefined
    ) {
      void askIdentity();
    }
    phase = cursor.phase;
  });
}

/** Shows a log in the tail view. An empty name is the log `default`. */
export function openLog(name: string, from: From = defaultFrom): void {
  view.value = "tail";
  described.value = undefined;
  if (scope.peek() === "log") leaveSearch();
  const isStopped = tail.link.cursor.peek().phase === "stopped";
  if (name === tail.log.peek() && from === defaultFrom && !isStopped) return;
  leaveLog(name, from);
}

/** Shows a log in the tail, but stays in the view. The marks and panels of the log before are removed. */
export function leaveLog(name: string, from: From = defaultFrom): void {
  open.value = undefined;
  selected.value = undefined;
  configuring.value = false;
  appended.value = new Set();
  tail.openLog(name, from);
  tailedLog.follow(name);
}

/** Opens the panel that describes a log, or closes it. */
export function describeLog(name: string | undefined): void {
  prefixTail.follow(undefined);
  described.value = name;
  creating.value = false;
  describedLog.follow(name ?? "", name === undefined ? undefined : logList.rows.get(name));
}

/** Reads again what the current view shows of logs. */
export function refreshLogs(): void {
  if (!isVisible()) return;
  if (view.peek() === "tail") void tailedLog.refresh();
  if (view.peek() !== "logs") return;
  const extent = cluster.extent.peek();
  if (extent !== undefined) defaultLog.note(extent, cluster.end.peek());
  if (extent?.next !== cluster.end.peek()) void cluster.refresh();
  void logList.refresh();
  if (described.peek() !== undefined) void describedLog.refresh();
}

/** The tail from another place, in the tail view. */
export function goTo(from: From): void {
  view.value = "tail";
  if (scope.peek() === "log") leaveSearch();
  tail.start(from);
}

async function askIdentity(): Promise<void> {
  try {
    const calls = callsTo(tail.link.node);
    const { subject, actions, logs, credential } = await calls.cluster.whoAmI({}, { timeoutMs: 5000 });
    identity.value = { subject, actions, logs, credential };
    if (credential === "session") void sessionEnd.refresh();
  } catch (reason) {
    // After a login the page is loaded again.
    if (asCallError(reason).code !== "unauthenticated") after(3000, () => void askIdentity());
  }
}

/** Gives the query to the filter of the tab or to the search of the log. */
function applyQuery(): void {
  const text = query.value.trim();
  const inLog = scope.value === "log";
  tail.search.set(
    inLog || text === "" ? undefined : { mode: mode.value as FilterMode, query: text, format: format.value },
  );
  const searched = logSearch.query;
  const wanted =
    inLog && text !== ""
      ? { log: tail.log.value, condition: conditionOf(mode.value as SearchKind, text) }
      : undefined;
  if (searched?.log !== wanted?.log || searched?.condition !== wanted?.condition) logSearch.set(wanted);
}

/** The text that a search of the log marks in the rows. */
export const searchedText = computed(() => markedText(mode.value as SearchKind, query.value.trim()));

/** The list shows what a search of the log has found, not the tail. */
export const showsFound = computed(() => scope.value === "log");

/** Leaves the search of the log for the tail. */
export const leaveSearch = (): void => setScope("tab", "");

/** Applies this query to the tab or to the whole log. */
export function setScope(chosen: Scope, text: string): void {
  batch(() => {
    query.value = text;
    scope.value = chosen;
    if (!modesOf[chosen].includes(mode.peek())) mode.value = "text";
  });
}

/** Applies this query, read as this kind. */
export function setMode(chosen: FilterMode | SearchKind, text: string): void {
  batch(() => {
    query.value = text;
    mode.value = chosen;
  });
}

/** The bytes of a record that is on the page: a view that is valid until the next record arrives. */
export const heldRecord = (offset: number): Uint8Array | undefined =>
  tail.ring.at(offset) ?? logSearch.found.at(offset);

/** While following the address says where it began, if that is still meaningful; paused, the very place. */
function stateNow(): UrlState {
  const from = tail.from.value;
  const relative = from.kind === "end" || from.kind === "last";
  const place: From = relative ? from : defaultFrom;
  return {
    log: tail.log.value,
    live: false,
    from: tail.following.value ? place : { kind: "offset", offset: tail.top },
    query: query.value,
    scope: scope.value,
    mode: mode.value,
    format: format.value,
    time: timeStyle.value,
    open: open.value,
    view: view.value,
  };
}

/** The whole view as a link; with an offset, to that record. */
export function linkTo(offset: number | undefined): string {
  const state = stateNow();
  const at: UrlState =
    offset === undefined ? state : { ...state, from: fromBefore(offset), open: offset, view: "tail" };
  return `${ownBase()}${location.pathname}${formatUrl(at)}`;
}

/** Returns the URL of the same tail on another node. */
export function linkOn(base: string): string {
  const { ring } = tail;
  const state = stateNow();
  const following = tail.following.value;
  if (!tail.anchored || !following) return `${base}${location.pathname}${formatUrl(state)}`;
  const from: From = { kind: "offset", offset: Math.max(ring.first, ring.next - handedOver) };
  return `${base}${location.pathname}${formatUrl({ ...state, from, live: true })}`;
}

function writeAddress(): void {
  addressDue = false;
  const { ring } = tail;
  if (!tail.anchored) {
    // The entry of a page that was loaded is kept until its records are there; another log has none yet.
    if (writtenLog !== tail.log.peek())
      replaceAddress(formatUrl({ ...stateNow(), from: tail.from.peek() }), null);
    writtenLog = tail.log.peek();
    return;
  }
  writtenLog = tail.log.peek();
  const place: Place = {
    first: ring.first,
    next: ring.next,
    top: tail.top,
    following: tail.following.peek(),
  };
  replaceAddress(formatUrl(stateNow()), place);
}
