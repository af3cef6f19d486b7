/** A command with a button that copies it. */
import { copy } from "./record-copy.ts";

export function Copyable({ text, what }: { text: string; what: string }) {
  return (
    <div class="copyable">
      <code>{text}</code>
      <button type="button" class="button" onClick={() => void copy(text, what)}>
        Copy
      </button>
    </div>
  );
}
