/** The segment files of this node: sizes, the active one, the lowest offset, free disk space. */
import { useEffect } from "preact/hooks";
import { ago, grouped, size } from "../core/format.ts";
import { cluster, openLog, second } from "../state/app.ts";
import type { LogExtent, SegmentRow } from "../state/cluster.ts";
import { DeniedView } from "./denied-view.tsx";
import { ScrollBox } from "./scroll-box.tsx";

/** While the view is open and records come in, the sizes are asked for this often. */
const refreshMs = 2000;
/** Rows drawn at most: the newest. */
const rowsMax = 500;

export function SegmentsView() {
  const extent = cluster.extent.value;
  const next = cluster.end.value;
  const even = Math.floor(second.value / refreshMs);
  useEffect(() => {
    if (next !== extent?.next) void cluster.refresh();
  }, [even]);
  if (cluster.link.cursor.value.phase === "stopped" && extent === undefined)
    return <DeniedView what="the segments" />;
  if (extent === undefined) return <p class="waiting">Asking the node…</p>;
  const largest = Math.max(1, ...extent.segments.map((segment) => segment.bytes));
  const shown = extent.segments.slice(-rowsMax);
  return (
    <div class="page">
      <Facts extent={extent} />
      <div class="block">
        <h2 id="segments-title">
          Segments{" "}
          <span class="quiet">
            {grouped(extent.segments.length)}
            {shown.length < extent.segments.length ? `, the newest ${rowsMax} shown` : ""}
          </span>
        </h2>
        <ScrollBox labelledBy="segments-title">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Offsets</th>
                <th scope="col" class="num">
                  Records
                </th>
                <th scope="col">Size</th>
                <th scope="col" class="num">
                  Index entries
                </th>
                <th scope="col">Oldest</th>
                <th scope="col">Newest</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {shown.toReversed().map((segment) => (
                <Segment
                  key={segment.baseOffset}
                  segment={segment}
                  largest={largest}
                  lowest={extent.lowest}
                />
              ))}
            </tbody>
          </table>
        </ScrollBox>
      </div>
    </div>
  );
}

function Facts({ extent }: { extent: LogExtent }) {
  const facts: readonly (readonly [string, string])[] = [
    ["Records", grouped(extent.next - extent.lowest)],
    ["From", grouped(extent.lowest)],
    ["Up to", extent.next === 0 ? "—" : grouped(extent.next - 1)],
    ["On disk", size(extent.bytes)],
    ["Of removed records", extent.removedBytes === undefined ? "—" : size(extent.removedBytes)],
    ["Disk free", size(extent.diskFreeBytes)],
    ["Durability", extent.sync === "always" ? "synced before each answer" : `sync ${extent.sync}`],
    ["Cluster", extent.clusterId],
    ["Version", extent.version],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class={classOf(name, extent)}>{value || "—"}</dd>
        </div>
      ))}
    </dl>
  );
}

function classOf(fact: string, extent: LogExtent): string {
  if (fact === "Durability" && extent.sync !== "always") return "warn";
  return fact === "Cluster" ? "mono" : "";
}

function Segment({ segment, largest, lowest }: { segment: SegmentRow; largest: number; lowest: number }) {
  const { baseOffset, nextOffset, bytes, indexEntries, sealed, firstTimestampMs, lastTimestampMs } = segment;
  const edge = lowest > baseOffset && lowest < nextOffset;
  const empty = nextOffset === baseOffset;
  return (
    <tr>
      <th scope="row" class="mono">
        <button
          type="button"
          class="link"
          disabled={empty}
          onClick={() => openLog("", { kind: "offset", offset: Math.max(lowest, baseOffset) })}
        >
          {empty ? `${grouped(baseOffset)} –` : `${grouped(baseOffset)} – ${grouped(nextOffset - 1)}`}
        </button>
      </th>
      <td class="num">{grouped(nextOffset - baseOffset)}</td>
      <td>
        <span class="size">
          <span class="gauge" role="img" aria-label={`${size(bytes)} of ${size(largest)}`}>
            <span style={{ width: `${(bytes / largest) * 100}%` }} />
          </span>
          {size(bytes)}
        </span>
      </td>
      <td class="num">{grouped(indexEntries)}</td>
      <td>{empty ? "—" : ago(firstTimestampMs, second.value)}</td>
      <td>{empty ? "—" : ago(lastTimestampMs, second.value)}</td>
      <td>
        {sealed ? "sealed" : <span class="badge">active</span>}
        {edge && <div class="warn">trimmed below {grouped(lowest)}</div>}
      </td>
    </tr>
  );
}
