/** How far the search of the log is, what is wrong with it, and what of it is not shown. */
import { counted, grouped } from "../core/format.ts";
import { errorPlace } from "../core/search-query.ts";
import { consumeFiltered } from "../core/snippets.ts";
import { logSearch, mode, setMode, tail } from "../state/app.ts";
import { Copyable } from "./copyable.tsx";
import { toggleSearch } from "./keys.ts";

export function SearchBar() {
  logSearch.version.value;
  const phase = logSearch.phase.value;
  if (phase === "off") {
    return (
      <p class="search-bar quiet">
        Type what to search for and press Enter. All records of the log are searched.
      </p>
    );
  }
  return (
    <section class="search-bar" aria-label="Search of the log">
      {(logSearch.refusal === undefined || logSearch.first !== undefined) && <Progress />}
      <Refusal />
      <NotShown />
    </section>
  );
}

function Progress() {
  logSearch.version.value;
  const { first, next, end, perSecond, trouble } = logSearch;
  const phase = logSearch.phase.value;
  const all = first === undefined || end === undefined ? undefined : Math.max(0, end - first);
  const searched = first === undefined ? 0 : next - first;
  const isRunning = phase === "running";
  return (
    <div class="search-line">
      {isRunning && (
        <progress
          aria-label="Searched"
          max={Math.max(1, all ?? 1)}
          value={all === undefined ? undefined : Math.min(searched, all)}
        />
      )}
      <span data-testid="search-progress">{progressText(searched, all)}</span>
      {isRunning && perSecond !== undefined && (
        <span class="quiet" data-testid="search-rate">
          {grouped(Math.round(perSecond))} records/s
        </span>
      )}
      <b data-testid="search-found">{grouped(logSearch.found.total)} found</b>
      {trouble !== undefined && <span class="warn">{trouble.message}; trying again</span>}
      <span class="search-end">
        {mode.value !== "cel" && (
          <button type="button" class="link" onClick={editAsCel}>
            Edit as CEL
          </button>
        )}
        <button type="button" class="button" onClick={toggleSearch}>
          {isRunning ? "Stop" : phase === "done" ? "Search new records" : "Go on"}
        </button>
      </span>
      <span class="sr" role="status">
        {phase === "done" ? `The search is complete. ${counted(logSearch.found.total, "record")} found.` : ""}
      </span>
    </div>
  );
}

function progressText(searched: number, all: number | undefined): string {
  const phase = logSearch.phase.value;
  if (all === undefined) return phase === "running" ? "Asking the node…" : "Not searched";
  if (phase === "done") return `Searched all ${counted(searched, "record")}`;
  const share = all === 0 ? 100 : Math.floor((searched / all) * 100);
  return `${phase === "running" ? "Searching" : "Stopped"}: ${grouped(searched)} of ${grouped(all)} (${share} %)`;
}

function editAsCel(): void {
  const condition = logSearch.query?.condition;
  if (condition !== undefined) setMode("cel", condition);
}

/** The server's message, and the condition with a mark where the error is. */
function Refusal() {
  logSearch.version.value;
  const { refusal, query: searched } = logSearch;
  if (refusal === undefined || searched === undefined) return null;
  const { message, character } = refusal;
  const place = character === undefined ? undefined : errorPlace(searched.condition, character);
  return (
    <div role="alert" data-testid="search-error">
      <p class="wrong">{message}</p>
      {place !== undefined && (
        <code class="search-place">
          {place.before}
          <mark class="bad-mark">{place.at === "" ? " " : place.at}</mark>
          {place.after}
        </code>
      )}
    </div>
  );
}

function NotShown() {
  logSearch.version.value;
  const { found, skipped, query: searched } = logSearch;
  const hidden = found.total - found.count;
  return (
    <>
      {skipped > 0 && (
        <p class="warn">
          {counted(skipped, "record")} could not be searched: the condition is too much work on them.
        </p>
      )}
      {hidden > 0 && searched !== undefined && (
        <div class="search-more" data-testid="search-more">
          <p>
            The first {grouped(found.count)} are shown, {grouped(hidden)} more are not.
            {logSearch.stoppedByCount && " The search has stopped, because so many match."} Narrow the search,
            or export all of them:
          </p>
          <Copyable text={consumeFiltered(location, tail.log.value, searched.condition)} what="Command" />
        </div>
      )}
    </>
  );
}
