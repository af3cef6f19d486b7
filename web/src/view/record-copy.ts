/** Copies parts of a record and confirms it in a line that screen readers announce. */
import { signal } from "@preact/signals";
import { toBase64 } from "../core/base64.ts";
import { textOf } from "../core/decode.ts";
import { readRecord } from "../core/wire.ts";
import { copyText } from "../io/page.ts";
import { after } from "../io/timing.ts";
import { heldRecord } from "../state/app.ts";

/** What was last copied or saved, for two seconds. */
export const said = signal("");
let cancel = (): void => {};

export function say(text: string): void {
  said.value = text;
  cancel();
  cancel = after(2000, () => {
    said.value = "";
  });
}

export async function copy(text: string, what: string): Promise<void> {
  say((await copyText(text)) ? `${what} copied` : "The browser did not allow copying");
}

/** The value as text, or as base64 when it is not text. */
export async function copyValueBytes(value: Uint8Array): Promise<void> {
  const text = textOf(value);
  await copy(text ?? toBase64(value), text === undefined ? "Value as base64" : "Value");
}

export async function copyValue(offset: number): Promise<void> {
  const record = heldRecord(offset);
  if (record !== undefined) await copyValueBytes(readRecord(record).value);
}
