/** The panel of the cursors of the log: how far each reader has got, and the forms that move and delete a cursor. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";
import { ago, fullTime, grouped } from "../core/format.ts";
import { visibleLine } from "../core/visible.ts";
import { isVisible } from "../io/page.ts";
import { every, zoneMinutesAt } from "../io/timing.ts";
import { logCursors, may, openLog, second, showingCursors, tail, timeStyle } from "../state/app.ts";
import type { CursorSeen, CursorTarget } from "../state/log-cursors.ts";
import { TextField } from "./log-fields.tsx";
import { ModeButtons } from "./mode-buttons.tsx";
import { Panel } from "./panel.tsx";
import { useChange } from "./use-change.ts";
import { Wrong } from "./wrong.tsx";

const refreshMs = 2_000;

export function CursorsPanel({ log }: { log: string }) {
  useEffect(() => {
    logCursors.follow(log);
    const stop = every(refreshMs, () => {
      if (isVisible()) void logCursors.refresh();
    });
    return () => {
      stop();
      logCursors.follow(undefined);
    };
  }, [log]);
  const list = logCursors.list.value;
  return (
    <Panel
      label="Cursors"
      title={`Cursors of ${log === "" ? "“default”" : visibleLine(log)}`}
      onClose={() => {
        showingCursors.value = false;
      }}
    >
      <div class="panel-body">
        <Wrong why={logCursors.wrong.value} />
        {list === undefined && logCursors.wrong.value === undefined && <p class="quiet">Reading…</p>}
        {list?.cursors.length === 0 && (
          <p class="quiet">
            No reader of this log has a cursor. <code>tailrace consume --cursor NAME</code> makes one.
          </p>
        )}
        {list !== undefined && list.cursors.length > 0 && !may("cursor") && (
          <p class="quiet">You may see the cursors of this log, but not move or delete them.</p>
        )}
        <ul class="cursors">
          {list?.cursors.map((cursor) => (
            <CursorItem key={cursor.name} cursor={cursor} />
          ))}
        </ul>
        {list?.hasMore === true && (
          <button type="button" class="button more" onClick={() => logCursors.showMore()}>
            Show more
          </button>
        )}
      </div>
    </Panel>
  );
}

type Change = "move" | "delete";

function CursorItem({ cursor }: { cursor: CursorSeen }) {
  const doing = useSignal<Change | undefined>(undefined);
  const id = useId();
  const buttons = useRef<HTMLDivElement>(null);
  const closed = useRef<Change | undefined>(undefined);
  const close = (): void => {
    closed.current = doing.peek();
    doing.value = undefined;
  };
  // The button that opened the form gets the focus back: it was not on the page meanwhile.
  useLayoutEffect(() => {
    if (doing.value !== undefined || closed.current === undefined) return;
    buttons.current?.querySelector<HTMLElement>(`[value="${closed.current}"]`)?.focus();
    closed.current = undefined;
  }, [doing.value]);
  const button = (change: Change, label: string) => (
    <button
      type="button"
      class="button"
      value={change}
      aria-describedby={id}
      onClick={() => {
        doing.value = change;
      }}
    >
      {label}
    </button>
  );
  return (
    <li data-cursor={cursor.name}>
      <div class="cursor-head">
        <b class="mono" id={id}>
          <bdi>{visibleLine(cursor.name)}</bdi>
        </b>
        <span class={cursor.lag === 0 ? "quiet" : ""} data-testid="lag">
          {cursor.lag === 0 ? "at the end" : `${grouped(cursor.lag)} behind`}
        </span>
      </div>
      <CursorFacts cursor={cursor} />
      {may("cursor") && doing.value === undefined && (
        <div class="send" ref={buttons}>
          {button("move", "Move…")}
          {button("delete", "Delete…")}
        </div>
      )}
      {doing.value === "move" && <Move cursor={cursor} onDone={close} />}
      {doing.value === "delete" && <Delete cursor={cursor} onDone={close} />}
    </li>
  );
}

function CursorFacts({ cursor: { offset, committedMs, metadata, owner } }: { cursor: CursorSeen }) {
  const zone = timeStyle.value === "utc" ? 0 : zoneMinutesAt(committedMs);
  return (
    <dl class="meta wide-names">
      <div>
        <dt>Offset</dt>
        <dd>
          <button
            type="button"
            class="link"
            aria-label={`Show the log at offset ${grouped(offset)}`}
            onClick={() => openLog(tail.log.peek(), { kind: "offset", offset })}
          >
            {grouped(offset)}
          </button>
        </dd>
      </div>
      <div>
        <dt>Last commit</dt>
        <dd>
          {fullTime(committedMs, zone).replace(/\.\d+/, "")}{" "}
          <span class="quiet">{ago(committedMs, second.value)}</span>
        </dd>
      </div>
      {metadata !== "" && (
        <div>
          <dt>Metadata</dt>
          <dd class="mono">
            <bdi>{visibleLine(metadata)}</bdi>
          </dd>
        </div>
      )}
      {owner !== "" && (
        <div>
          <dt>Created by</dt>
          <dd>
            <bdi>{visibleLine(owner)}</bdi>
          </dd>
        </div>
      )}
    </dl>
  );
}

interface FormProps {
  /** As it is now: another client may have moved it since the form was opened. */
  readonly cursor: CursorSeen;
  readonly onDone: () => void;
}

