/**
 * A connection error (RFC 9113 §5.4.1). The connection sends GOAWAY with `code` and the message as debug data, and
 * ends.
 */
export class ConnectionError extends Error {
  /** An error code of RFC 9113 §7. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
