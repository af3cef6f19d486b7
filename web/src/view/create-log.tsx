/** Creates a log and shows its tail. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { checkSettings, emptySettings, type SettingsDraft } from "../core/log-form.ts";
import { after } from "../io/timing.ts";
import { cluster, creating, logList, openLog } from "../state/app.ts";
import { createLog } from "../state/one-log.ts";
import { LogFields, TextField } from "./log-fields.tsx";
import { Panel } from "./panel.tsx";
import { Wrong } from "./wrong.tsx";

export function CreateLog() {
  return (
    <Panel
      label="Create a log"
      title="Create a log"
      onClose={() => {
        creating.value = false;
      }}
    >
      <CreateForm />
    </Panel>
  );
}

function CreateForm() {
  // A search for a name that is not there is often followed by its creation.
  const name = useSignal(logList.rows.count === 0 ? logList.prefix.peek() : "");
  const draft = useSignal<SettingsDraft>(emptySettings);
  const form = useRef<HTMLFormElement>(null);
  const tried = useSignal(false);
  const busy = useSignal(false);
  const refused = useSignal<string | undefined>(undefined);
  const checked = checkSettings(draft.value);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    tried.value = true;
    refused.value = undefined;
    if (!checked.ok) showInvalid(form.current);
    if (!checked.ok || busy.peek()) return;
    busy.value = true;
    const made = await createLog(cluster.link.node, name.peek(), checked.settings);
    busy.value = false;
    if (typeof made === "string") {
      refused.value = made;
      return;
    }
    logList.put(made);
    creating.value = false;
    openLog(made.name);
  };
  return (
    <form ref={form} class="produce" onSubmit={(event) => void send(event)}>
      <TextField
        label="Name"
        placeholder="orders/eu"
        value={name.value}
        onInput={(text) => {
          name.value = text;
        }}
      />
      <LogFields
        draft={draft.value}
        onInput={(part) => {
          draft.value = { ...draft.value, ...part };
        }}
        wrong={(field) => (tried.value && !checked.ok && checked.field === field ? checked.why : undefined)}
      />
      <Wrong why={refused.value} />
      <div class="send">
        <button type="submit" class="button primary" disabled={busy.value}>
          Create
        </button>
      </div>
    </form>
  );
}

/** Puts the keyboard into the field that is wrong, once it is marked: it may be out of sight. */
function showInvalid(form: HTMLFormElement | null): void {
  after(0, () => {
    const field = form?.querySelector<HTMLInputElement>('[aria-invalid="true"]');
    field?.focus({ preventScroll: true });
    field?.scrollIntoView({ block: "nearest" });
  });
}
