/** A segment of the log, as Describe shows it. */
export interface SegmentDescription {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly bytes: number;
  readonly indexEntries: number;
  readonly sealed: boolean;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
}
