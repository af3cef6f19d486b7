/** The types of cursors: how far a consumer of a log has got, by name. */

/** A cursor, as its row says. */
export interface CursorInfo {
  readonly name: string;
  /** The id of its log, in this life of the cluster; 0 for `default`. */
  readonly log: number;
  readonly life: number;
  /** The next offset that its consumer wants. */
  readonly offset: number;
  /** What its consumer stored with it; empty if nothing. */
  readonly metadata: string;
  /** The Raft index of its last commit. */
  readonly version: number;
  readonly createdMs: number;
  readonly committedMs: number;
  /** The subject that created it. Absent if no caller did. */
  readonly owner?: string;
}

/** A page of the cursors of a log, in the order of their names. */
export interface CursorPage {
  readonly cursors: readonly CursorInfo[];
  /** The name after which the next page begins. Undefined at the end. */
  readonly next: string | undefined;
}

/** What a commit sets. */
export interface CursorCommit {
  readonly cursor: string;
  readonly offset: number;
  /** Default: none. */
  readonly metadata?: string;
}
