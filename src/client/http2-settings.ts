/** Timeouts of the HTTP/2 connections. The types of the client library name them, so this file imports nothing. */
export interface SessionSettings {
  /** Timeout for a connection, TLS handshake included, in milliseconds. Default 5,000. */
  readonly connectMs: number;
  /** Interval of the HTTP/2 pings on a connection with open streams, in milliseconds. Default 10,000. */
  readonly pingIntervalMs: number;
  /** A connection is closed if a ping has no answer for this long, in milliseconds. Default 5,000. */
  readonly pingTimeoutMs: number;
}

export const defaultSessionSettings: SessionSettings = {
  connectMs: 5_000,
  pingIntervalMs: 10_000,
  pingTimeoutMs: 5_000,
};
