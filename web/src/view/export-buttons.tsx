/** Saves the records that the list shows, of the whole ring or of those that match, as a file. */
import { csvHead, csvRow, type ExportKind, exportTypes, jsonLine } from "../core/export.ts";
import { counted } from "../core/format.ts";
import { readRecord } from "../core/wire.ts";
import { saveFile } from "../io/page.ts";
import { tail } from "../state/app.ts";
import { say } from "./record-copy.ts";

const kinds: readonly (readonly [ExportKind, string])[] = [
  ["ndjson", "NDJSON"],
  ["csv", "CSV"],
];

export function ExportButtons() {
  return (
    <span class="export">
      Save as{" "}
      {kinds.map(([kind, label]) => (
        <button
          key={kind}
          type="button"
          class="link"
          aria-label={`Save as ${label}`}
          onClick={() => save(kind)}
        >
          {label}
        </button>
      ))}
    </span>
  );
}

function save(kind: ExportKind): void {
  const parts: string[] = kind === "csv" ? [csvHead] : [];
  let records = 0;
  for (const offset of offsetsShown()) {
    const record = tail.ring.at(offset);
    if (record === undefined) continue;
    const view = readRecord(record);
    parts.push(kind === "csv" ? csvRow(view) : jsonLine(view));
    records++;
  }
  const name = (tail.log.peek() || "default").replace(/[^\w.-]+/g, "_").slice(0, 60);
  saveFile(`${name}.${kind}`, exportTypes[kind], parts);
  say(`${counted(records, "record")} saved`);
}

function* offsetsShown(): Generator<number> {
  const { ring, search } = tail;
  if (search.state.peek().on) {
    for (let index = 0; index < search.matches.count; index++) yield search.matches.at(index) as number;
  } else for (let offset = ring.first; offset < ring.next; offset++) yield offset;
}
