/** The panel of the Logs view that shows the newest records of all logs of a prefix. */
import { grouped, timeOfDay } from "../core/format.ts";
import { visibleLine } from "../core/visible.ts";
import { zoneMinutesAt } from "../io/timing.ts";
import { prefixTail, timeStyle } from "../state/app.ts";
import { Panel } from "./panel.tsx";
import { Wrong } from "./wrong.tsx";

export function PrefixTailPanel({ prefix }: { prefix: string }) {
  const records = prefixTail.records.value;
  const title = prefix === "" ? "Tail of all named logs" : `Tail of ${visibleLine(prefix)}*`;
  return (
    <Panel label="Tail of a prefix" title={title} onClose={() => prefixTail.follow(undefined)}>
      <div class="panel-body">
        <Wrong why={prefixTail.wrong.value} />
        {records.length === 0 && <p class="quiet">Waiting for new records…</p>}
        <ol class="prefix-tail">
          {records.map(({ log, offset, timestampMs, line }) => (
            <li key={`${log} ${offset} ${timestampMs}`}>
              <span class="quiet">
                {visibleLine(log)} {grouped(offset)} · {timeText(timestampMs)}
              </span>
              <span class="mono">{line}</span>
            </li>
          ))}
        </ol>
      </div>
    </Panel>
  );
}

const timeText = (atMs: number): string =>
  timeOfDay(atMs, timeStyle.value === "utc" ? 0 : zoneMinutesAt(atMs));
