/** What a create states about a named log: its settings, and where it was forked. */

/** The settings of a named log. An absent one has the value of the cluster at the time of a decision. */
export interface NamedLogSettings {
  /** The oldest records beyond this many bytes are deleted. */
  readonly retentionBytes?: number;
  /** Records that are older are deleted. */
  readonly retentionAgeMs?: number;
  /** Appends after which the log would hold more bytes are refused. Counts frames: records and the heads of their batches. */
  readonly maxBytes?: number;
  /** The log is deleted this long after its last append. */
  readonly ttlMs?: number;
  /** The log is deleted at this time, in milliseconds since 1970. */
  readonly expiresAtMs?: number;
  /** Larger records are refused. */
  readonly recordBytesMax?: number;
  /** The media type of its records. */
  readonly contentType?: string;
}

/** What a log shows of the log that it was forked from: the records before `next`, in place of records of its own. */
export interface LogFork {
  /** The id of that log. */
  readonly source: number;
  readonly next: number;
  /** Of the last of them, only so many bytes of its value. Default: all. */
  readonly cut?: number;
}
