/** What records that were removed still hold of the disk of a node. */

/** Bytes that are attributed to a log. */
export interface LogSpace {
  readonly name: string;
  readonly bytes: number;
}

/** The sealed files of the log, as the last count found them. The file that is being written is not counted. */
export interface SpaceUse {
  /** Bytes of these files. */
  readonly bytes: number;
  /** Those of records that nothing can read any more, and of what settling left of them. */
  readonly removedBytes: number;
  /** Those of deleted logs. */
  readonly deletedBytes: number;
  /** About how much settling would give back. */
  readonly reclaimableBytes: number;
  /** The logs with the most bytes of removed records, the largest first. */
  readonly removed: readonly LogSpace[];
  /**
   * Without settling, files are removed from the oldest one on, so a log keeps all files from its oldest record on. These logs keep
   * the most: the bytes of removed records in these files, of whatever log. The largest first.
   */
  readonly keeping: readonly LogSpace[];
  /** Time since the count, in ms. */
  readonly ageMs: number;
}
