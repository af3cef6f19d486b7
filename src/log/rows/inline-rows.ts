/**
 * Converts a directory of format 2, in which each checkpoint holds the rows of the named logs: the rows at the start of the log
 * become the base file, and the checkpoints lose theirs.
 */
import { namedLogsLevel } from "../frame/log-command.ts";
import { type Catalog, type CatalogChanges, catalogChange } from "../segment/catalog.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import type { CommittedRows } from "../state/committed-rows.ts";
import { emptyHead } from "../state/row-codec.ts";
import { type BasePlace, rowsOfStart, writeBase } from "./base-files.ts";
import type { HeldRows } from "./held-rows.ts";

/**
 * Takes the rows at the start of a log that no node serves. `first` is its first segment. Returns them.
 * @throws Fault "corrupt"
 */
export function rowsAtStart(
  catalog: Catalog,
  place: BasePlace,
  first: SegmentMeta | undefined,
  held: HeldRows,
): CommittedRows {
  if (catalog.holdsInlineRows())
    return rowsOfStart({ ...catalog.firstStart(first), rows: catalog.inlineRows(first) });
  const { size } = catalog.firstStartHead(first).checkpoint.logs ?? emptyHead;
  held.load(place, catalog.rowFiles().base, size);
  return held.rows;
}

/** The base is durable before the one transaction that names it. A crash before leaves a file that is written again. */
export function convertInlineRows(catalog: Catalog, place: BasePlace, directoryId: Uint8Array): void {
  if (!catalog.holdsInlineRows()) return;
  const metas = catalog.segments();
  const { end, checkpoint } = catalog.firstStart(metas[0]);
  const rows = catalog.inlineRows(metas[0]);
  const head = checkpoint.logs ?? emptyHead;
  if (rows.length > 0) writeBase(place, { ...end, head }, rows);
  const changes: CatalogChanges[] = metas.flatMap((meta) => {
    const found = catalog.checkpoint(firstOf(meta));
    return found === undefined ? [] : [catalogChange.checkpoint(firstOf(meta), found)];
  });
  const base = rows.length > 0 ? end.index : 0;
  const files = catalogChange.rowFiles({ base, generation: 0 });
  catalog.write(
    ...changes,
    catalogChange.start(catalog.start()),
    files,
    catalogChange.directory(directoryId, namedLogsLevel),
  );
}
