/**
 * The index file of the last segment as it was found, and what it says about the frames of its store.
 */
import { Fault } from "../../fault.ts";
import { toHex } from "../../lib/bytes.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { RaftIndex } from "../../types.ts";
import type { Scan } from "../frame/chain.ts";
import { decodeFooter, decodeIndexHeader, indexHeaderBytes, indexVersion } from "../index/index-file.ts";
import { ActiveIndex, entryBytes } from "../index/offset-index.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";

export interface FoundIndex {
  /** Header and entries as they are in the file, without a footer. Empty if the header is missing or damaged. */
  readonly body: Uint8Array;
  readonly receipts: number;
  /** True if the file has a footer. */
  readonly sealed: boolean;
}

/** @throws Fault "foreign-directory" for an index of another directory, Fault "unsupported-version" */
export function readFoundIndex(files: SegmentFiles, first: RaftIndex, directoryId: Uint8Array): FoundIndex {
  const path = files.indexPath(first);
  if (!files.disk.exists(path)) return { body: new Uint8Array(0), receipts: 0, sealed: false };
  const file = heapMapper(files.disk)(path);
  const seal = decodeFooter(file);
  const entries = seal?.entries ?? Math.max(0, Math.floor((file.bytes - indexHeaderBytes) / entryBytes));
  const body = file.copy(0, Math.min(file.bytes, indexHeaderBytes + entryBytes * entries));
  const header = decodeIndexHeader(body);
  if (header === undefined) return { body: new Uint8Array(0), receipts: entries, sealed: false };
  if (header.version !== indexVersion) {
    throw new Fault("unsupported-version", {
      message: `${path} has version ${header.version}, this version reads ${indexVersion}`,
      facts: { file: path, found: header.version, expected: indexVersion },
    });
  }
  if (toHex(header.directoryId) !== toHex(directoryId)) {
    throw new Fault("foreign-directory", {
      message: `${path} belongs to directory ${toHex(header.directoryId)}, this is ${toHex(directoryId)}`,
      facts: { file: path },
    });
  }
  return { body, receipts: entries, sealed: seal !== undefined };
}

/** Returns true if there is a receipt for the frame that would come next: then the store has lost its end. */
export function lostItsEnd(found: FoundIndex, index: ActiveIndex, scan: Scan): boolean {
  if (found.receipts <= index.length || found.body.length === 0) return false;
  if (found.sealed) return true;
  const expected = new ActiveIndex(index.base);
  expected.append(
    scan.end.nextOffset,
    scan.position,
    scan.end.term,
    Math.max(scan.end.timestampMs, index.base.timestampMs),
  );
  const at = indexHeaderBytes + entryBytes * index.length;
  // Offset and position: term and time of the lost frame are unknown.
  return Buffer.compare(found.body.subarray(at, at + 8), expected.bytes(0, 1).subarray(0, 8)) === 0;
}

/** Returns true if the entries of the file are those of the scan, as far as both go. */
export function agrees(found: FoundIndex, index: ActiveIndex): boolean {
  if (found.body.length < indexHeaderBytes) return false;
  const entries = Math.min(found.receipts, index.length);
  const stored = found.body.subarray(indexHeaderBytes, indexHeaderBytes + entryBytes * entries);
  return Buffer.compare(stored, index.bytes(0, entries)) === 0;
}
