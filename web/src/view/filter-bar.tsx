/** The query, its scope and its kind, how many match in the tab, and what is wrong with it. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { FilterMode } from "../core/filter.ts";
import { grouped } from "../core/format.ts";
import type { SearchKind } from "../core/search-query.ts";
import { modesOf } from "../core/url-state.ts";
import { after } from "../io/timing.ts";
import { logSearch, mode, query, scope, setMode, setScope, tail } from "../state/app.ts";
import { filterField } from "./keys.ts";
import { ModeButtons } from "./mode-buttons.tsx";
import { Wrong } from "./wrong.tsx";

type Mode = FilterMode | SearchKind;

interface ModeText {
  readonly label: string;
  /** Where the label is a sign or an abbreviation. */
  readonly title?: string;
  readonly placeholder: string;
}

const texts: Readonly<Record<Mode, ModeText>> = {
  text: { label: "Text", placeholder: "in the value or key" },
  key: { label: "Key", title: "Beginning of the key", placeholder: "Keys that begin with…" },
  header: { label: "Header", placeholder: "name = value, or a name" },
  regex: { label: ".*", title: "Regular expression", placeholder: "time(out|d out)" },
  path: { label: "$.", title: "JSON path", placeholder: "$.level = error" },
  cel: { label: "CEL", title: "CEL expression", placeholder: 'json.level == "error" && json.ms > 1000' },
};
const typingMs = 150;

function placeholderOf(chosen: Mode): string {
  if (scope.value === "tab" && chosen === "text") return "Filter  /";
  return chosen === "text" ? `Search the log: text ${texts.text.placeholder}` : texts[chosen].placeholder;
}

/** What is typed. In the tab it becomes the query after a pause; in the log with Enter, because it is work for the node. */
function useDraft(inLog: boolean): Signal<string> {
  const draft = useSignal(query.value);
  useEffect(() => {
    if (inLog) return;
    return after(typingMs, () => {
      query.value = draft.value;
    });
  }, [draft.value, inLog]);
  useEffect(
    () =>
      query.subscribe((text) => {
        draft.value = text;
      }),
    [draft],
  );
  return draft;
}

export function FilterBar() {
  const input = useRef<HTMLInputElement>(null);
  const inLog = scope.value === "log";
  const draft = useDraft(inLog);
  filterField.focus = () => input.current?.focus();
  const search = (event: Event): void => {
    event.preventDefault();
    if (inLog && query.peek() === draft.peek()) logSearch.set(logSearch.query);
    query.value = draft.peek();
  };
  const { wrong } = tail.search.state.value;
  logSearch.version.value;
  const isWrong = wrong !== undefined || (inLog && logSearch.refusal?.character !== undefined);
  return (
    <form class={`filter ${inLog ? "in-log" : ""}`} onSubmit={search}>
      <div class={`filter-box ${isWrong ? "is-wrong" : ""}`}>
        <input
          ref={input}
          class="filter-input"
          type="search"
          aria-label={inLog ? "Search the log" : "Filter"}
          aria-invalid={isWrong}
          placeholder={placeholderOf(mode.value)}
          value={draft.value}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => {
            draft.value = event.currentTarget.value;
          }}
        />
        <MatchCount />
        <Kinds draft={draft} />
        {inLog && (
          <button type="submit" class="mode go">
            Search
          </button>
        )}
      </div>
      <button
        type="button"
        class="button"
        aria-pressed={inLog}
        title="Search all records of the log on the node, not only those in this tab"
        onClick={() => {
          setScope(inLog ? "tab" : "log", draft.peek());
          input.current?.focus();
        }}
      >
        Whole log
      </button>
      <Wrong why={wrong} />
    </form>
  );
}

/** How many records in the tab match. */
function MatchCount() {
  tail.version.value;
  if (!tail.search.state.value.on) return null;
  return (
    <span class="filter-count" data-testid="matches">
      {grouped(tail.search.matches.count)}
    </span>
  );
}

function Kinds({ draft }: { draft: Signal<string> }) {
  return (
    <ModeButtons
      class="modes"
      legend={scope.value === "log" ? "Kind of search" : "Kind of filter"}
      modes={modesOf[scope.value].map((each) => [each, texts[each].label, texts[each].title] as const)}
      pressed={mode.value}
      onPress={(chosen) => setMode(chosen, draft.peek())}
    />
  );
}
