/**
 * Repairs a log: plans what to do about the findings of verify, and does it on request.
 *
 * A store is cut at its first damaged byte. Later segments are set aside whole, because nothing connects them to the log
 * any more. Index files are rebuilt from the stores, and a lost catalog from the segments. No bytes of a store are deleted.
 *
 * What is cut off, or a vote that is lost, may have been acknowledged to other nodes. So a directory of a cluster of
 * several nodes, or one whose catalog is lost, gets a new identity. It keeps its data.
 */

import { Fault } from "../../fault.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { RaftIndex } from "../../types.ts";
import { type ChainEnd, chainStart, linkOfFrame, scanStore } from "../frame/chain.ts";
import { frameLogId } from "../frame/frame.ts";
import { settledLevel } from "../frame/log-command.ts";
import { isZeroTail } from "../frame/zero-tail.ts";
import { ActiveLogIndex } from "../index/log-index.ts";
import { ActiveIndex } from "../index/offset-index.ts";
import { enterFrame, enterNamed } from "../index/segment-index.ts";
import { readProducers } from "../producers/producers-file.ts";
import { isRowsFile } from "../recovery/check-rows.ts";
import {
  commitEvery,
  heldIn,
  type LogDirectory,
  type ScratchRows,
  type VerifyReport,
  verifyLog,
} from "../recovery/verify.ts";
import { rowsName } from "../rows/base-files.ts";
import type { HeldRows } from "../rows/held-rows.ts";
import { convertInlineRows, rowsAtStart } from "../rows/inline-rows.ts";
import { Catalog, catalogChange, nextGeneration, noRowFiles } from "../segment/catalog.ts";
import { baseOf, firstOf, type SegmentMeta } from "../segment/segment.ts";
import { firstIndexOf, indexName, logsName, SegmentFiles, storeName } from "../segment/segment-files.ts";
import { currentPath, finishSettling } from "../settle/finish-settling.ts";
import { countSettled } from "../settle/merged-meta.ts";
import type { CommittedRows } from "../state/committed-rows.ts";
import { LogState } from "../state/log-state.ts";
import type { LogTable } from "../state/log-table.ts";
import { applyRepair } from "./apply-repair.ts";
import { baseFromDatabase, databaseForBase } from "./base-from-database.ts";
import { addKnownEnds, type KnownEnds, knownNext } from "./known-ends.ts";
import { lossesOf } from "./lost-logs.ts";
import { metasFromFiles } from "./rebuild-catalog.ts";
import {
  type KeptSegment,
  type NewIdentity,
  orIfCorrupt,
  type RepairAction,
  type RepairOptions,
  type RepairPlan,
  unreadableKeys,
} from "./repair-plan.ts";

/**
 * Returns what a repair would do. With `yes` it does it.
 * @throws Fault "not-found", "unsupported-version"; "failed-precondition" if the directory's id cannot be found, or if the
 * rows of named logs are lost
 */
export function repairLog(place: LogDirectory, yes: boolean, options: RepairOptions = {}): RepairPlan {
  return new Repair(place, options).run(yes);
}

class Repair {
  readonly #place: LogDirectory;
  readonly #files: SegmentFiles;
  readonly #catalog: Catalog;
  readonly #options: RepairOptions;
  readonly #actions: RepairAction[] = [];
  /** The level of the log that stays. */
  #level = 0;
  /** The index of the base file that stays; 0 for none. */
  #base = 0;
  /** The named logs of the log that stays. */
  #keptLogs: LogTable | undefined;
  #held: HeldRows | undefined;
  #scratch: ScratchRows | undefined;

  constructor(place: LogDirectory, options: RepairOptions) {
    this.#place = place;
    this.#options = options;
    this.#files = new SegmentFiles(`${place.directory}/log`, place.disk, heapMapper(place.disk), 4);
    const { disk } = place;
    this.#catalog = new Catalog(place.store, (file) => readProducers(disk, this.#files.directory, file));
  }

