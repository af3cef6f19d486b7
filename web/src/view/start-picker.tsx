/** Selects where the tail starts: the end, the start, an offset, the last N, a time. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { defaultFrom, type From, parseFrom } from "../core/url-state.ts";
import { tail } from "../state/app.ts";

type Kind = From["kind"];
const kinds: readonly (readonly [Kind, string])[] = [
  ["last", "Last N"],
  ["end", "End"],
  ["start", "Beginning"],
  ["offset", "Offset"],
  ["time", "Time"],
];

export function StartPicker() {
  const from = tail.from.value;
  const kind = useSignal<Kind>(from.kind);
  const text = useSignal(argumentOf(from));
  const wrong = useSignal(false);
  useEffect(() => {
    kind.value = from.kind;
    text.value = argumentOf(from);
  }, [from, kind, text]);
  const choose = (chosen: Kind): void => {
    kind.value = chosen;
    wrong.value = false;
    if (chosen === "end" || chosen === "start") tail.start({ kind: chosen });
    else
      text.value = chosen === "last" ? argumentOf(defaultFrom) : chosen === "offset" ? String(tail.top) : "";
  };
  const go = (event: Event): void => {
    event.preventDefault();
    const found = parseFrom(kind.value === "last" ? `-${text.value.replace(/^[-−]/, "")}` : text.value);
    wrong.value = found === undefined;
    if (found !== undefined) tail.start(found);
  };
  const asks = kind.value === "offset" || kind.value === "last" || kind.value === "time";
  return (
    <form class="start" onSubmit={go}>
      <select
        class="field"
        aria-label="Start at"
        value={kind.value}
        onChange={(event) => choose(event.currentTarget.value as Kind)}
      >
        {kinds.map(([name, label]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
      {asks && (
        <>
          <input
            class={`field ${kind.value === "time" ? "wide" : "narrow"}`}
            aria-label={kind.value === "last" ? "How many" : kind.value === "offset" ? "Offset" : "Time"}
            aria-invalid={wrong.value}
            placeholder={kind.value === "time" ? "2026-11-21T09:30 or @ms" : ""}
            inputMode={kind.value === "time" ? "text" : "numeric"}
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value;
              wrong.value = false;
            }}
          />
          <button type="submit" class="button">
            Go
          </button>
        </>
      )}
    </form>
  );
}

function argumentOf(from: From): string {
  if (from.kind === "last") return String(from.count);
  if (from.kind === "offset") return String(from.offset);
  return from.kind === "time" ? `@${from.atMs}` : "";
}