const targets = [
  ["start", "Start"],
  ["end", "End"],
  ["offset", "Offset"],
] as const;

function Move({ cursor, onDone }: FormProps) {
  // The change is about the cursor that the user saw when the form was opened, or after a refusal.
  const seen = useSignal(cursor);
  const target = useSignal<"start" | "end" | "offset">("offset");
  const text = useSignal(String(cursor.offset));
  const { busy, refused, run } = useChange();
  const to = targetOf(target.value, text.value);
  const move = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (to === undefined) return;
    if (await run(() => logCursors.move(seen.peek(), to))) onDone();
    else seen.value = presentOf(seen.peek());
  };
  return (
    <ChangeForm label={`Move ${visibleLine(cursor.name)}`} onSubmit={(event) => void move(event)}>
      <p class="quiet">
        A reader that uses this cursor does not notice the move: it fails at its next commit, and begins here
        when it is started again.
      </p>
      <ModeButtons
        class="formats"
        legend="Move to"
        modes={targets}
        pressed={target.value}
        onPress={(chosen) => {
          target.value = chosen;
        }}
      />
      {target.value === "offset" && (
        <TextField
          label="The next offset that the reader gets"
          value={text.value}
          wrong={to === undefined ? "An offset is a whole number, from 0 on." : undefined}
          onInput={(typed) => {
            text.value = typed;
          }}
        />
      )}
      <Wrong why={refused} />
      <Buttons busy={busy || to === undefined} label="Move" kind="primary" onCancel={onDone} />
    </ChangeForm>
  );
}

function targetOf(target: "start" | "end" | "offset", text: string): CursorTarget | undefined {
  if (target !== "offset") return target;
  const digits = text.replace(/[,_ ]/g, "");
  const offset = Number(digits);
  return /^\d{1,16}$/.test(digits) && Number.isSafeInteger(offset) ? offset : undefined;
}

/** The cursor as the list has it, or as it was seen if the list does not have it. */
const presentOf = (seen: CursorSeen): CursorSeen =>
  logCursors.list.peek()?.cursors.find(({ name }) => name === seen.name) ?? seen;

function Delete({ cursor, onDone }: FormProps) {
  const seen = useSignal(cursor);
  const { busy, refused, run } = useChange();
  const remove = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (await run(() => logCursors.delete(seen.peek()))) onDone();
    else seen.value = presentOf(seen.peek());
  };
  return (
    <ChangeForm label={`Delete ${visibleLine(cursor.name)}`} onSubmit={(event) => void remove(event)}>
      <p class="quiet">
        Its readers begin where they say, by default at the start of the log. This cannot be undone.
      </p>
      <Wrong why={refused} />
      <Buttons busy={busy} label="Yes, delete the cursor" kind="danger" onCancel={onDone} />
    </ChangeForm>
  );
}

interface ChangeFormProps {
  readonly label: string;
  readonly onSubmit: (event: Event) => void;
  readonly children: ComponentChildren;
}

/** Has the focus when it is opened, so that the next Tab leads into it, and a second Enter confirms nothing. */
function ChangeForm({ label, onSubmit, children }: ChangeFormProps) {
  const form = useRef<HTMLFormElement>(null);
  useLayoutEffect(() => form.current?.focus(), []);
  return (
    <form ref={form} class="produce cursor-form" tabIndex={-1} aria-label={label} onSubmit={onSubmit}>
      {children}
    </form>
  );
}

interface ButtonsProps {
  readonly busy: boolean;
  readonly label: string;
  readonly kind: "primary" | "danger";
  readonly onCancel: () => void;
}

function Buttons({ busy, label, kind, onCancel }: ButtonsProps) {
  return (
    <div class="send">
      <button type="submit" class={`button ${kind}`} disabled={busy}>
        {label}
      </button>
      <button type="button" class="button" onClick={onCancel}>
        Cancel
      </button>
    </div>
  );
}
