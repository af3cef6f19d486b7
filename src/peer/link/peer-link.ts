/**
 * The links to one member: two lanes, so that a heartbeat never stands behind records.
 *
 *   control   votes, heartbeats, acknowledgements, reads, questions
 *   bulk      appends, snapshots, forwarded records
 *
 * Raft's messages that find no room, or no connection, are dropped and Raft is told, once a turn: it probes then.
 *
 * Never: keeps a message for later, when there is no connection in the making.
 */
import { Fault } from "../../fault.ts";
import type { Message } from "../../raft/mod.ts";
import { type PeerClocks, type Position, pack, unpackChecked } from "../../replication/mod.ts";
import type { Appended, AppendOptions, Offset, RecordRun } from "../../types.ts";
import type { QueueBounds } from "../connection/send-queue.ts";
import type { PeerHello } from "../handshake/handshake.ts";
import { encodeMessage } from "../wire/message-codec.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "../wire/peer-frame.ts";
import {
  appendRequest,
  type PeerRequest,
  trimRequest,
  unpackAppended,
  unpackOffset,
} from "../wire/request-codec.ts";
import { type Callee, type DialOptions, PeerChannel } from "./channel.ts";
import { Requester } from "./requester.ts";

/** What Raft is to know of the links. */
export interface LinkEvents {
  /** Appends to it may have been lost. */
  unreachable(): void;
  /** Its process is gone: nothing listens where it was. */
  gone(): void;
  snapshot(delivered: boolean): void;
  opened(lane: ChannelName, hello: PeerHello): void;
  lost(lane: ChannelName, fault: Fault, wasOpen: boolean): void;
  /** It refuses this node's claim to its directory. */
  disowned(fault: Fault): void;
  dropped(lane: ChannelName): void;
  /** A message is larger than peers take. */
  unsendable(fault: Fault): void;
}

export type ChannelName = "control" | "bulk";

export interface LinkOptions extends DialOptions {
  readonly callee: Callee;
  readonly clocks: PeerClocks;
  /** How far this node has promised to have the log: sent with every ping. */
  readonly promised?: () => Position;
  readonly events: LinkEvents;
  readonly control: QueueBounds;
  readonly bulk: QueueBounds;
  readonly requestsMax: number;
  /** Ticks without a byte moved after which a lane is taken to be dead. */
  readonly silentTicksMax: number;
}

/** A question larger than this is not put before heartbeats. */
const smallBytesMax = 16 * 1024;

interface Side {
  readonly kind: ChannelName;
  readonly lane: PeerChannel;
  readonly requester: Requester;
  silentTicks: number;
  /** The last ping that is unanswered. */
  ping: { readonly id: number; readonly atMs: number } | undefined;
}

