/**
 * A connection that came in: who it is, then what it brings. Raft's messages go on, questions are answered on the same
 * connection, pings get this node's wall clock.
 *
 * Never: sends anything that was not asked for.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Message, PeerId } from "../../raft/mod.ts";
import { type ClockReading, isCount, type Position, pack, unpackChecked } from "../../replication/mod.ts";
import { PeerConnection } from "../connection/peer-connection.ts";
import type { QueueBounds } from "../connection/send-queue.ts";
import {
  decodeIntroduction,
  encodeRefusal,
  type Introduction,
  peerOfHello,
  type Refusal,
  refusalFault,
} from "../handshake/handshake.ts";
import { decodeMessage } from "../wire/message-codec.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "../wire/peer-frame.ts";
import { decodeRequest } from "../wire/request-codec.ts";
import type { RequestServer } from "./request-server.ts";

export interface IncomingConnectionOptions {
  readonly socket: Duplex;
  readonly clock: Clock;
  readonly bounds: QueueBounds;
  readonly handshakeMs: number;
  /** See LogTime. */
  readonly reading: () => ClockReading;
  /** What this node says of itself, and why the caller is refused, if so. */
  judge(introduction: Introduction): Refusal | undefined;
  /** Its welcome, once it is not refused. */
  welcome(introduction: Introduction): EncodedPeerFrame;
  /** It was let in: who answers its questions. */
  opened(incoming: IncomingConnection, introduction: Introduction): RequestServer;
  message(incoming: IncomingConnection, message: Message): void;
  /** It is there, and says how far it has promised to have the log. */
  pinged(incoming: IncomingConnection, promised: Position): void;
  closed(incoming: IncomingConnection, fault: Fault): void;
}

/** How long a refusal may take to leave. */
const farewellMs = 1_000;

export class IncomingConnection {
  readonly #options: IncomingConnectionOptions;
  readonly #connection: PeerConnection;
  readonly #timer: Timer;
  #caller: Introduction | undefined;
  #introduction: Introduction | undefined;
  #peer: PeerId | undefined;
  #server: RequestServer | undefined;
  #silentTicks = 0;
  /** Pings so far. The second one from now on was sent after now: a ping waits for the pong of the one before. */
  signs = 0;

  constructor(options: IncomingConnectionOptions) {
    this.#options = options;
    const { socket, clock, bounds, handshakeMs } = options;
    this.#connection = new PeerConnection({
      socket,
      bounds,
      onFrame: (frame) => this.#received(frame),
      onClosed: (fault) => {
        this.#timer.cancel();
        this.#server?.close();
        options.closed(this, fault);
      },
    });
    this.#timer = clock.after(handshakeMs, () =>
      this.close(new Fault("unavailable", { message: "the caller said nothing" })),
    );
  }

  /** Who it is, once it was let in. */
  get introduction(): Introduction | undefined {
    return this.#introduction;
  }

  /** Its number, once it was let in on a lane of Raft's: what it sends counts as this number's. */
  get peer(): PeerId | undefined {
    return this.#peer;
  }

  /** Who it says it is, let in or not. */
  get caller(): Introduction | undefined {
    return this.#caller;
  }

  /** Once a second: ends a connection on which nothing came for so many ticks. */
  tick(silentTicksMax: number): void {
    this.#silentTicks = this.#connection.takeMoved() ? 0 : this.#silentTicks + 1;
    if (this.#silentTicks >= silentTicksMax) {
      this.close(new Fault("unavailable", { message: "the caller is silent" }));
    }
  }

  answer(frame: EncodedPeerFrame): void {
    // Whoever asks and does not read the answers is not worth the memory.
    if (!this.#connection.send(frame)) {
      this.close(new Fault("overloaded", { message: "the caller does not read its answers" }));
    }
  }

  refuse(refusal: Refusal): void {
    this.#connection.finish(encodeRefusal(refusal), refusalFault(refusal));
    this.#options.clock.after(farewellMs, () => this.#connection.destroy());
  }

  close(fault: Fault): void {
    this.#connection.close(fault);
  }

  #received(frame: PeerFrame): void {
    const introduction = this.#introduction;
    if (introduction === undefined) this.#greeted(frame);
    else if (frame.kind === "request") this.#server?.take(decodeRequest(frame));
    else if (frame.kind === "ping") this.#pong(frame);
    else if (mayCarry(introduction, frame.kind)) this.#options.message(this, decodeMessage(frame));
    else throw malformed("unexpected");
  }

  #greeted(frame: PeerFrame): void {
    if (frame.kind !== "hello") throw malformed("unexpected");
    const { judge, welcome, opened } = this.#options;
    const introduction = decodeIntroduction(frame);
    this.#caller = introduction;
    const refusal = judge(introduction);
    if (refusal !== undefined) {
      this.refuse(refusal);
      return;
    }
    this.#timer.cancel();
    this.#introduction = introduction;
    if (introduction.lane !== "visit") this.#peer = peerOfHello(introduction.hello);
    this.#connection.sendUrgently(welcome(introduction));
    this.#server = opened(this, introduction);
    this.#connection.release();
  }

  #pong({ head }: PeerFrame): void {
    const { value } = unpackChecked(head);
    const [id, term = 0, index = 0] = Array.isArray(value) ? (value as unknown[]) : [];
    if (typeof id !== "number" || !isCount(term) || !isCount(index)) throw malformed("head");
    this.signs++;
    this.#options.pinged(this, { term, index });
    this.answer(encodePeerFrame("pong", pack([id, ...this.#options.reading()])));
  }
}

const mayCarry = ({ lane }: Introduction, kind: PeerFrame["kind"]): boolean =>
  lane === "control" ? kind === "message" : lane === "bulk" && (kind === "append" || kind === "snapshot");
