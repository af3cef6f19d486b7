/**
 * HTTP/2 connections as connect-node manages them, with what it leaves out: a limit on how long connecting may take,
 * a receive window for the whole connection, which would else hold a tail to 64 KiB a round trip, and somebody who
 * listens when a connection that was given up already ends with an error, which would else end the process. A rim.
 *
 * Never: leaves a caller waiting for a host that does not answer.
 */
import type { ClientHttp2Session, ClientHttp2Stream, SecureClientSessionOptions } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { systemClock } from "../../lib/time/clock.ts";

export interface SessionSettings {
  /** How long a connection may take, TLS handshake included, milliseconds. */
  readonly connectMs: number;
  /** A connection with streams is asked for a sign of life so often; without one in pingTimeoutMs it is dead. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** A silent peer is found out within 15 s. */
export const defaultSessionSettings: SessionSettings = {
  connectMs: 5_000,
  pingIntervalMs: 10_000,
  pingTimeoutMs: 5_000,
};

/** What a node may send before it was read: of one stream, and of all streams of a connection. */
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;

export class Http2Sessions extends Http2SessionManager {
  readonly #connectMs: number;
  readonly #prepared = new WeakSet<ClientHttp2Session>();
  #isTimed = false;

  constructor(url: string, settings: SessionSettings, tls: SecureClientSessionOptions) {
    super(url, settings, {
      ...tls,
      settings: { initialWindowSize: streamWindowBytes, enablePush: false },
    });
    this.#connectMs = settings.connectMs;
    hearErrors(this);
  }

  override async request(...args: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const requested = super.request(...args);
    this.#limitConnecting();
    const stream = await requested;
    const { session } = stream;
    if (session !== undefined && !this.#prepared.has(session as ClientHttp2Session)) {
      this.#prepared.add(session as ClientHttp2Session);
      session.setLocalWindowSize(connectionWindowBytes);
    }
    return stream;
  }

  /** One timer for one attempt to connect, however many calls wait for it. */
  #limitConnecting(): void {
    if (this.#isTimed || this.state() !== "connecting") return;
    this.#isTimed = true;
    const timer = systemClock.after(this.#connectMs, () => {
      if (this.state() === "connecting") this.abort(timedOut(this.authority, this.#connectMs));
    });
    void this.connect().then(() => {
      timer.cancel();
      this.#isTimed = false;
    });
  }
}

/**
 * The manager takes its listeners off a connection that it replaces, also off one that has yet to end with an error.
 * It keeps what it holds in its field `s` and offers no way in: so whatever is put there is listened to for good.
 */
function hearErrors(manager: Http2SessionManager): void {
  let state: unknown = Reflect.get(manager, "s");
  Object.defineProperty(manager, "s", {
    get: () => state,
    set(next: { readonly t: string; readonly conn?: ClientHttp2Session }) {
      state = next;
      if (next.t === "ready") next.conn?.on("error", () => {});
    },
  });
}

/** As Node would say it, had it been asked to: nothing was sent. */
function timedOut(authority: string, connectMs: number): ConnectError {
  const message = `no connection to ${authority} within ${connectMs} ms`;
  const cause = Object.assign(new Error(message), { code: "ETIMEDOUT", syscall: "connect" });
  return new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
}
