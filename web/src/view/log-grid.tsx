/**
 * The windowed list of logs: only the rows in sight exist, and further pages are loaded as the user scrolls. It is a grid by
 * role, and has the focus and the keys (j, k, Enter, d); its selected row is the active descendant.
 */
import { useSignal } from "@preact/signals";
import { Component } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { compact, fullTime, grouped, roughlyAgo, size } from "../core/format.ts";
import type { LogRow } from "../core/log-rows.ts";
import { visibleLine } from "../core/visible.ts";
import { revealScroll, visibleWindow } from "../core/window.ts";
import { defaultLog, described, describeLog, logList, openLog, second, selectedLog } from "../state/app.ts";
import { defaultName } from "../state/default-log.ts";
import { useBoxSize } from "./box-size.ts";
import { logMover } from "./keys.ts";

const margin = 6;
const rowHeights = { wide: 38, narrow: 56 };
/** The height of the column names, which stay at the top of the box. A narrow page does not show them. */
const columnsHeight = 32;
const columns = ["Name", "Size", "Next offset", "Last append", "Rate", ""] as const;

/** The rows: `default` first, if its name has the prefix, then the named logs. */
function items() {
  logList.version.value;
  const { rows, prefix } = logList;
  const first = defaultName.startsWith(prefix.value) ? defaultLog.row.value : undefined;
  const shift = first === undefined ? 0 : 1;
  return {
    shift,
    count: rows.count + shift,
    complete: rows.loadedTo === undefined,
    at: (index: number): LogRow | undefined => (index < shift ? first : rows.at(index - shift)),
    indexOf: (name: string): number => (name === defaultName && shift === 1 ? 0 : rows.indexOf(name) + shift),
  };
}

export function LogGrid() {
  const box = useRef<HTMLDivElement>(null);
  const { height, narrow } = useBoxSize(box, columnsHeight);
  const scrolled = useSignal(logList.scrollTop);
  const list = items();
  const rowHeight = narrow.value ? rowHeights.narrow : rowHeights.wide;
  const shown = visibleWindow(list.count, scrolled.value, height.value, rowHeight, margin);
  const selected = selectedLog.value === undefined ? -1 : list.indexOf(selectedLog.value);
  const isSelectedShown = selected >= shown.start && selected < shown.end;
  useEffect(() => {
    if (height.value > 0) {
      logList.looked(Math.max(0, shown.start - list.shift), Math.max(0, shown.end - list.shift));
    }
  }, [shown.start, shown.end, height.value, logList.rows]);
  useLayoutEffect(() => {
    (box.current as HTMLDivElement).scrollTop = logList.scrollTop;
  }, [logList.rows]);
  logMover.move = (step) => {
    if (list.count === 0) return;
    const index = Math.min(list.count - 1, Math.max(0, selected < 0 ? shown.start : selected + step));
    selectedLog.value = list.at(index)?.name;
    const element = box.current as HTMLDivElement;
    element.scrollTop = revealScroll(index, element.scrollTop, height.peek(), rowHeight);
  };
  return (
    <section class={`list log-list ${narrow.value ? "is-narrow" : ""}`} aria-label="Logs">
      <div
        ref={box}
        class="list-box"
        role="grid"
        tabIndex={0}
        aria-label="Logs by name"
        aria-rowcount={list.complete ? list.count + 1 : -1}
        aria-activedescendant={isSelectedShown ? `log${selected}` : undefined}
        onScroll={(event) => {
          logList.scrollTop = event.currentTarget.scrollTop;
          scrolled.value = logList.scrollTop;
        }}
      >
        <Columns />
        <div class="list-space" role="presentation" style={{ height: `${list.count * rowHeight}px` }}>
          <div
            class="list-rows"
            role="rowgroup"
            style={{ transform: `translateY(${shown.start * rowHeight}px)` }}
          >
            {rowsOf(list, shown, selected)}
          </div>
        </div>
      </div>
    </section>
  );
}

function Columns() {
  return (
    <div class="log-columns" role="rowgroup">
      <div class="log-row" role="row" aria-rowindex={1}>
        {columns.map((name, index) => (
          <span key={name} role="columnheader" class={index > 0 ? "num" : ""}>
            {name === "" ? <span class="sr">Details</span> : name}
          </span>
        ))}
      </div>
    </div>
  );
}

function rowsOf(
  list: ReturnType<typeof items>,
  { start, end }: { start: number; end: number },
  selected: number,
) {
  const rows = [];
  for (let index = start; index < end; index++) {
    const row = list.at(index);
    if (row === undefined) continue;
    rows.push(
      <Row
        key={index - start}
        row={row}
        index={index}
        last={row.lastMs === 0 ? "—" : roughlyAgo(row.lastMs, second.value)}
        selected={index === selected}
        described={described.value === row.name}
      />,
    );
  }
  return rows;
}

interface RowProps {
  readonly row: LogRow;
  readonly index: number;
  readonly last: string;
  readonly selected: boolean;
  readonly described: boolean;
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

const rateOf = (perSecond: number | undefined): string =>
  perSecond === undefined ? "—" : `${compact(perSecond)}/s`;

function drawRow({ row, index, last, selected, described: isDescribed }: RowProps) {
  const { name, bytes, next, lastMs, perSecond, closed } = row;
  const isDefault = name === defaultName;
  return (
    <div
      id={`log${index}`}
      class={`log-row ${selected ? "is-selected" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      data-log={name}
      onClick={() => {
        selectedLog.value = name;
        openLog(isDefault ? "" : name);
      }}
    >
      <span class="log-name" role="gridcell">
        <bdi class="line">{visibleLine(name)}</bdi>
        {closed && <span class="badge">closed</span>}
      </span>
      <span class="num" role="gridcell">
        {isDefault ? "—" : size(bytes)}
      </span>
      <span class="num" role="gridcell">
        {grouped(next)}
      </span>
      <span class="num" role="gridcell" title={lastMs === 0 ? undefined : fullTime(lastMs, 0)}>
        {last}
      </span>
      <span class="num" role="gridcell">
        {rateOf(perSecond)}
      </span>
      <span class="num" role="gridcell">
        {!isDefault && (
          <button
            type="button"
            class="details"
            tabIndex={-1}
            aria-pressed={isDescribed}
            aria-label={`Details of ${name}`}
            onClick={(event) => {
              event.stopPropagation();
              selectedLog.value = name;
              describeLog(isDescribed ? undefined : name);
            }}
          >
            Details
          </button>
        )}
      </span>
    </div>
  );
}
