/**
 * A connection that a peer opened: first the handshake, then its frames. Raft messages are passed on, requests and pings
 * are answered on the same connection. Nothing else is sent.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Message, PeerId } from "../../raft/mod.ts";
import { type ClockReading, isCount, type Position, pack, unpackChecked } from "../../replication/mod.ts";
import { PeerConnection } from "../connection/peer-connection.ts";
import type { SendQueueLimits } from "../connection/send-queue.ts";
import { decodeIntroduction, encodeRefusal } from "../handshake/handshake-codec.ts";
import { type Introduction, peerIdOfHello } from "../handshake/introduction.ts";
import { type Refusal, refusalFault } from "../handshake/refusal.ts";
import { checkSnapshot, decodeMessage } from "../wire/message-codec.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "../wire/peer-frame.ts";
import { decodeRequest } from "../wire/request-codec.ts";
import type { RequestServer } from "./request-server.ts";

export interface IncomingConnectionOptions {
  readonly socket: Duplex;
  readonly clock: Clock;
  readonly queue: SendQueueLimits;
  /** Milliseconds until a connection without an introduction is closed. */
  readonly handshakeMs: number;
  /** See LogTime. */
  readonly reading: () => ClockReading;
  /** Returns why the caller is refused, or undefined. */
  check(introduction: Introduction): Refusal | undefined;
  /** Encodes this node's introduction for an accepted caller. */
  welcome(introduction: Introduction): EncodedPeerFrame;
  /** Called after the welcome. Returns the server for the caller's requests. */
  onAccepted(connection: IncomingConnection, introduction: Introduction): RequestServer;
  onMessage(connection: IncomingConnection, message: Message): void;
  /** Called for each ping, with the position up to which the caller has promised to have the log. */
  onPing(connection: IncomingConnection, promised: Position): void;
  onClosed(connection: IncomingConnection, fault: Fault): void;
}

/** Milliseconds for a refusal to be written before the socket is destroyed. */
const refusalMs = 1_000;

/** Other work runs after this time. */
const sliceMs = 3;

export class IncomingConnection {
  readonly #options: IncomingConnectionOptions;
  readonly #connection: PeerConnection;
  readonly #timer: Timer;
  #caller: Introduction | undefined;
  #accepted: Introduction | undefined;
  #peer: PeerId | undefined;
  #server: RequestServer | undefined;
  #silentTicks = 0;
  #pings = 0;
  /** The rows of a snapshot are being checked. */
  #checksRows = false;

  constructor(options: IncomingConnectionOptions) {
    this.#options = options;
    const { socket, clock, queue, handshakeMs } = options;
    this.#connection = new PeerConnection({
      socket,
      queue,
      clock,
      onFrame: (frame) => this.#received(frame),
      onClosed: (fault) => {
        this.#timer.cancel();
        this.#server?.close();
        options.onClosed(this, fault);
      },
    });
    this.#timer = clock.after(handshakeMs, () =>
      this.close(new Fault("unavailable", { message: "the caller sent no introduction in time" })),
    );
  }

  /** The introduction of the caller, also if it was refused. */
  get caller(): Introduction | undefined {
    return this.#caller;
  }

  /** The introduction of the caller, once it is accepted. */
  get accepted(): Introduction | undefined {
    return this.#accepted;
  }

  /** The Raft id of the caller, once it is accepted on a channel. Its messages must have this sender. */
  get peer(): PeerId | undefined {
    return this.#peer;
  }

  /** Number of pings received. The second one from now on was sent after now, because a ping follows the last pong. */
  get roundTrips(): number {
    return this.#pings;
  }

  /** Called once a second. Ends the connection after `silentTicksMax` calls without activity. */
  tick(silentTicksMax: number): void {
    this.#silentTicks = this.#connection.takeActivity() ? 0 : this.#silentTicks + 1;
    if (this.#silentTicks >= silentTicksMax) {
      this.close(new Fault("unavailable", { message: "the caller is silent" }));
    }
  }

  /** Sends a response. A caller that does not read its responses is disconnected, which limits the memory it uses. */
  respond(frame: EncodedPeerFrame): void {
    if (!this.#connection.send(frame)) {
      this.close(new Fault("overloaded", { message: "the caller does not read its responses" }));
    }
  }

  close(fault: Fault): void {
    this.#connection.close(fault);
  }

  #refuse(refusal: Refusal): void {
    this.#connection.closeAfter(encodeRefusal(refusal), refusalFault(refusal));
    this.#options.clock.after(refusalMs, () => this.#connection.destroy());
  }

  #received(frame: PeerFrame): void {
    const accepted = this.#accepted;
    if (accepted === undefined) this.#receiveIntroduction(frame);
    else if (frame.kind === "request") this.#server?.take(decodeRequest(frame));
    else if (frame.kind === "ping") this.#receivePing(frame);
    else if (carriesMessage(accepted, frame.kind)) this.#receiveMessage(frame);
    else throw malformed("unexpected");
  }

  #receiveMessage(frame: PeerFrame): void {
    const message = decodeMessage(frame);
    if (message.snapshot === undefined) this.#options.onMessage(this, message);
    // One at a time: the leader sends another one if it is needed.
    else if (!this.#checksRows) this.#checkRows(message, checkSnapshot(message.snapshot));
  }

  /** Checks the producers and rows of a snapshot, of which there can be many, and lets other work run in between. */
  #checkRows(message: Message, steps: Iterator<void>): void {
    const { clock, onMessage } = this.#options;
    const untilMs = clock.monotonicMs() + sliceMs;
    this.#checksRows = true;
    try {
      while (steps.next().done !== true) {
        if (clock.monotonicMs() < untilMs) continue;
        clock.soon(() => this.#checkRows(message, steps));
        return;
      }
    } catch (reason) {
      this.close(Fault.from(reason));
      return;
    }
    this.#checksRows = false;
    onMessage(this, message);
  }

  #receiveIntroduction(frame: PeerFrame): void {
    if (frame.kind !== "hello") throw malformed("unexpected");
    const { check, welcome, onAccepted } = this.#options;
    const introduction = decodeIntroduction(frame);
    this.#caller = introduction;
    const refusal = check(introduction);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return;
    }
    this.#timer.cancel();
    this.#accepted = introduction;
    if (introduction.purpose !== "probe") this.#peer = peerIdOfHello(introduction.hello);
    this.#connection.sendFirst(welcome(introduction));
    this.#server = onAccepted(this, introduction);
    this.#connection.completeHandshake();
  }

  #receivePing({ head }: PeerFrame): void {
    const { value } = unpackChecked(head);
    // Nodes of earlier versions send no term of the entry, or no position.
    const [id, term = 0, index = 0, entryTerm = 0] = Array.isArray(value) ? (value as unknown[]) : [];
    const isPosition = isCount(term) && isCount(index) && isCount(entryTerm);
    if (typeof id !== "number" || !isPosition) throw malformed("head");
    this.#pings++;
    this.#options.onPing(this, { term, index, ...(entryTerm === 0 ? {} : { entryTerm }) });
    this.respond(encodePeerFrame("pong", pack([id, ...this.#options.reading()])));
  }
}

const carriesMessage = ({ purpose }: Introduction, kind: PeerFrame["kind"]): boolean =>
  purpose === "control"
    ? kind === "message"
    : purpose === "bulk" && (kind === "append" || kind === "snapshot");
