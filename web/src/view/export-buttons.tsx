/** Saves the records that the list shows, of the whole ring, of those that match, or of what a search has found, as a file. */
import { csvHead, csvRow, type ExportKind, exportTypes, jsonLine } from "../core/export.ts";
import { counted } from "../core/format.ts";
import { readRecord } from "../core/wire.ts";
import { saveFile } from "../io/page.ts";
import { heldRecord, logSearch, showsFound, tail } from "../state/app.ts";
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
    const record = heldRecord(offset);
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
  const listed = showsFound.peek() ? logSearch.found.offsets : search.matches;
  if (showsFound.peek() || search.state.peek().on) {
    for (let index = 0; index < listed.count; index++) yield listed.at(index) as number;
  } else for (let offset = ring.first; offset < ring.next; offset++) yield offset;
}
