/**
 * One lane to one member: dials, introduces itself, and dials again for as long as it is wanted.
 *
 *   waiting ── time, or the peer was heard of ──► dialling ── welcome ──► open
 *      ▲                                              │ refused, reset, silent │ lost
 *      └──────────────────────────────────────────────┴────────────────────────┘
 *
 * What is sent while dialling waits for the welcome. What is sent while waiting is not taken.
 *
 * Never: gives up, says of a reset that the peer is gone (a refused connection says so).
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { PeerConnection } from "../connection/peer-connection.ts";
import type { Outgoing, QueueBounds } from "../connection/send-queue.ts";
import {
  type ConnectionPurpose,
  checkResponder,
  decodeIntroduction,
  decodeRefusal,
  encodeIntroduction,
  type PeerHello,
  type Refusal,
  refusalFault,
  refusedByPeer,
} from "../handshake/handshake.ts";
import type { EncodedPeerFrame, PeerFrame } from "../wire/peer-frame.ts";
import { malformed } from "../wire/peer-frame.ts";
import { Backoff } from "./backoff.ts";

/** Who is called. */
export interface Callee {
  readonly name: string;
  readonly directory: string;
  readonly address: string;
}

export interface DialOptions {
  readonly clock: Clock;
  readonly random: Prng;
  readonly self: () => PeerHello;
  readonly dial: (address: string, name: string | undefined) => Duplex;
  readonly handshakeMs: number;
  /** See HandshakeContext. */
  readonly claimed?: (hello: PeerHello) => Refusal | undefined;
}

export interface ChannelOptions extends DialOptions {
  readonly lane: Exclude<ConnectionPurpose, "visit">;
  readonly callee: Callee;
  readonly bounds: QueueBounds;
  /** What comes once it is open. May throw Fault "bad-request". */
  onFrame(frame: PeerFrame): void;
  onOpen(hello: PeerHello): void;
  /** An attempt failed, or an open lane was lost. What was queued is dropped already. */
  onLost(fault: Fault, wasOpen: boolean): void;
}

/** At least so far apart are attempts, however often the peer is heard of. */
const hurryMs = 100;

export class PeerChannel {
  readonly #options: ChannelOptions;
  readonly #backoff: Backoff;
  #connection: PeerConnection | undefined;
  #timer: Timer | undefined;
  #openedMs: number | undefined;
  #dialledMs = Number.NEGATIVE_INFINITY;
  /** While waiting: when it is dialled. */
  #dueMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#wait(this.#backoff.next());
  }

  get open(): boolean {
    return this.#openedMs !== undefined;
  }

  /** Is there a connection, or one in the making? */
  get reachable(): boolean {
    return this.#connection !== undefined;
  }

  get queuedBytes(): number {
    return this.#connection?.queuedBytes ?? 0;
  }

  /** Has the connection moved a byte since this was last asked? True where there is none. */
  takeMoved(): boolean {
    return this.#connection?.takeMoved() ?? true;
  }

  /** False when there is no connection or no room: nothing was queued. */
  send(item: Outgoing): boolean {
    return this.#connection?.send(item) ?? false;
  }

  /** Ahead of everything that waits; nothing while it is not open. */
  sendUrgently(frame: EncodedPeerFrame): void {
    if (this.open) this.#connection?.sendUrgently(frame);
  }

  /** The peer was heard of: it is there, so do not wait for long. */
  hurry(): void {
    if (this.#connection !== undefined || this.#closed) return;
    const now = this.#options.clock.monotonicMs();
    const soonMs = Math.max(now, this.#dialledMs + hurryMs);
    if (soonMs < this.#dueMs) this.#wait(soonMs - now);
  }

  /** Ends this connection; another is tried. */
  drop(fault: Fault): void {
    this.#connection?.close(fault);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.drop(new Fault("unavailable", { message: "this node has closed its links" }));
  }

  #wait(delayMs: number): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#dueMs = clock.monotonicMs() + delayMs;
    this.#timer = clock.after(delayMs, () => this.#dial());
  }

  #dial(): void {
    if (this.#closed) return;
    const { clock, callee, dial, bounds, lane, self, handshakeMs } = this.#options;
    this.#dialledMs = clock.monotonicMs();
    let socket: Duplex;
    try {
      socket = dial(callee.address, callee.name);
    } catch (cause) {
      // An address that is none, or a certificate that cannot be used just now.
      this.#lost(new Fault("unavailable", { message: `${callee.address} cannot be dialled`, cause }));
      return;
    }
    const connection = new PeerConnection({
      socket,
      bounds,
      onFrame: (frame) => this.#received(connection, frame),
      onClosed: (fault) => this.#lost(fault),
    });
    this.#connection = connection;
    connection.sendUrgently(encodeIntroduction("hello", lane, self()));
    this.#timer = clock.after(handshakeMs, () =>
      connection.close(new Fault("unavailable", { message: "the peer did not answer the handshake" })),
    );
  }

  #received(connection: PeerConnection, frame: PeerFrame): void {
    if (this.open) {
      this.#options.onFrame(frame);
      return;
    }
    if (frame.kind === "refusal") {
      connection.close(refusedByPeer(decodeRefusal(frame)));
      return;
    }
    if (frame.kind !== "welcome") throw malformed("unexpected");
    const { clock, self, callee, onOpen, claimed } = this.#options;
    const introduction = decodeIntroduction(frame);
    const refusal = checkResponder(introduction, self(), callee, claimed);
    if (refusal !== undefined) {
      connection.close(refusalFault(refusal));
      return;
    }
    this.#timer?.cancel();
    this.#openedMs = clock.monotonicMs();
    onOpen(introduction.hello);
    connection.release();
  }

  #lost(fault: Fault): void {
    const { clock, onLost } = this.#options;
    const opened = this.#openedMs;
    this.#timer?.cancel();
    this.#connection = undefined;
    this.#openedMs = undefined;
    if (opened !== undefined) this.#backoff.lost(clock.monotonicMs() - opened);
    this.#wait(this.#backoff.next());
    onLost(fault, opened !== undefined);
  }
}
