/**
 * One channel to one member: dials it, and dials again until the channel is closed.
 *
 *   waiting ── delay over, or retrySoon() ──► dialing ── welcome ──► open
 *      ▲                                         │ refused, reset, silent │ lost
 *      └─────────────────────────────────────────┴────────────────────────┘
 *
 * Frames that are sent while dialing are queued until the welcome. Frames that are sent while waiting are rejected.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { PeerConnection } from "../connection/peer-connection.ts";
import type { QueuedFrame, SendQueueLimits } from "../connection/send-queue.ts";
import { checkResponder } from "../handshake/handshake-check.ts";
import { decodeIntroduction, decodeRefusal, encodeIntroduction } from "../handshake/handshake-codec.ts";
import type { ChannelName, PeerHello } from "../handshake/introduction.ts";
import { type Refusal, refusalFault, refusedByPeer } from "../handshake/refusal.ts";
import { malformed, type PeerFrame } from "../wire/peer-frame.ts";
import { Backoff } from "./backoff.ts";

/** The member that a link connects to. */
export interface LinkTarget {
  readonly name: string;
  readonly directory: string;
  readonly address: string;
}

/** How connections are opened. */
export interface DialOptions {
  readonly clock: Clock;
  readonly random: Prng;
  readonly self: () => PeerHello;
  readonly dial: (address: string, name: string | undefined) => Duplex;
  /** Milliseconds until an attempt without a response fails. */
  readonly handshakeMs: number;
  /** See HandshakeContext. */
  readonly checkBoot?: (hello: PeerHello) => Refusal | undefined;
}

export interface ChannelOptions extends DialOptions {
  readonly channel: ChannelName;
  readonly target: LinkTarget;
  readonly queue: SendQueueLimits;
  /** Called for each frame after the handshake. May throw Fault "bad-request". */
  onFrame(frame: PeerFrame): void;
  onOpen(hello: PeerHello): void;
  /** An attempt failed, or an open channel was lost. Queued frames have been dropped before. */
  onLost(fault: Fault, wasOpen: boolean): void;
}

/** Minimum milliseconds between two attempts that retrySoon() causes. */
const retryMs = 100;

export class PeerChannel {
  readonly #options: ChannelOptions;
  readonly #backoff: Backoff;
  #connection: PeerConnection | undefined;
  #timer: Timer | undefined;
  #openedMs: number | undefined;
  #dialedMs = Number.NEGATIVE_INFINITY;
  /** The time of the next attempt while waiting. */
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

  /** True while the channel is open or dialing: frames are queued. */
  get reachable(): boolean {
    return this.#connection !== undefined;
  }

  get queuedBytes(): number {
    return this.#connection?.queuedBytes ?? 0;
  }

  /** Returns true if the connection has moved bytes since the last call, or if there is no connection. */
  takeActivity(): boolean {
    return this.#connection?.takeActivity() ?? true;
  }

  /** Queues a frame. Returns false, without queuing it, if there is no connection or the queue is full. */
  send(frame: QueuedFrame): boolean {
    return this.#connection?.send(frame) ?? false;
  }

  /** See PeerConnection.flush(). */
  flush(): void {
    this.#connection?.flush();
  }

  /** Shortens the wait for the next attempt, because there is a sign that the peer is running. */
  retrySoon(): void {
    if (this.#connection !== undefined || this.#closed) return;
    const now = this.#options.clock.monotonicMs();
    const soonMs = Math.max(now, this.#dialedMs + retryMs);
    if (soonMs < this.#dueMs) this.#wait(soonMs - now);
  }

  /** Ends the current connection. The peer is dialed again. */
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
    const { clock, target, dial, queue, channel, self, handshakeMs } = this.#options;
    this.#dialedMs = clock.monotonicMs();
    let socket: Duplex;
    try {
      socket = dial(target.address, target.name);
    } catch (cause) {
      // The address is invalid, or the certificate cannot be used at the moment.
      this.#lost(new Fault("unavailable", { message: `${target.address} cannot be dialed`, cause }));
      return;
    }
    const connection = new PeerConnection({
      socket,
      queue,
      clock,
      onFrame: (frame) => this.#received(connection, frame),
      onClosed: (fault) => this.#lost(fault),
    });
    this.#connection = connection;
    connection.sendFirst(encodeIntroduction("hello", channel, self()));
    this.#timer = clock.after(handshakeMs, () =>
      connection.close(
        new Fault("unavailable", { message: "the peer did not complete the handshake in time" }),
      ),
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
    const { clock, self, target, onOpen, checkBoot } = this.#options;
    const introduction = decodeIntroduction(frame);
    const refusal = checkResponder(introduction, self(), target, checkBoot);
    if (refusal !== undefined) {
      connection.close(refusalFault(refusal));
      return;
    }
    this.#timer?.cancel();
    this.#openedMs = clock.monotonicMs();
    onOpen(introduction.hello);
    connection.completeHandshake();
  }

  #lost(fault: Fault): void {
    const { clock, onLost } = this.#options;
    const openedMs = this.#openedMs;
    this.#timer?.cancel();
    this.#connection = undefined;
    this.#openedMs = undefined;
    if (openedMs !== undefined) this.#backoff.connectionLost(clock.monotonicMs() - openedMs);
    this.#wait(this.#backoff.next());
    onLost(fault, openedMs !== undefined);
  }
}
