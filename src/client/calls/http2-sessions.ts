/**
 * The HTTP/2 connections of connect-node, with three additions: a connect timeout, a receive window for the whole
 * connection (the default of 64 KiB limits a tail to 64 KiB per round trip), and error listeners that stay on a
 * connection that the manager has given up (an error without a listener ends the process).
 */
import type { ClientHttp2Session, ClientHttp2Stream, SecureClientSessionOptions } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { systemClock } from "../../lib/time/clock.ts";
import type { SessionSettings } from "../http2-settings.ts";

/** The bytes that a node may send before they are read: on one stream, and on all streams of a connection. */
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
    listenForErrors(this);
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

  /** Starts one timer for each attempt to connect, however many calls wait for it. */
  #limitConnecting(): void {
    if (this.#isTimed || this.state() !== "connecting") return;
    this.#isTimed = true;
    const timer = systemClock.after(this.#connectMs, () => {
      if (this.state() === "connecting") this.abort(connectTimeout(this.authority, this.#connectMs));
    });
    void this.connect().then(() => {
      timer.cancel();
      this.#isTimed = false;
    });
  }
}

/** What is known of the manager's states here. `conn` is a promise while it connects. */
interface ManagerState {
  readonly t: string;
  readonly conn?: unknown;
  onExitState?: () => void;
}

/**
 * The manager removes its listeners from a connection that it gives up or replaces, even if that connection can still end
 * with an error. It keeps the current connection in its private field `s` and offers no other access. So this function
 * watches that field: an open connection gets a listener that stays, and a connection that is being established keeps the
 * manager's own.
 */
function listenForErrors(manager: Http2SessionManager): void {
  let state: unknown = Reflect.get(manager, "s");
  Object.defineProperty(manager, "s", {
    get: () => state,
    set(next: ManagerState) {
      state = next;
      if (next.t === "ready") (next.conn as ClientHttp2Session | undefined)?.on("error", () => {});
      if (next.t === "connecting") next.onExitState = () => {};
    },
  });
}

/** The error that Node.js gives for a system call `connect` that timed out. Nothing was sent. */
function connectTimeout(authority: string, connectMs: number): ConnectError {
  const message = `no connection to ${authority} within ${connectMs} ms`;
  const cause = Object.assign(new Error(message), { code: "ETIMEDOUT", syscall: "connect" });
  return new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
}
