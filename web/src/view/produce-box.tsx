/** The produce box: a record by hand, once or ×N at rate R. What it appended is marked in the list. */
import { useSignal } from "@preact/signals";
import { grouped } from "../core/format.ts";
import { check, type Draft, type ValueKind } from "../core/produce-plan.ts";
import { appended, open, producing, selected, tail } from "../state/app.ts";
import { ProducerRun } from "../state/producer.ts";
import { ModeButtons } from "./mode-buttons.tsx";
import { Panel } from "./panel.tsx";
import { Wrong } from "./wrong.tsx";

/** A run for each log: its result stays with its log. */
const runs = new Map<string, ProducerRun>();
function runOf(log: string): ProducerRun {
  const run = runs.get(log) ?? new ProducerRun();
  runs.set(log, run);
  return run;
}
const kinds: readonly (readonly [ValueKind, string])[] = [
  ["text", "Text"],
  ["json", "JSON"],
  ["base64", "Base64"],
];
/** Marks kept: the newest. */
const markedMax = 200;
const draft: Draft = { kind: "text", value: "", key: "", headers: "", count: 1, rate: 0 };

export function ProduceBox() {
  return (
    <Panel
      label="Produce"
      title="Produce"
      onClose={() => {
        producing.value = false;
      }}
    >
      <ProduceForm />
    </Panel>
  );
}

/** The draft in the form. What is wrong with it shows after the first attempt to send it. */
function useDraft() {
  const form = useSignal<Draft>(draft);
  const tried = useSignal(false);
  const checked = check(form.value);
  return {
    ...form.value,
    set: (part: Partial<Draft>): void => {
      form.value = { ...form.value, ...part };
    },
    wrong: (field: string): string | undefined =>
      tried.value && !checked.ok && checked.field === field ? checked.why : undefined,
    send: (event: Event): void => {
      event.preventDefault();
      tried.value = true;
      if (!checked.ok) return;
      const log = tail.log.peek();
      const to = { node: tail.link.node, log, logId: tail.logId };
      void runOf(log).send(to, checked.record, form.value, (first, count) => {
        if (log === tail.log.peek()) mark(first, count);
      });
    },
  };
}

function ProduceForm() {
  const { kind, value, key, headers, count, rate, set, wrong, send } = useDraft();
  return (
    <form
      class="produce"
      onSubmit={send}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
      }}
    >
      <ModeButtons
        class="formats"
        legend="The value is"
        modes={kinds}
        pressed={kind}
        onPress={(chosen) => set({ kind: chosen })}
      />
      <TextArea
        label="Value"
        rows={6}
        value={value}
        wrong={wrong("value")}
        onInput={(text) => set({ value: text })}
      />
      <label class="label">
        Key
        <input class="field mono" value={key} onInput={(event) => set({ key: event.currentTarget.value })} />
      </label>
      <TextArea
        label="Headers, one “name: value” a line"
        rows={2}
        value={headers}
        wrong={wrong("headers")}
        onInput={(text) => set({ headers: text })}
      />
      <div class="pair">
        <NumberField label="Times" least={1} value={count} onInput={(times) => set({ count: times })} />
        <NumberField
          label="Per second, 0 unlimited"
          least={0}
          value={rate}
          onInput={(perSecond) => set({ rate: perSecond })}
        />
      </div>
      <Wrong why={wrong("count") ?? wrong("rate")} />
      <SendButton run={runOf(tail.log.value)} isRepeated={count > 1} />
      <Outcome run={runOf(tail.log.value)} />
    </form>
  );
}

interface FieldProps<T> {
  readonly label: string;
  readonly value: T;
  readonly onInput: (value: T) => void;
}

function TextArea(props: FieldProps<string> & { rows: number; wrong: string | undefined }) {
  return (
    <>
      <label class="label">
        {props.label}
        <textarea
          class="field mono"
          rows={props.rows}
          spellcheck={false}
          aria-invalid={props.wrong !== undefined}
          value={props.value}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      </label>
      <Wrong why={props.wrong} />
    </>
  );
}

function NumberField(props: FieldProps<number> & { least: number }) {
  return (
    <label class="label">
      {props.label}
      <input
        class="field"
        type="number"
        min={props.least}
        value={props.value}
        onInput={(event) => props.onInput(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}

/** Appends, and stops a run of several records. */
function SendButton({ run, isRepeated }: { run: ProducerRun; isRepeated: boolean }) {
  const { running } = run.state.value;
  return (
    <div class="send">
      {running && isRepeated ? (
        <button type="button" class="button" onClick={() => run.stop()}>
          Stop
        </button>
      ) : (
        <button type="submit" class="button primary" disabled={running}>
          Append
        </button>
      )}
      <kbd>Ctrl Enter</kbd>
    </div>
  );
}

function Outcome({ run }: { run: ProducerRun }) {
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
