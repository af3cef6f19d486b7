/** The logs of the cluster: a list with a search by prefix, and a panel to create or describe one. */
import { useEffect, useRef } from "preact/hooks";
import { counted } from "../core/format.ts";
import { after } from "../io/timing.ts";
import {
  creating,
  described,
  describedLog,
  describeLog,
  logList,
  prefixTail,
  refreshLogs,
} from "../state/app.ts";
import { defaultName } from "../state/default-log.ts";
import { CreateLog } from "./create-log.tsx";
import { prefixField } from "./keys.ts";
import { LogGrid } from "./log-grid.tsx";
import { LogPanel } from "./log-panel.tsx";
import { PrefixTailPanel } from "./prefix-tail-panel.tsx";
import { Wrong } from "./wrong.tsx";

/** The search begins when no key was pressed for so long. */
const typingMs = 150;

export function LogsView() {
  useEffect(() => {
    refreshLogs();
    return () => prefixTail.follow(undefined);
  }, []);
  const name = described.value;
  const tailed = prefixTail.prefix.value;
  return (
    <div class="tail">
      <div class="tools">
        <PrefixField />
        <button
          type="button"
          class="button"
          onClick={() => {
            describeLog(undefined);
            prefixTail.follow(logList.prefix.peek());
          }}
        >
          Tail these
        </button>
        <button
          type="button"
          class="button primary"
          aria-pressed={creating.value}
          onClick={() => {
            describeLog(undefined);
            creating.value = !creating.value;
          }}
        >
          Create
        </button>
      </div>
      <div class="stage">
        <div class="list-frame">
          <LogGrid />
          <Hint />
        </div>
        {creating.value && <CreateLog />}
        {tailed !== undefined && <PrefixTailPanel key={tailed} prefix={tailed} />}
        {name !== undefined && !creating.value && (
          <LogPanel key={name} log={describedLog} name={name} onClose={() => describeLog(undefined)} />
        )}
      </div>
      <Foot />
    </div>
  );
}

function PrefixField() {
  const field = useRef<HTMLInputElement>(null);
  const cancel = useRef(() => {});
  // The list knows a prefix only after a pause. The field keeps what was typed if it is drawn again before.
  const typed = useRef(logList.prefix.peek());
  prefixField.focus = () => field.current?.focus();
  return (
    <div class="filter">
      <div class="filter-box">
        <input
          ref={field}
          class="filter-input"
          type="search"
          aria-label="Begin of the name"
          placeholder="Names that begin with…"
          spellcheck={false}
          autocomplete="off"
          value={typed.current}
          onInput={(event) => {
            const prefix = event.currentTarget.value;
            typed.current = prefix;
            cancel.current();
            cancel.current = after(typingMs, () => logList.search(prefix));
          }}
        />
        <kbd>/</kbd>
      </div>
    </div>
  );
}

/** Shown in an empty list, or when it could not be read. */
function Hint() {
  logList.version.value;
  const { rows, prefix } = logList;
  if (rows.count > 0) return null;
  if (logList.wrong.value !== undefined) {
    return (
      <div class="waiting" role="alert">
        <p class="wrong">{logList.wrong.value}</p>
        <button type="button" class="button" onClick={() => logList.search(prefix.peek())}>
          Try again
        </button>
      </div>
    );
  }
  if (rows.loadedTo !== undefined) return <p class="waiting">Asking the node…</p>;
  if (prefix.value === "") {
    return <p class="waiting">There is no log besides “default” that you may describe.</p>;
  }
  if (defaultName.startsWith(prefix.value)) return null;
  return <p class="waiting">No name begins with “{prefix.value.slice(0, 60)}”</p>;
}

function Foot() {
  logList.version.value;
  const { rows } = logList;
  const count = counted(rows.count, "named log");
  return (
    <footer class="foot">
      <span data-testid="log-count">
        {rows.loadedTo === undefined ? count : `${count} read, scroll for more`}
      </span>
      {rows.count > 0 && <Wrong why={logList.wrong.value} />}
    </footer>
  );
}
