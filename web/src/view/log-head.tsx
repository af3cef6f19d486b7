/** The line above the tail of a named log: its name, its extent, and the way to its settings and back. */
import { counted, size } from "../core/format.ts";
import { visibleLine } from "../core/visible.ts";
import { configuring, open, openLog, tail, tailedLog, view } from "../state/app.ts";

export function LogHead() {
  const name = tail.log.value;
  if (name === "") return null;
  const info = tailedLog.info.value;
  return (
    <div class="log-head">
      <nav class="trail" aria-label="Log">
        <button
          type="button"
          class="link"
          onClick={() => {
            view.value = "logs";
          }}
        >
          Logs
        </button>
        <span aria-hidden="true">›</span>
        <h2>
          <bdi data-testid="log-name">{visibleLine(name)}</bdi>
        </h2>
      </nav>
      {info?.closed === true && <span class="badge">closed</span>}
      {info !== undefined && (
        <span class="quiet extent">
          {counted(info.next - info.lowest, "record")}, {size(info.bytes)}
        </span>
      )}
      <span class="log-head-end">
        <button
          type="button"
          class="button"
          aria-pressed={configuring.value}
          onClick={() => {
            configuring.value = !configuring.value;
            open.value = undefined;
          }}
        >
          Settings
        </button>
        <button type="button" class="button" onClick={() => openLog("")}>
          To “default”
        </button>
      </span>
    </div>
  );
}
