/** The produce box: a record by hand, once or ×N at rate R. What it appended is marked in the list. */
import { useSignal } from "@preact/signals";
import { grouped } from "../core/format.ts";
import { check, type Draft, type ValueKind } from "../core/produce-plan.ts";
import { appended, open, producing, selected, tail } from "../state/app.ts";
import { ProducerRun } from "../state/producer.ts";

const run = new ProducerRun();
const kinds: readonly (readonly [ValueKind, string])[] = [
  ["text", "Text"],
  ["json", "JSON"],
  ["base64", "Base64"],
];
/** Marks kept: the newest. */
const markedMax = 200;
const draft: Draft = { kind: "text", value: "", key: "", headers: "", count: 1, rate: 0 };

export function ProduceBox() {
  const form = useSignal<Draft>(draft);
  const tried = useSignal(false);
  const set = (part: Partial<Draft>): void => {
    form.value = { ...form.value, ...part };
  };
  const checked = check(form.value);
  const state = run.state.value;
  const wrong = (field: string): string | undefined =>
    tried.value && !checked.ok && checked.field === field ? checked.why : undefined;
  const send = (): void => {
    tried.value = true;
    if (checked.ok) void run.send(tail.link.node, checked.record, form.value, mark);
  };
  return (
    <aside class="panel" aria-label="Produce">
      <div class="panel-head">
        <h2>Produce</h2>
        <button
          type="button"
          class="icon"
          aria-label="Close"
          onClick={() => {
            producing.value = false;
          }}
        >
          ✕
        </button>
      </div>
      <form
        class="produce"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          send();
        }}
      >
        <fieldset class="formats">
          <legend class="sr">The value is</legend>
          {kinds.map(([name, label]) => (
            <button
              key={name}
              type="button"
              class="mode"
              aria-pressed={form.value.kind === name}
              onClick={() => set({ kind: name })}
            >
              {label}
            </button>
          ))}
        </fieldset>
        <label class="label">
          Value
          <textarea
            class="field mono"
            rows={6}
            spellcheck={false}
            aria-invalid={wrong("value") !== undefined}
            value={form.value.value}
            onInput={(event) => set({ value: event.currentTarget.value })}
          />
        </label>
        <Wrong why={wrong("value")} />
        <label class="label">
          Key
          <input
            class="field mono"
            value={form.value.key}
            onInput={(event) => set({ key: event.currentTarget.value })}
          />
        </label>
        <label class="label">
          Headers, one “name: value” a line
          <textarea
            class="field mono"
            rows={2}
            spellcheck={false}
            aria-invalid={wrong("headers") !== undefined}
            value={form.value.headers}
            onInput={(event) => set({ headers: event.currentTarget.value })}
          />
        </label>
        <Wrong why={wrong("headers")} />
        <div class="pair">
          <label class="label">
            Times
            <input
              class="field"
              type="number"
              min="1"
              value={form.value.count}
              onInput={(event) => set({ count: event.currentTarget.valueAsNumber })}
            />
          </label>
          <label class="label">
            Per second, 0 unlimited
            <input
              class="field"
              type="number"
              min="0"
              value={form.value.rate}
              onInput={(event) => set({ rate: event.currentTarget.valueAsNumber })}
            />
          </label>
        </div>
        <Wrong why={wrong("count") ?? wrong("rate")} />
        <div class="send">
          {state.running && form.value.count > 1 ? (
            <button type="button" class="button" onClick={() => run.stop()}>
              Stop
            </button>
          ) : (
            <button type="submit" class="button primary" disabled={state.running}>
              Append
            </button>
          )}
          <kbd>Ctrl Enter</kbd>
        </div>
        <Outcome />
      </form>
    </aside>
  );
}

function Wrong({ why }: { why: string | undefined }) {
  return why === undefined ? null : (
    <p class="wrong" role="alert">
      {why}
    </p>
  );
}

function Outcome() {
  const { running, sent, of, first, last, wrong } = run.state.value;
  return (
    <div class="outcome" role="status">
      {running && of > 1 && (
        <p>
          {grouped(sent)} of {grouped(of)} <progress value={sent} max={of} aria-label="Appended" />
        </p>
      )}
      {first !== undefined && last !== undefined && !running && (
        <p>
          Appended at{" "}
          <button type="button" class="link" data-testid="appended" onClick={() => reveal(first)}>
            {first === last ? grouped(first) : `${grouped(first)} … ${grouped(last)}`}
          </button>
        </p>
      )}
      {wrong !== undefined && <p class="wrong">{wrong}</p>}
    </div>
  );
}

function mark(first: number, count: number): void {
  const kept = [...appended.peek()];
  for (let offset = first; offset < first + Math.min(count, markedMax); offset++) kept.push(offset);
  appended.value = new Set(kept.slice(-markedMax));
}

function reveal(offset: number): void {
  selected.value = offset;
  open.value = offset;
  if (!tail.following.peek()) tail.show(offset);
}
