/** The panel of one log: its description, its settings, and the buttons that close or delete it. */
import { useSignal } from "@preact/signals";
import { ago, counted, fullTime, grouped, size, span } from "../core/format.ts";
import { checkSettings, draftOf, type SettingsDraft } from "../core/log-form.ts";
import type { LogSeen } from "../core/log-rows.ts";
import { visibleLine } from "../core/visible.ts";
import { zoneMinutesAt } from "../io/timing.ts";
import { leaveLog, logList, second, tail, timeStyle, view } from "../state/app.ts";
import type { OneLog } from "../state/one-log.ts";
import { LogFields, TextField } from "./log-fields.tsx";
import { Panel } from "./panel.tsx";
import { useChange } from "./use-change.ts";
import { Wrong } from "./wrong.tsx";

interface LogPanelProps {
  readonly log: OneLog;
  readonly name: string;
  readonly onClose: () => void;
}

export function LogPanel({ log, name, onClose }: LogPanelProps) {
  const info = log.info.value;
  return (
    <Panel label={`Log ${name}`} title={visibleLine(name)} onClose={onClose}>
      {info === undefined && log.wrong.value === undefined && <p class="quiet panel-body">Reading…</p>}
      {log.wrong.value !== undefined && (
        <div class="panel-body">
          <Wrong why={log.wrong.value} />
        </div>
      )}
      {info !== undefined && (
        <>
          <Description info={info} />
          <Settings log={log} info={info} />
          {!info.closed && <Close log={log} info={info} />}
          <Delete log={log} info={info} onDeleted={onClose} />
        </>
      )}
    </Panel>
  );
}

function Description({ info }: { info: LogSeen }) {
  const { id, lowest, next, bytes, createdMs, lastMs, closed } = info;
  const facts: readonly (readonly [string, string])[] = [
    ["State", closed ? "closed" : "open"],
    [
      "Records",
      next === lowest ? "none" : `${grouped(next - lowest)}, ${grouped(lowest)}–${grouped(next - 1)}`,
    ],
    ["Next offset", grouped(next)],
    ["Size", size(bytes)],
    ["Last append", lastMs === 0 ? "—" : `${timeText(lastMs)}, ${ago(lastMs, second.value)}`],
    ["Created", timeText(createdMs)],
    ["Id", id],
    ...lifetimeFacts(info),
  ];
  return (
    <dl class="meta wide-names">
      {facts.map(([name, value]) => (
        <div key={name + value}>
          <dt>{name}</dt>
          <dd class={name === "Id" ? "mono" : ""}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function lifetimeFacts({ settings }: LogSeen): (readonly [string, string])[] {
  const { retentionBytes, retentionAgeMs, ttlMs, expiresAtMs } = settings;
  const facts: (readonly [string, string])[] = [];
  if (retentionBytes !== undefined) facts.push(["Retention", `the newest ${size(retentionBytes)}`]);
  if (retentionAgeMs !== undefined) facts.push(["Retention", `the last ${span(retentionAgeMs)}`]);
  if (ttlMs !== undefined) facts.push(["Time to live", `${span(ttlMs)} after the last append`]);
  if (expiresAtMs !== undefined) facts.push(["Expires", timeText(expiresAtMs)]);
  return facts;
}

const timeText = (atMs: number): string =>
  fullTime(atMs, timeStyle.value === "utc" ? 0 : zoneMinutesAt(atMs)).replace(/\.\d+/, "");

interface SectionProps {
  readonly log: OneLog;
  readonly info: LogSeen;
}

/** The settings. Until the user edits them, they show what the node reports. */
function Settings({ log, info }: SectionProps) {
  const edited = useSignal<SettingsDraft | undefined>(undefined);
  const { busy, refused, run } = useChange();
  const draft = edited.value ?? draftOf(info.settings);
  const checked = checkSettings(draft);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!checked.ok || edited.peek() === undefined) return;
    if (await run(() => log.update(info, checked.settings))) edited.value = undefined;
  };
  return (
    <form class="produce section" onSubmit={(event) => void save(event)}>
      <h3>Settings</h3>
      <LogFields
        draft={draft}
        onInput={(part) => {
          edited.value = { ...draft, ...part };
        }}
        wrong={(field) => (!checked.ok && checked.field === field ? checked.why : undefined)}
      />
      <Wrong why={refused} />
      <div class="send">
        <button type="submit" class="button primary" disabled={busy || edited.value === undefined}>
          Save
        </button>
        {edited.value !== undefined && (
          <button
            type="button"
            class="button"
            onClick={() => {
              edited.value = undefined;
            }}
          >
            Discard
          </button>
        )}
      </div>
    </form>
  );
}

function Close({ log, info }: SectionProps) {
  const asked = useSignal(false);
  const { busy, refused, run } = useChange();
  return (
    <section class="produce section" aria-label="Close">
      <h3>Close</h3>
      <p class="quiet">
        A closed log takes no more records. Its records can be read. It cannot be opened again.
      </p>
      <Wrong why={refused} />
      <div class="send">
        {asked.value ? (
          <>
            <button
              type="button"
              class="button danger"
              disabled={busy}
              onClick={() => void run(() => log.close(info))}
            >
              Yes, close the log
            </button>
            <button
              type="button"
              class="button"
              onClick={() => {
                asked.value = false;
              }}
            >
              Cancel
            </button>
          </>
        ) : (
          <button
            type="button"
            class="button"
            onClick={() => {
              asked.value = true;
            }}
          >
            Close the log…
          </button>
        )}
      </div>
    </section>
  );
}

function Delete({ log, info, onDeleted }: SectionProps & { onDeleted: () => void }) {
  const typed = useSignal("");
  const { busy, refused, run } = useChange();
  const remove = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (typed.peek() !== info.name || !(await run(() => log.delete(info)))) return;
    onDeleted();
    logList.drop(info.name);
    if (tail.log.peek() !== info.name) return;
    leaveLog("");
    if (view.peek() === "tail") view.value = "logs";
  };
  return (
    <form class="produce section" onSubmit={(event) => void remove(event)}>
      <h3>Delete</h3>
      <p class="quiet">
        The log and {counted(info.next - info.lowest, "record")} in it are deleted. This cannot be undone.
      </p>
      <TextField
        label="Type the name of the log to confirm"
        value={typed.value}
        onInput={(text) => {
          typed.value = text;
        }}
      />
      <Wrong why={refused} />
      <div class="send">
        <button type="submit" class="button danger" disabled={busy || typed.value !== info.name}>
          Delete the log
        </button>
      </div>
    </form>
  );
}