  run(yes: boolean): RepairPlan {
    using report = verifyLog(this.#place);
    this.#scratch = this.#place.scratch?.();
    try {
      return this.#run(report, yes);
    } finally {
      this.#scratch?.remove();
    }
  }

  #run(report: VerifyReport, yes: boolean): RepairPlan {
    const { refused = false, unchanged = {} } = this.#options;
    const sound = { actions: this.#actions, next: report.next, lost: 0, lostLogs: [], moreLostLogs: 0 };
    if (report.findings.length === 0 && !refused) return sound;
    if (!refused && report.findings.every(({ file }) => isRowsFile(file))) {
      this.#buildRows(report, yes);
      return sound;
    }
    if (!refused && this.#buildBase(report, yes)) return sound;
    const lostCatalog = this.#isCatalogLost(report);
    if (yes && !lostCatalog) this.#convert();
    if (yes && !lostCatalog) orIfCorrupt(() => finishSettling(this.#files, this.#catalog), undefined);
    const metas = lostCatalog ? metasFromFiles(this.#files) : this.#catalog.segments();
    if (lostCatalog) this.#plan("build-catalog", "meta");
    const kept = this.#keep(metas, lostCatalog);
    // What a damaged segment has lost may be in a neighbour that was merged into it.
    const doomed = lostCatalog || !areWhole(metas, kept) ? [] : this.#doomed();
    this.#planFiles(report, kept, lostCatalog, doomed);
    const last = kept[kept.length - 1];
    const commit = lostCatalog ? 0 : orIfCorrupt(() => this.#catalog.commit(), 0);
    if ((last?.end.index ?? 0) < commit) this.#plan("forget-commit", "meta");
    const { store } = this.#place;
    const damagedKeys = unreadableKeys(store).filter((key) => !key.startsWith("log/"));
    for (const key of damagedKeys) this.#plan("forget-value", `meta/${key}`);
    if (!store.whole) this.#plan("accept-keys", "meta");
    const identity = this.#newIdentity(lostCatalog);
    if (identity !== undefined) this.#plan("new-identity", "meta");
    else if (refused) this.#plan("keep-identity", "meta");
    const next = last?.end.nextOffset ?? metas[0]?.before.nextOffset ?? 0;
    const known = metas.reduce((most, meta) => Math.max(most, knownNext(this.#files, meta)), report.next);
    const losses = this.#lostLogs(metas, kept, report);
    this.#planRows(report);
    if (yes) {
      const keys = store.keys("log/");
      const work = {
        keys,
        kept,
        lostCatalog,
        level: this.#level,
        base: this.#base,
        doomed,
        damagedKeys,
        identity,
        unchanged,
      };
      applyRepair({ files: this.#files, catalog: this.#catalog, actions: this.#actions, ...work });
    }
    return { actions: this.#actions, next, lost: Math.max(0, known - next), ...losses };
  }

  /** Only the database of rows is damaged. Nothing is lost: the next start builds it again from the base and the frames. */
  #buildRows(report: VerifyReport, yes: boolean): void {
    this.#planRows(report);
    if (yes) this.#catalog.write(catalogChange.rowFiles(nextGeneration(this.#catalog.rowFiles())));
  }

  /** Only the base is damaged. Nothing is lost: the database of a later index and the frames tell what was in it. */
  #buildBase({ findings }: VerifyReport, yes: boolean): boolean {
    const { rowStore: store } = this.#place;
    const { base } = orIfCorrupt(() => this.#catalog.rowFiles(), noRowFiles);
    const name = rowsName(base);
    if (base === 0 || store === undefined || findings.some(({ file }) => file !== name)) return false;
    const directoryId = this.#catalog.directoryId();
    const lost = directoryId && { files: this.#files, catalog: this.#catalog, store, directoryId };
    const index = lost && databaseForBase(lost);
    if (lost === undefined || index === undefined) return false;
    if (yes) baseFromDatabase(lost, index, heldIn(this.#scratch));
    this.#plan("build-base", name);
    return true;
  }

  /** Segments whose files the next start removes. */
  #doomed(): readonly RaftIndex[] {
    return orIfCorrupt(() => this.#catalog.pendingRemovals(), []);
  }

  #planRows({ findings }: VerifyReport): void {
    const found = findings.find(({ file }) => isRowsFile(file));
    if (found !== undefined) this.#plan("build-rows", found.file);
  }

  #convert(): void {
    const id = orIfCorrupt(() => this.#catalog.directoryId(), undefined);
    if (id !== undefined) orIfCorrupt(() => convertInlineRows(this.#catalog, this.#files, id), undefined);
  }

  #isCatalogLost({ findings }: VerifyReport): boolean {
    const { whole } = this.#place.store;
    return findings.some(({ file, kind }) => {
      if (kind === "catalog") return file === "meta";
      // A segment that is not listed, while the stable store has lost keys, is one whose key was lost.
      return kind === "no-catalog" || (!whole && kind === "not-in-the-catalog");
    });
  }

  #newIdentity(lostCatalog: boolean): NewIdentity | undefined {
    const current = lostCatalog ? undefined : orIfCorrupt(() => this.#catalog.directoryId(), undefined);
    const { identity } = this.#options;
    return current === undefined || identity?.needed(current) === true ? identity : undefined;
  }

  /**
   * Returns the longest prefix of the log that is sound.
   * @throws Fault "failed-precondition" if it holds named logs, and what they were before it is lost
   */
  #keep(metas: readonly SegmentMeta[], lostCatalog: boolean): KeptSegment[] {
    const kept: KeptSegment[] = [];
    let end = metas[0]?.before;
    const { state, isWhole } = this.#stateBefore(metas[0], lostCatalog);
    const settling = lostCatalog ? undefined : orIfCorrupt(() => this.#catalog.settling(), undefined);
    for (const meta of metas) {
      if (end === undefined || meta.before.crc !== end.crc || meta.before.index !== end.index) break;
      const path = currentPath(this.#place.disk, settling, meta, this.#files.storePath(firstOf(meta)));
      if (!this.#place.disk.exists(path)) break;
      const store = this.#place.disk.open(path, "read");
      const index = new ActiveIndex(baseOf(meta));
      const logs = new ActiveLogIndex();
      const fileBytes = store.size();
      const before = { ...meta.before, term: end.term, timestampMs: end.timestampMs };
      const checkpoint = state.checkpointAt(end.index);
      const settled = { frames: 0, bytes: 0 };
      const scan = scanStore(store, fileBytes, before, (bytes, at, position, last) => {
        if (!isWhole && frameLogId(bytes, at) !== 0) throw rowsAreLost(this.#place.directory);
        const flaw = state.stage(bytes, at) ?? enterFrame(index, bytes, at, position, last);
        if (flaw !== undefined) return flaw;
        enterNamed(logs, index.length - 1, bytes, at, (id, index) => state.logs.lastBatch(id, index));
        countSettled(settled, bytes, at);
        if (index.length % commitEvery === 0) this.#commitTo(state, linkOfFrame(bytes, at));
        return undefined;
      });
      const { seal } = meta;
      // Zeros behind the last frame are no damage: opening cuts them off.
      const hasFlaw =
        scan.flaw !== undefined && (seal !== undefined || !isZeroTail(store, scan.position, fileBytes));
      store.close();
      this.#commitTo(state, scan.end);
      const built = { index, logs, checkpoint, settled };
      kept.push({ meta: { ...meta, before: end }, ...built, end: scan.end, bytes: scan.position });
      // The level that says so may be cut off.
      const hasSettled = kept.some((one) => one.settled.frames > 0);
      this.#level = Math.max(state.logs.level, hasSettled ? settledLevel : 0);
      end = scan.end;
      if (hasFlaw) {
        this.#plan("cut", storeName(firstOf(meta)), scan.position, fileBytes - scan.position);
      }
      const short = seal !== undefined && scan.position < seal.storeBytes;
      // Bytes after the end of a sealed store were never part of the log; the next segment still follows.
      const complete = scan.position === seal?.storeBytes && scan.end.crc === seal.lastCrc;
      if ((hasFlaw && !complete) || short) break;
    }
    return kept;
  }

  #commitTo(state: LogState, { index, crc }: Pick<ChainEnd, "index" | "crc">): void {
    state.commitTo(index);
    this.#held?.keep({ index, crc, head: state.logs.head });
  }

  /** The state before the first segment. It is whole unless the log begins later and its checkpoint is lost. */
  #stateBefore(
    meta: SegmentMeta | undefined,
    lostCatalog: boolean,
  ): { readonly state: LogState; readonly isWhole: boolean } {
    const { before = chainStart } = meta ?? {};
    const first = before.index + 1;
    const stored = () =>
      meta === undefined ? this.#catalog.start().checkpoint : this.#catalog.checkpoint(first);
    const found = lostCatalog ? undefined : orIfCorrupt(stored, undefined);
    const held = heldIn(this.#scratch);
    const readRows = (): CommittedRows => rowsAtStart(this.#catalog, this.#files, meta, held);
    const rows = lostCatalog ? undefined : orIfCorrupt(readRows, undefined);
    if (rows !== undefined) this.#base = this.#catalog.rowFiles().base;
    else if ((found?.logs?.size ?? 0) > 0) throw rowsAreLost(this.#place.directory);
    const state = LogState.from(found ?? LogState.blank(before.index, before.nextOffset), rows);
    this.#keptLogs = state.logs;
    this.#level = state.logs.level;
    this.#held = held;
    return { state, isWhole: found !== undefined || first === 1 };
  }

  /** Plans which stores are set aside, and which index files are rebuilt. */
  #planFiles(
    report: VerifyReport,
    kept: readonly KeptSegment[],
    lostCatalog: boolean,
    doomed: readonly RaftIndex[],
  ): void {
    const { disk } = this.#place;
    const stays = new Set([...kept.map(({ meta }) => firstOf(meta)), ...doomed]);
    for (const name of disk.list(this.#files.directory)) {
      const first = firstIndexOf(name, "store");
      if (first === undefined || stays.has(first)) continue;
      const store = disk.open(`${this.#files.directory}/${name}`, "read");
      this.#plan("set-aside", name, 0, store.size());
      store.close();
    }
    for (const { meta, bytes } of kept) {
      const logs = logsName(firstOf(meta));
      if (report.findings.some(({ file }) => file === logs)) this.#plan("build-index", logs);
      const name = indexName(firstOf(meta));
      const store = storeName(firstOf(meta));
      const shorter = bytes !== meta.seal?.storeBytes;
      const isCut = shorter && this.#actions.some(({ action, file }) => action === "cut" && file === store);
      const found = report.findings.some(({ file }) => file === name);
      if (lostCatalog || found || isCut) this.#plan("build-index", name);
    }
  }

  /** The records of named logs that exist now and are not in the log afterwards. */
  #lostLogs(
    metas: readonly SegmentMeta[],
    kept: readonly KeptSegment[],
    { logs }: VerifyReport,
  ): Pick<RepairPlan, "lostLogs" | "moreLostLogs"> {
    const ends: KnownEnds = new Map();
    const stays = new Map(kept.map((segment) => [firstOf(segment.meta), segment]));
    for (const meta of metas) {
      const segment = stays.get(firstOf(meta));
      const isCut = this.#actions.some(
        ({ action, file }) => action === "cut" && file === storeName(firstOf(meta)),
      );
      if (segment === undefined || isCut) addKnownEnds(ends, this.#files, meta);
    }
    return lossesOf(logs, ends, this.#keptLogs?.rows() ?? []);
  }

  #plan(action: RepairAction["action"], file: string, position = 0, bytes = 0): void {
    this.#actions.push({ action, file, position, bytes });
  }
}

/** True if every segment stays with all its bytes. */
const areWhole = (metas: readonly SegmentMeta[], kept: readonly KeptSegment[]): boolean =>
  kept.length === metas.length &&
  kept.every(({ meta, bytes }) => meta.seal === undefined || meta.seal.storeBytes === bytes);

const rowsAreLost = (directory: string): Fault =>
  new Fault("failed-precondition", {
    message:
      `which named logs there were before the first segment in ${directory} is lost, and no database tells it. ` +
      "Nothing was changed. Restore a backup, or remove the directory and let the node join the cluster again",
    facts: { reason: "ROWS_LOST" },
  });
