/** The keyboard. Keys typed into a field belong to the field. */
import {
  configuring,
  creating,
  described,
  describeLog,
  helping,
  leaveSearch,
  logSearch,
  may,
  open,
  openLog,
  producing,
  selected,
  selectedLog,
  showingCursors,
  showsFound,
  tail,
  view,
} from "../state/app.ts";
import { defaultName } from "../state/default-log.ts";
import { copyValue } from "./record-copy.ts";

/** Moves the selection; the list sets it, since only the list knows what is shown. */
export const mover: { move: (step: number) => void } = { move: () => {} };
/** The same for the list of logs. */
export const logMover: { move: (step: number) => void } = { move: () => {} };
/** Puts the keyboard into the field for the prefix; the field sets it. */
export const prefixField: { focus: () => void } = { focus: () => {} };
/** Puts the keyboard into the filter's field; the field sets it. */
export const filterField: { focus: () => void } = { focus: () => {} };

export function togglePause(): void {
  if (tail.following.peek()) tail.pause();
  else tail.follow();
}

/** Stops following the end, if the list shows the tail. */
export function pauseTail(): void {
  if (!showsFound.peek()) tail.pause();
}

/** Stops the search of the log, or goes on. */
export function toggleSearch(): void {
  if (logSearch.phase.peek() === "running") logSearch.stop();
  else logSearch.goOn();
}

export function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    leave(event);
    return;
  }
  if (isField(event.target) || helping.peek()) return;
  if (event.key === "?") helping.value = true;
  else if (!(view.peek() === "tail" ? tailKey(event) : view.peek() === "logs" && logsKey(event))) return;
  event.preventDefault();
}

const isOnButton = ({ target }: KeyboardEvent): boolean =>
  target instanceof HTMLElement && target.closest("button,a,summary") !== null;

/** True when the key meant something. */
function tailKey(event: KeyboardEvent): boolean {
  const onButton = isOnButton(event);
  switch (event.key) {
    case " ":
      if (onButton) return false;
      if (showsFound.peek()) toggleSearch();
      else togglePause();
      return true;
    case "/":
      filterField.focus();
      return true;
    case "g":
      if (showsFound.peek()) return false;
      tail.start({ kind: "start" });
      return true;
    case "G":
      if (showsFound.peek()) return false;
      tail.follow();
      return true;
    case "j":
    case "ArrowDown":
      mover.move(1);
      return true;
    case "k":
    case "ArrowUp":
      mover.move(-1);
      return true;
    case "Enter":
      if (onButton || selected.peek() === undefined) return false;
      pauseTail();
      open.value = selected.peek();
      return true;
    case "c":
      if (selected.peek() === undefined) return false;
      void copyValue(selected.peek() as number);
      return true;
    case "p":
      if (!may("produce")) return false;
      producing.value = !producing.peek();
      showingCursors.value = false;
      configuring.value = false;
      return true;
    default:
      return false;
  }
}

/** True when the key meant something. */
function logsKey(event: KeyboardEvent): boolean {
  const name = selectedLog.peek();
  switch (event.key) {
    case "/":
      prefixField.focus();
      return true;
    case "j":
    case "ArrowDown":
      logMover.move(1);
      return true;
    case "k":
    case "ArrowUp":
      logMover.move(-1);
      return true;
    case "Enter":
      if (isOnButton(event) || name === undefined) return false;
      openLog(name === defaultName ? "" : name);
      return true;
    case "d":
      if (name === undefined || name === defaultName) return false;
      describeLog(described.peek() === name ? undefined : name);
      return true;
    case "n":
      describeLog(undefined);
      creating.value = true;
      return true;
    default:
      return false;
  }
}

function leave(event: KeyboardEvent): void {
  if (helping.peek()) helping.value = false;
  else if (isField(event.target)) (event.target as HTMLElement).blur();
  else if (view.peek() === "logs") {
    if (creating.peek()) creating.value = false;
    else describeLog(undefined);
  } else if (open.peek() !== undefined) open.value = undefined;
  else if (configuring.peek()) configuring.value = false;
  else if (showingCursors.peek()) showingCursors.value = false;
  else if (producing.peek()) producing.value = false;
  else if (view.peek() === "tail" && showsFound.peek()) leaveSearch();
  else if (view.peek() === "tail" && !tail.following.peek()) tail.follow();
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input,textarea,select") !== null;
}
