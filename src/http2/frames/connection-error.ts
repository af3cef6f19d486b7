/**
 * Why a connection cannot go on (RFC 9113 §5.4.1): the peer is told by GOAWAY, with the message as debug data.
 */
export class ConnectionError extends Error {
  /** Of RFC 9113 §7. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
