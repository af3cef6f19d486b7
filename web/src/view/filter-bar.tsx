/** The filter: a query, its kind, how many match, and what is wrong with it. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { FilterMode } from "../core/filter.ts";
import { grouped } from "../core/format.ts";
import { after } from "../io/timing.ts";
import { mode, query, tail } from "../state/app.ts";
import { filterField } from "./keys.ts";
import { ModeButtons } from "./mode-buttons.tsx";
import { Wrong } from "./wrong.tsx";

const modes: readonly (readonly [mode: FilterMode, label: string, title?: string])[] = [
  ["text", "Text"],
  ["regex", ".*", "Regular expression"],
  ["path", "$.", "JSON path"],
];
const typingMs = 150;

export function FilterBar() {
  const input = useRef<HTMLInputElement>(null);
  const draft = useSignal(query.value);
  filterField.focus = () => input.current?.focus();
  useEffect(
    () =>
      after(typingMs, () => {
        query.value = draft.value;
      }),
    [draft.value],
  );
  const { on, wrong } = tail.search.state.value;
  tail.version.value;
  return (
    <div class="filter">
      <div class={`filter-box ${wrong === undefined ? "" : "is-wrong"}`}>
        <input
          ref={input}
          class="filter-input"
          type="search"
          aria-label="Filter"
          aria-invalid={wrong !== undefined}
          placeholder={mode.value === "path" ? "$.level = error" : "Filter  /"}
          value={draft.value}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => {
            draft.value = event.currentTarget.value;
          }}
        />
        {on && (
          <span class="filter-count" data-testid="matches">
            {grouped(tail.search.matches.count)}
          </span>
        )}
        <ModeButtons
          class="modes"
          legend="Kind of filter"
          modes={modes}
          pressed={mode.value}
          onPress={(chosen) => {
            mode.value = chosen;
          }}
        />
      </div>
      <Wrong why={wrong} />
    </div>
  );
}
