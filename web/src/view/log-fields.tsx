/** The fields for the settings of a log. */
import type { SettingsDraft, SettingsField } from "../core/log-form.ts";
import { Wrong } from "./wrong.tsx";

const fields: readonly (readonly [SettingsField, label: string, placeholder: string])[] = [
  ["retentionBytes", "Keep the newest (size)", "as the cluster, or a size such as 10 GiB"],
  ["retentionAgeMs", "Keep the last (age)", "as the cluster, or a time such as 7d"],
  ["maxBytes", "Largest size of the log", "no limit, or a size such as 10 GiB"],
  ["recordBytesMax", "Largest record", "as the cluster, or a size such as 64 KiB"],
  ["ttlMs", "Delete the log after its last append", "never, or a time such as 24h"],
  ["expiresAtMs", "Delete the log at", "never, or 2030-01-31, or 2030-01-31T12:00:00Z"],
  ["contentType", "Media type of the records", "not stated"],
];

interface Props {
  readonly draft: SettingsDraft;
  readonly onInput: (part: Partial<SettingsDraft>) => void;
  /** What is wrong with a field. */
  readonly wrong: (field: SettingsField) => string | undefined;
}

export function LogFields({ draft, onInput, wrong }: Props) {
  return (
    <>
      {fields.map(([field, label, placeholder]) => (
        <TextField
          key={field}
          label={label}
          placeholder={placeholder}
          value={draft[field]}
          wrong={wrong(field)}
          onInput={(text) => onInput({ [field]: text })}
        />
      ))}
    </>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly wrong?: string | undefined;
  readonly onInput: (text: string) => void;
}

export function TextField({ label, value, placeholder, wrong, onInput }: TextFieldProps) {
  return (
    <>
      <label class="label">
        {label}
        <input
          class="field mono"
          value={value}
          placeholder={placeholder}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={wrong !== undefined}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      </label>
      <Wrong why={wrong} />
    </>
  );
}