export class PeerLink {
  readonly callee: Callee;
  readonly #options: LinkOptions;
  readonly #control: Side;
  readonly #bulk: Side;
  #hello: PeerHello | undefined;
  #heardMs: number | undefined;
  #refused: Fault | undefined;
  #unreachable = false;
  #pings = 0;
  /** Pongs so far. The second one from now on answers a ping that was sent after now. */
  signs = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.callee = options.callee;
    this.#control = this.#side("control", options.control);
    this.#bulk = this.#side("bulk", options.bulk);
  }

  /** Are both lanes open? */
  get connected(): boolean {
    return this.#control.lane.open && this.#bulk.lane.open;
  }

  get hello(): PeerHello | undefined {
    return this.#hello;
  }

  /** When it was last heard of, by the clock that does not go back. */
  get heardMs(): number | undefined {
    return this.#heardMs;
  }

  /** Why there is no link, when that is not the network's fault. */
  get refused(): string | undefined {
    return this.#refused?.message;
  }

  /** The reason of that in one word, such as `other-cluster`. */
  get refusedFor(): string | undefined {
    return this.#refused?.facts.reason;
  }

  queuedBytes(kind: ChannelName): number {
    return (kind === "control" ? this.#control : this.#bulk).lane.queuedBytes;
  }

  send(message: Message): void {
    const isSnapshot = message.type === "snapshot";
    const { lane, kind } = isSnapshot || message.type === "append" ? this.#bulk : this.#control;
    const { events } = this.#options;
    if (!lane.reachable) {
      this.#notSent(kind, isSnapshot);
      return;
    }
    const frame = this.#encoded(message);
    if (frame === undefined) {
      this.#notSent(kind, isSnapshot);
      return;
    }
    const item = isSnapshot
      ? { ...frame, written: () => events.snapshot(true), dropped: () => events.snapshot(false) }
      : frame;
    if (!lane.send(item)) this.#notSent(kind, isSnapshot);
  }

  async append(
    run: RecordRun,
    options: AppendOptions,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<Appended> {
    const question = appendRequest(run, options);
    return unpackAppended(await this.#bulk.requester.ask(question, deadlineMs, signal));
  }

  async trim(
    before: Offset,
    options: AppendOptions,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<Offset> {
    const question = trimRequest(before, options);
    return unpackOffset(await this.#control.requester.ask(question, deadlineMs, signal));
  }

  /** What is large goes with what is large. Rejects with "unavailable" at once when the lane is not open. */
  ask(question: PeerRequest, deadlineMs: number): Promise<unknown> {
    const bytes = question.body.reduce((sum, piece) => sum + piece.length, 0);
    const { requester } = bytes > smallBytesMax ? this.#bulk : this.#control;
    return requester.ask(question, deadlineMs);
  }

  get canAsk(): boolean {
    return this.connected;
  }

  /** It was heard of by other means: it is there. */
  hurry(): void {
    this.#control.lane.hurry();
    this.#bulk.lane.hurry();
  }

  /** Once a second: asks for a sign of life, and ends a lane on which nothing moves any more. */
  tick(): void {
    for (const side of [this.#control, this.#bulk]) {
      if (!side.lane.open) continue;
      side.silentTicks = side.lane.takeMoved() ? 0 : side.silentTicks + 1;
      if (side.silentTicks >= this.#options.silentTicksMax) {
        side.lane.drop(new Fault("unavailable", { message: "the peer is silent" }));
      } else if (side.ping === undefined) this.#ping(side);
    }
  }

  /** Ends both connections; others are tried. */
  drop(fault: Fault): void {
    this.#control.lane.drop(fault);
    this.#bulk.lane.drop(fault);
  }

  close(): void {
    this.#control.lane.close();
    this.#bulk.lane.close();
  }

  /** Undefined, and told, for what is larger than peers take: this is called in Raft's own turn. */
  #encoded(message: Message): EncodedPeerFrame | undefined {
    try {
      return encodeMessage(message);
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.#options.events.unsendable(reason);
      return undefined;
    }
  }

  #side(kind: ChannelName, bounds: QueueBounds): Side {
    const { clock, requestsMax } = this.#options;
    const lane: PeerChannel = new PeerChannel({
      ...this.#options,
      lane: kind,
      bounds,
      onFrame: (frame) => this.#received(side, frame),
      onOpen: (hello) => this.#opened(side, hello),
      onLost: (fault, wasOpen) => this.#lost(side, fault, wasOpen),
    });
    const requester = new Requester({
      clock,
      requestsMax,
      reachable: () => lane.reachable,
      send: (item) => lane.send(item),
    });
    const side: Side = { kind, lane, requester, silentTicks: 0, ping: undefined };
    return side;
  }

  #received(side: Side, frame: PeerFrame): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    if (frame.kind === "answer") side.requester.answered(frame);
    else if (frame.kind === "pong") this.#pong(side, frame);
    else throw malformed("unexpected");
  }

  #ping(side: Side): void {
    const ping = { id: ++this.#pings, atMs: this.#options.clock.monotonicMs() };
    const { term = 0, index = 0 } = this.#options.promised?.() ?? {};
    if (side.lane.send(encodePeerFrame("ping", pack([ping.id, term, index])))) side.ping = ping;
  }

  #pong(side: Side, { head }: PeerFrame): void {
    const { value } = unpackChecked(head);
    const [id, wallMs, steady, fresh] = Array.isArray(value) ? (value as unknown[]) : [];
    if (typeof wallMs !== "number" || !Number.isFinite(wallMs)) throw malformed("head");
    const { ping } = side;
    if (ping === undefined || ping.id !== id) return;
    side.ping = undefined;
    this.signs++;
    // Behind records an answer is late, and says little.
    if (side !== this.#control) return;
    const { clock, clocks } = this.#options;
    // Nodes of earlier versions report neither.
    const says = { saysSteady: steady !== false, saysFresh: fresh === true };
    clocks.heard(this.callee.name, wallMs, ping.atMs, clock.monotonicMs(), says);
  }

  #opened(side: Side, hello: PeerHello): void {
    side.silentTicks = 0;
    side.ping = undefined;
    this.#hello = hello;
    this.#refused = undefined;
    this.#heardMs = this.#options.clock.monotonicMs();
    // At once: the clocks are compared before this node can be elected over the link.
    if (side === this.#control) this.#ping(side);
    this.#options.events.opened(side.kind, hello);
  }

  #lost(side: Side, fault: Fault, wasOpen: boolean): void {
    const { events } = this.#options;
    side.requester.lost(fault);
    if (fault.kind !== "unavailable") this.#refused = fault;
    else if (fault.facts.code === "ECONNREFUSED") this.#refused = undefined; // Nobody is there to refuse now.
    if (isDisowning(fault)) events.disowned(fault);
    events.lost(side.kind, fault, wasOpen);
    if (fault.facts.code === "ECONNREFUSED") events.gone();
    // Also when it never opened: something may have waited for that.
    else this.#tellUnreachable();
  }

  #notSent(kind: ChannelName, isSnapshot: boolean): void {
    const { events, clock } = this.#options;
    events.dropped(kind);
    // Not from within Raft's own turn.
    if (isSnapshot) clock.soon(() => events.snapshot(false));
    else if (kind === "bulk") this.#tellUnreachable();
  }

  #tellUnreachable(): void {
    if (this.#unreachable) return;
    this.#unreachable = true;
    this.#options.clock.soon(() => {
      this.#unreachable = false;
      this.#options.events.unreachable();
    });
  }
}

function isDisowning({ facts }: Fault): boolean {
  return facts.refusedByPeer === true && (facts.reason === "rolled-back" || facts.reason === "copy");
}
