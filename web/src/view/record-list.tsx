/**
 * The windowed list: only the rows in sight exist, in a box as tall as all of them. While following, the scroll
 * is set to the end in the same turn that the rows are drawn; otherwise the rows in sight stay where they are,
 * whatever leaves the ring above them. It is a grid by role, since a table cannot be windowed; the grid has the focus
 * and the keys (j, k, Enter), its selected row is the active descendant.
 */
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { Component, type ComponentChild, type RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { ago, dateOf, fullTime, grouped, size, type TimeStyle, timeOfDay } from "../core/format.ts";
import { anchoredScroll, atEnd, endScroll, revealScroll, visibleWindow } from "../core/window.ts";
import { zoneMinutesAt } from "../io/timing.ts";
import {
  appended,
  format,
  heldRecord,
  logSearch,
  open,
  second,
  selected,
  showsFound,
  tail,
  timeStyle,
} from "../state/app.ts";
import { useBoxSize } from "./box-size.ts";
import { foundMarks } from "./found-marks.ts";
import { mover, pauseTail } from "./keys.ts";
import { type RowModel, RowModels } from "./row-model.ts";

const margin = 4;
const rowHeights = { wide: 27, narrow: 46 };
/** The height of the column names, which stay at the top of the box. A narrow page does not show them. */
const columnsHeight = 25;
const models = new RowModels();
/** The record under the pointer when it went down: by the time it is up, a live row may show another. */
let pressed: number | undefined;

/** The list as indices: of all records in the ring, of those that match, or of what a search of the log has found. */
interface Items {
  readonly kind: "all" | "matches" | "found";
  readonly count: number;
  /** Grows by what leaves at the front: the same index then means a later item. */
  readonly dropped: number;
  at(index: number): number;
  /** Index of the first item at or after the offset. */
  indexOf(offset: number): number;
}

function items(): Items {
  const { ring, search } = tail;
  if (showsFound.value || search.state.value.on) {
    const matches = showsFound.value ? logSearch.found.offsets : search.matches;
    return {
      kind: showsFound.value ? "found" : "matches",
      count: matches.count,
      dropped: matches.dropped,
      at: (index) => matches.at(index) as number,
      indexOf: (offset) => matches.lowerBound(offset),
    };
  }
  const { first, count } = ring;
  return {
    kind: "all",
    count,
    dropped: ring.evicted,
    at: (index) => first + index,
    indexOf: (offset) => Math.min(count, Math.max(0, offset - first)),
  };
}

export function RecordList() {
  const box = useRef<HTMLDivElement>(null);
  const { height, narrow, measure } = useBoxSize(box, columnsHeight);
  if (showsFound.value) logSearch.version.value;
  else tail.version.value;
  const list = items();
  const rowHeight = narrow.value ? rowHeights.narrow : rowHeights.wide;
  const { top, onScroll } = useScroll({ box, list, height, rowHeight, measure });
  const shown = visibleWindow(list.count, top, height.value, rowHeight, margin);
  const rows = rowsOf(list, shown, narrow.value);
  const kind = `${narrow.value ? "is-narrow" : ""} ${models.hasKeys ? "has-keys" : ""} ${models.hasHeaders ? "has-headers" : ""}`;
  return (
    <section class={`list ${kind}`} aria-label="Records">
      <div
        ref={box}
        class="list-box"
        role="grid"
        tabIndex={0}
        aria-label={list.kind === "found" ? "Records that were found" : "Records, newest last"}
        aria-live="off"
        aria-rowcount={list.count + 1}
        aria-activedescendant={selected.value === undefined ? undefined : `r${selected.value}`}
        onScroll={onScroll}
      >
        <Columns date={dateAt(list, Math.floor(top / rowHeight))} />
        <div class="list-space" role="presentation" style={{ height: `${list.count * rowHeight}px` }}>
          <div
            class="list-rows"
            role="rowgroup"
            style={{ transform: `translateY(${shown.start * rowHeight}px)` }}
          >
            {rows}
          </div>
        </div>
      </div>
    </section>
  );
}

/** The names of the columns, with the date of the first row in sight. */
function Columns({ date }: { date: string }) {
  return (
    <div class="row-columns" role="rowgroup">
      <div class="row" role="row" aria-rowindex={1}>
        <span role="columnheader">Offset</span>
        <span class="cell-time" role="columnheader" data-testid="time-column">
          {date} Time
        </span>
        {models.hasKeys && <span role="columnheader">Key</span>}
        {models.hasHeaders && (
          <span class="cell-headers" role="columnheader">
            Headers
          </span>
        )}
        <span role="columnheader">Value</span>
        <span class="cell-size" role="columnheader">
          Size
        </span>
      </div>
    </div>
  );
}

/** What the scroll is meant to be, and the list for which it was computed. */
interface Place {
  top: number;
  readonly dropped: number;
  readonly kind: Items["kind"] | undefined;
  readonly rowHeight: number;
}

/** Returns the place of the scroll in a list that may have changed. Fulfills the tail's wish for an offset. */
function placeIn(list: Items, was: Place, height: number, rowHeight: number): Place {
  const { kind, dropped } = list;
  const end = endScroll(list.count, height, rowHeight);
  let top = was.top;
  if (was.kind !== kind || dropped < was.dropped) top = Math.min(top, end);
  else if (dropped > was.dropped) top = anchoredScroll(top, dropped - was.dropped, rowHeight);
  if (was.rowHeight !== rowHeight && was.rowHeight > 0) top = (top / was.rowHeight) * rowHeight;
  // What was found does not move while more is found.
  if (kind === "found") return { top: was.kind === kind ? top : 0, dropped, kind, rowHeight };
  if (tail.following.value) top = end;
  else if (tail.wanted !== undefined && tail.ring.next > tail.wanted) {
    top = Math.min(list.indexOf(tail.wanted) * rowHeight, end);
    tail.wanted = undefined;
  }
  return { top, dropped, kind, rowHeight };
}

interface Scrolled {
  readonly box: RefObject<HTMLDivElement | null>;
  readonly list: Items;
  readonly height: ReadonlySignal<number>;
  readonly rowHeight: number;
  /** The height now. A banner changes it before `height`, and the browser moves the scroll with it. */
  readonly measure: () => number;
}

/** Keeps the scroll at its place, and follows the pointer and the keys. Returns the place and the handler of the event. */
function useScroll({ box, list, height, rowHeight, measure }: Scrolled): {
  top: number;
  onScroll: () => void;
} {
  const scrolled = useSignal(0);
  const place = useRef<Place>({ top: 0, dropped: 0, kind: undefined, rowHeight: 0 });
  /** Where the element's scroll is, as set here or reported by an event. */
  const scrolledTo = useRef(0);
  scrolled.value;
  place.current = placeIn(list, place.current, height.value, rowHeight);
  const { top } = place.current;

  useLayoutEffect(() => {
    const element = box.current as HTMLDivElement;
    // Touching the scroll makes the browser lay out at once, so it is touched only when it moves.
    if (Math.abs(scrolledTo.current - top) >= 1) element.scrollTop = top;
    scrolledTo.current = top;
    const index = Math.min(list.count - 1, Math.floor(top / rowHeight));
    if (index >= 0 && list.kind !== "found") tail.looked(list.at(index));
  });

  mover.move = (step) => {
    if (list.count === 0) return;
    place.current.top = moveSelection(list, step, place.current.top, height.peek(), rowHeight);
    scrolled.value++;
  };

  const onScroll = (): void => {
    const element = box.current as HTMLDivElement;
    const now = element.scrollTop;
    const before = place.current.top;
    if (Math.abs(now - before) < 1) return;
    place.current.top = now;
    scrolledTo.current = now;
    const bottom = atEnd(list.count, now, measure(), rowHeight);
    if (list.kind !== "found") {
      if (now < before && !bottom && tail.following.peek()) tail.pause();
      else if (now > before && bottom && tail.ring.next >= (tail.end.peek() ?? 0)) tail.follow();
    }
    scrolled.value++;
  };
  return { top, onScroll };
}

/** Selects the row `step` rows further in a list that is not empty. Returns the scroll that shows it. */
function moveSelection(list: Items, step: number, top: number, height: number, rowHeight: number): number {
  const current = selected.peek();
  const shownLast = Math.min(list.count, Math.floor((top + height) / rowHeight)) - 1;
  const from = current === undefined ? (step > 0 ? shownLast - 1 : shownLast + 1) : list.indexOf(current);
  const index = Math.min(list.count - 1, Math.max(0, from + step));
  if (index < list.count - 1) pauseTail();
  selected.value = list.at(index);
  if (open.peek() !== undefined) open.value = selected.peek();
  return revealScroll(index, top, height, rowHeight);
}

function rowsOf(list: Items, { start, end }: { start: number; end: number }, narrow: boolean) {
  models.begin(tail.generation);
  const found: { readonly index: number; readonly model: RowModel; readonly date: string }[] = [];
  let before = dateAt(list, start - 1);
  for (let index = start; index < end; index++) {
    const model = modelAt(list, index);
    if (model === undefined) continue;
    const date = dateAt(list, index);
    found.push({ index, model, date: date === before ? "" : date });
    before = date;
  }
  const { hasKeys, hasHeaders } = models;
  return found.map(({ index, model, date }) => (
    <Row
      key={index - start}
      model={model}
      index={index}
      date={date}
      hasKeys={hasKeys}
      hasHeaders={hasHeaders}
      style={timeStyle.value}
      now={timeStyle.value === "relative" ? second.value : 0}
      selected={selected.value === model.offset}
      lead={narrow ? 12 : 40}
      fresh={appended.value.has(model.offset)}
    />
  ));
}

/** Undefined outside the list, and for a record that has left the ring. */
function modelAt(list: Items, index: number): RowModel | undefined {
  if (index < 0 || index >= list.count) return undefined;
  const offset = list.at(index);
  const record = heldRecord(offset);
  if (record === undefined) return undefined;
  const marks = list.kind === "found" ? foundMarks.of(offset, record) : tail.search.marksOf(offset);
  return models.of(offset, record, format.value, marks);
}

/** The date of a row, in the style of the times. Empty for relative times. */
function dateAt(list: Items, index: number): string {
  const model = timeStyle.value === "relative" ? undefined : modelAt(list, index);
  if (model === undefined) return "";
  return dateOf(model.timestampMs, timeStyle.value === "utc" ? 0 : zoneMinutesAt(model.timestampMs));
}

interface RowProps {
  readonly model: RowModel;
  readonly index: number;
  /** Where the date is another one than in the row above. Otherwise empty. */
  readonly date: string;
  readonly hasKeys: boolean;
  readonly hasHeaders: boolean;
  readonly style: TimeStyle;
  readonly now: number;
  readonly selected: boolean;
  /** Characters of the line shown before its first mark at most. */
  readonly lead: number;
  readonly fresh: boolean;
}

/** Draws a row again only when something about it changed. */
class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const now = this.props;
    return (Object.keys(next) as (keyof RowProps)[]).some((name) => next[name] !== now[name]);
  }
  override render() {
    return drawRow(this.props);
  }
}

