/** The tail: its tools, the list, and a panel for the open record or the produce box. */
import { useSignal } from "@preact/signals";
import { counted, grouped } from "../core/format.ts";
import { curlProduce } from "../core/snippets.ts";
import {
  cluster,
  configuring,
  logSearch,
  may,
  open,
  producing,
  query,
  showingCursors,
  showsFound,
  tail,
  tailedLog,
  unread,
  view,
} from "../state/app.ts";
import { Trouble, troubleFillsView } from "./banners.tsx";
import { Copyable } from "./copyable.tsx";
import { CursorsPanel } from "./cursors-panel.tsx";
import { ExportButtons } from "./export-buttons.tsx";
import { LogHead } from "./log-head.tsx";
import { LogPanel } from "./log-panel.tsx";
import { ProduceBox } from "./produce-box.tsx";
import { said } from "./record-copy.ts";
import { RecordDetail } from "./record-detail.tsx";
import { RecordList } from "./record-list.tsx";
import { SearchBar } from "./search-bar.tsx";
import { TailTools } from "./tail-tools.tsx";

function panelShown(): "record" | "log" | "cursors" | "produce" | undefined {
  if (open.value !== undefined) return "record";
  if (configuring.value && tail.log.value !== "") return "log";
  if (showingCursors.value) return "cursors";
  return producing.value ? "produce" : undefined;
}

export function TailView() {
  const panel = panelShown();
  return (
    <div class={`tail ${panel === undefined ? "" : "has-panel"}`}>
      <LogHead />
      <TailTools />
      {showsFound.value && <SearchBar />}
      <div class="stage">
        <List />
        {panel === "record" && <RecordDetail key={open.value} offset={open.value as number} />}
        {panel === "log" && (
          <LogPanel
            key={tail.log.value}
            log={tailedLog}
            name={tail.log.value}
            onClose={() => {
              configuring.value = false;
            }}
          />
        )}
        {panel === "cursors" && <CursorsPanel key={tail.log.value} log={tail.log.value} />}
        {panel === "produce" && <ProduceBox />}
      </div>
      <Foot />
    </div>
  );
}

function List() {
  tail.version.value;
  if (showsFound.value) {
    return (
      <div class="list-frame">
        <RecordList />
      </div>
    );
  }
  const empty = tail.ring.count === 0 && tail.caughtUp.value;
  if (troubleFillsView()) {
    return (
      <div class="empty">
        <Trouble />
      </div>
    );
  }
  if (empty && tail.end.value === 0) return <EmptyLog />;
  return (
    <div class="list-frame">
      <RecordList />
      {empty && (
        <p class="waiting">
          Waiting for record {grouped(tail.ring.next)}, the next to be appended
          <span class="pulse" aria-hidden="true" />
        </p>
      )}
      <NoMatch />
    </div>
  );
}

function NoMatch() {
  tail.version.value;
  const { search, ring } = tail;
  if (!search.state.value.on || search.matches.count > 0 || ring.count === 0) return null;
  const busy = search.searched < ring.next;
  const parked = tail.link.cursor.value.phase === "parked";
  return (
    <div class="waiting">
      {busy ? "Searching…" : `None of ${grouped(ring.count)} records matches “${query.value.slice(0, 60)}”`}
      {parked && !busy && (
        <button type="button" class="button" onClick={() => tail.searchOn()}>
          Search on from {grouped(ring.next)}
        </button>
      )}
    </div>
  );
}

function ResumePill() {
  tail.version.value;
  if (showsFound.value || tail.following.value || (tail.ring.count === 0 && !tail.search.state.value.on))
    return null;
  const since = tail.pausedEnd.value;
  const fresh = since === undefined ? unread.value : Math.max(0, (tail.end.value ?? 0) - since);
  return (
    <button type="button" class="pill" data-testid="resume" onClick={() => tail.follow()}>
      <span aria-hidden="true">▼ </span>
      {fresh > 0 ? `${grouped(fresh)} ${since === undefined ? "more" : "new"} – resume` : "resume at the end"}
      <kbd>space</kbd>
    </button>
  );
}

function EmptyLog() {
  const words = useSignal("SGVsbG8sIFRhaWxyYWNlIQ==");
  return (
    <div class="empty">
      <h2>The log is empty</h2>
      {tail.log.value === "" && (
        <p>
          This is the log “default”. The others are in the{" "}
          <button
            type="button"
            class="link"
            onClick={() => {
              view.value = "logs";
            }}
          >
            list of logs
          </button>
          .
        </p>
      )}
      <p>Append the first record from a shell, and it appears here as it commits:</p>
      <Copyable text={curlProduce(location, tail.log.value, words.value)} what="Command" />
      {may("produce") && (
        <p>
          Or use{" "}
          <button
            type="button"
            class="link"
            onClick={() => {
              producing.value = true;
            }}
          >
            the produce box
          </button>
          .
        </p>
      )}
    </div>
  );
}

/** Of a search of the log. */
function FoundFoot() {
  logSearch.version.value;
  const { found } = logSearch;
  return (
    <footer class="foot">
      <span data-testid="held">{counted(found.count, "record")} shown</span>
      <span class="said" role="status">
        {said.value}
      </span>
      {found.count > 0 && <ExportButtons />}
    </footer>
  );
}

/** The number of records in the ring, of those that have left it, and the end of the log. */
function Foot() {
  tail.version.value;
  const { ring, search } = tail;
  const lowest = tail.log.value === "" ? cluster.extent.value?.lowest : tailedLog.info.value?.lowest;
  const parts: string[] = [];
  if (ring.count > 0)
    parts.push(`${counted(ring.count, "record")} held, ${grouped(ring.first)}–${grouped(ring.next - 1)}`);
  if (ring.evicted > 0) parts.push(`buffer keeps the newest; ${grouped(ring.evicted)} have left it`);
  if (search.state.value.on)
    parts.push(
      `${grouped(search.matches.count)} of ${grouped(Math.max(0, search.searched - ring.first))} match`,
    );
  if (unread.value > 0) parts.push(`${grouped(unread.value)} not read yet`);
  if (showsFound.value) return <FoundFoot />;
  return (
    <footer class="foot">
      <span data-testid="held">{parts.join(" · ") || "nothing read yet"}</span>
      <span class="said" role="status">
        {said.value}
      </span>
      <ResumePill />
      {ring.count > 0 && <ExportButtons />}
      {ring.count > 0 && lowest !== undefined && ring.first > lowest && (
        <button
          type="button"
          class="link"
          onClick={() => tail.start({ kind: "offset", offset: Math.max(lowest, ring.first - 1000) })}
        >
          Earlier records
        </button>
      )}
    </footer>
  );
}
