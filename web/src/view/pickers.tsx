/** How values and times are shown. */
import { type FormatChoice, formatChoices } from "../core/decode.ts";
import { type TimeStyle, timeStyles } from "../core/format.ts";
import { format, timeStyle } from "../state/app.ts";

const formatNames: Record<FormatChoice, string> = {
  auto: "Auto",
  json: "JSON",
  text: "Text",
  hex: "Hex",
  base64: "Base64",
  msgpack: "MsgPack",
};
const timeNames: Record<TimeStyle, string> = { local: "Local time", utc: "UTC", relative: "Ago" };

export const nameOfFormat = (choice: FormatChoice): string => formatNames[choice];

export function FormatPicker() {
  return (
    <select
      class="field"
      aria-label="Show values as"
      value={format.value}
      onChange={(event) => {
        format.value = event.currentTarget.value as FormatChoice;
      }}
    >
      {formatChoices.map((choice) => (
        <option key={choice} value={choice}>
          {formatNames[choice]}
        </option>
      ))}
    </select>
  );
}

export function TimePicker() {
  return (
    <select
      class="field"
      aria-label="Show times as"
      value={timeStyle.value}
      onChange={(event) => {
        timeStyle.value = event.currentTarget.value as TimeStyle;
      }}
    >
      {timeStyles.map((style) => (
        <option key={style} value={style}>
          {timeNames[style]}
        </option>
      ))}
    </select>
  );
}