function drawRow(props: RowProps) {
  const { model, index, date, style, now, selected: isSelected, lead, fresh } = props;
  const { offset, timestampMs, key, headers, line, marks, valueBytes } = model;
  return (
    <div
      id={`r${offset}`}
      class={`row ${isSelected ? "is-selected" : ""} ${fresh ? "is-fresh" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      data-offset={offset}
      onPointerDown={() => {
        pressed = offset;
      }}
      onClick={() => {
        pauseTail();
        selected.value = pressed ?? offset;
        open.value = selected.value;
        pressed = undefined;
      }}
    >
      <span class="cell-offset" role="gridcell">
        {grouped(offset)}
      </span>
      <span class="cell-time" role="gridcell" title={fullTime(timestampMs, 0)}>
        {date !== "" && <b>{date} </b>}
        {style === "relative"
          ? ago(timestampMs, now)
          : timeOfDay(timestampMs, style === "utc" ? 0 : zoneMinutesAt(timestampMs))}
      </span>
      {props.hasKeys && (
        <span class="cell-key" role="gridcell">
          <bdi>{key}</bdi>
        </span>
      )}
      {props.hasHeaders && (
        <span class="cell-headers" role="gridcell">
          {headers > 0 && headers}
        </span>
      )}
      <span class="cell-value" role="gridcell">
        {valueBytes === 0 ? (
          <i>empty</i>
        ) : (
          <bdi class="line">
            {marks === undefined || marks.length === 0 ? line : marked(line, marks, lead)}
          </bdi>
        )}
      </span>
      <span class="cell-size" role="gridcell">
        {size(valueBytes)}
      </span>
    </div>
  );
}

/** The line with its marks; cut at the left when the first one would be out of sight. */
function marked(line: string, marks: NonNullable<RowModel["marks"]>, lead: number) {
  const first = (marks[0] as readonly [number, number])[0];
  let at = first > lead * 2 ? first - lead : 0;
  const parts: ComponentChild[] = at > 0 ? ["…"] : [];
  for (const [from, to] of marks) {
    parts.push(line.slice(at, from), <mark key={from}>{line.slice(from, to)}</mark>);
    at = to;
  }
  parts.push(line.slice(at));
  return parts;
}
