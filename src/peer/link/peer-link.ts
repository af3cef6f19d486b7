/**
 * The link to one member: two channels, so that a heartbeat never waits behind records.
 *
 *   control   votes, heartbeats, responses of Raft, reads, small requests
 *   bulk      appends, snapshots, forwarded records, large requests
 *
 * A Raft message is dropped if its channel has no connection or no room. Raft is informed of that once a turn, and probes
 * the member's log then.
 */
import { Fault } from "../../fault.ts";
import type { Message } from "../../raft/mod.ts";
import { type PeerClocks, type Position, pack, unpackChecked } from "../../replication/mod.ts";
import type { Appended, AppendOptions, ChangedLog, LogChange, Offset, RecordRun } from "../../types.ts";
import type { SendQueueLimits } from "../connection/send-queue.ts";
import type { ChannelName, PeerHello } from "../handshake/introduction.ts";
import { changedFromValue } from "../wire/log-change-codec.ts";
import { encodeMessage } from "../wire/message-codec.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "../wire/peer-frame.ts";
import { appendRequest, changeRequest, type PeerRequest, trimRequest } from "../wire/request-codec.ts";
import { appendedFromValue, offsetFromValue } from "../wire/response-codec.ts";
import { type DialOptions, type LinkTarget, PeerChannel } from "./channel.ts";
import { Requester } from "./requester.ts";

/** The events of a link. */
export interface LinkEvents {
  /** Appends to the member may have been lost. */
  unreachable(): void;
  /** The connection was refused: no process listens at the member's address. */
  connectionRefused(): void;
  snapshotSent(delivered: boolean): void;
  opened(channel: ChannelName): void;
  lost(channel: ChannelName, fault: Fault, wasOpen: boolean): void;
  /** The member refuses this node because of its data directory. */
  disowned(fault: Fault): void;
  messageDropped(channel: ChannelName): void;
  /** A message exceeds the limit of a frame. */
  messageTooLarge(fault: Fault): void;
}

/** Limits of each link. */
export interface LinkLimits {
  readonly control: SendQueueLimits;
  readonly bulk: SendQueueLimits;
  /** Maximum number of pending requests of one channel. */
  readonly requestsMax: number;
  /** Ticks without activity after which a channel counts as dead. */
  readonly silentTicksMax: number;
}

export interface LinkOptions extends DialOptions, LinkLimits {
  readonly target: LinkTarget;
  readonly clocks: PeerClocks;
  /** The position up to which this node has promised to have the log durably. It is sent with every ping. */
  readonly promised: () => Position;
  readonly events: LinkEvents;
}

/** A larger request uses the bulk channel. */
const smallBytesMax = 16 * 1024;

interface LinkChannel {
  readonly name: ChannelName;
  readonly channel: PeerChannel;
  readonly requester: Requester;
  silentTicks: number;
  /** The last ping, until its pong is received. */
  ping: { readonly id: number; readonly sentMs: number } | undefined;
}

export class PeerLink {
  readonly target: LinkTarget;
  readonly #options: LinkOptions;
  readonly #control: LinkChannel;
  readonly #bulk: LinkChannel;
  #hello: PeerHello | undefined;
  #receivedMs: number | undefined;
  #refusal: Fault | undefined;
  #unreachableScheduled = false;
  #lastPing = 0;
  #roundTrips = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.target = options.target;
    this.#control = this.#openChannel("control", options.control);
    this.#bulk = this.#openChannel("bulk", options.bulk);
  }

  /** Are both channels open? */
  get connected(): boolean {
    return this.#control.channel.open && this.#bulk.channel.open;
  }

  /** The introduction that the member sent last. */
  get hello(): PeerHello | undefined {
    return this.#hello;
  }

  /** When the last frame of the member was received, on the monotonic clock. */
  get receivedMs(): number | undefined {
    return this.#receivedMs;
  }

  /** Why one of the two nodes refuses the link. */
  get refused(): string | undefined {
    return this.#refusal?.message;
  }

  /** The reason of the refusal in one word, such as `other-cluster`. */
  get refusedFor(): string | undefined {
    return this.#refusal?.facts.reason;
  }

  /** Number of pongs received. The second one from now on responds to a ping that was sent after now. */
  get roundTrips(): number {
    return this.#roundTrips;
  }

  queuedBytes(name: ChannelName): number {
    return (name === "control" ? this.#control : this.#bulk).channel.queuedBytes;
  }

  /** Sends a Raft message, or drops it and reports that in `events`. */
  send(message: Message): void {
    const isSnapshot = message.type === "snapshot";
    const { channel, name } = isSnapshot || message.type === "append" ? this.#bulk : this.#control;
    const { events } = this.#options;
    const frame = channel.reachable ? this.#encode(message) : undefined;
    if (frame === undefined) {
      this.#notSent(name, isSnapshot);
      return;
    }
    const queued = isSnapshot
      ? { ...frame, written: () => events.snapshotSent(true), dropped: () => events.snapshotSent(false) }
      : { ...frame, isPatient: isCommitOnly(message) };
    if (!channel.send(queued)) this.#notSent(name, isSnapshot);
  }

  /** Hands what was sent to the sockets now. */
  flush(): void {
    this.#bulk.channel.flush();
    this.#control.channel.flush();
  }

  /** See Requester.ask() for deadline, signal and faults. */
  async append(
    run: RecordRun,
    options: AppendOptions,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<Appended> {
    const request = appendRequest(run, options);
    return appendedFromValue(await this.#bulk.requester.ask(request, deadlineMs, signal));
  }

  /** See Requester.ask() for deadline, signal and faults. */
  async trim(
    before: Offset,
    options: AppendOptions,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<Offset> {
    const request = trimRequest(before, options);
    return offsetFromValue(await this.#control.requester.ask(request, deadlineMs, signal));
  }

  /** See Requester.ask() for deadline, signal and faults. */
  async changeLog(
    change: LogChange,
    options: AppendOptions,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<ChangedLog> {
    const request = changeRequest(change, options);
    return changedFromValue(await this.#control.requester.ask(request, deadlineMs, signal));
  }

  /**
   * Sends a request over the channel for its size. `isLarge`: its response is large. See Requester.ask() for deadline and faults.
   */
  ask(request: PeerRequest, deadlineMs: number, isLarge = false): Promise<unknown> {
    const bytes = request.body.reduce((sum, piece) => sum + piece.length, 0);
    const { requester } = isLarge || bytes > smallBytesMax ? this.#bulk : this.#control;
    return requester.ask(request, deadlineMs);
  }

  /** Dials soon, because there is a sign that the member is running. */
  retrySoon(): void {
    this.#control.channel.retrySoon();
    this.#bulk.channel.retrySoon();
  }

  /** Called once a second: sends pings, and ends a channel without activity. */
  tick(): void {
    for (const side of [this.#control, this.#bulk]) {
      if (!side.channel.open) continue;
      side.silentTicks = side.channel.takeActivity() ? 0 : side.silentTicks + 1;
      if (side.silentTicks >= this.#options.silentTicksMax) {
        side.channel.drop(new Fault("unavailable", { message: "the peer is silent" }));
      } else if (side.ping === undefined) this.#sendPing(side);
    }
  }

  /** Ends both connections. The member is dialed again. */
  drop(fault: Fault): void {
    this.#control.channel.drop(fault);
    this.#bulk.channel.drop(fault);
  }

  close(): void {
    this.#control.channel.close();
    this.#bulk.channel.close();
  }

  /** Returns undefined for a message that is too large. This runs in Raft's turn, so it must not throw for that. */
  #encode(message: Message): EncodedPeerFrame | undefined {
    try {
      return encodeMessage(message);
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.#options.events.messageTooLarge(reason);
      return undefined;
    }
  }

  #openChannel(name: ChannelName, queue: SendQueueLimits): LinkChannel {
    const { clock, requestsMax } = this.#options;
    const channel: PeerChannel = new PeerChannel({
      ...this.#options,
      channel: name,
      queue,
      onFrame: (frame) => this.#received(side, frame),
      onOpen: (hello) => this.#opened(side, hello),
      onLost: (fault, wasOpen) => this.#lost(side, fault, wasOpen),
    });
    const requester = new Requester({
      clock,
      requestsMax,
      reachable: () => channel.reachable,
      send: (frame) => channel.send(frame),
    });
    const side: LinkChannel = { name, channel, requester, silentTicks: 0, ping: undefined };
    return side;
  }

  #received(side: LinkChannel, frame: PeerFrame): void {
    this.#receivedMs = this.#options.clock.monotonicMs();
    if (frame.kind === "response") side.requester.receiveResponse(frame);
    else if (frame.kind === "pong") this.#receivePong(side, frame);
    else throw malformed("unexpected");
  }

  #sendPing(side: LinkChannel): void {
    const ping = { id: ++this.#lastPing, sentMs: this.#options.clock.monotonicMs() };
    const { term, index, entryTerm = 0 } = this.#options.promised();
    const head = pack([ping.id, term, index, entryTerm]);
    if (side.channel.send(encodePeerFrame("ping", head))) side.ping = ping;
  }

  #receivePong(side: LinkChannel, { head }: PeerFrame): void {
    const { value } = unpackChecked(head);
    const [id, wallMs, steady, fresh] = Array.isArray(value) ? (value as unknown[]) : [];
    if (typeof wallMs !== "number" || !Number.isFinite(wallMs)) throw malformed("head");
    const { ping } = side;
    if (ping === undefined || ping.id !== id) return;
    side.ping = undefined;
    this.#roundTrips++;
    // A pong on the bulk channel may have waited behind records: its clock reading is not precise.
    if (side !== this.#control) return;
    const { clock, clocks } = this.#options;
    // Nodes of earlier versions send neither `steady` nor `fresh`.
    const says = { saysSteady: steady !== false, saysFresh: fresh === true };
    clocks.record(this.target.name, wallMs, ping.sentMs, clock.monotonicMs(), says);
  }

  #opened(side: LinkChannel, hello: PeerHello): void {
    side.silentTicks = 0;
    side.ping = undefined;
    this.#hello = hello;
    this.#refusal = undefined;
    this.#receivedMs = this.#options.clock.monotonicMs();
    // Immediately, so that the clocks are compared before this node can be elected over the link.
    if (side === this.#control) this.#sendPing(side);
    this.#options.events.opened(side.name);
  }

  #lost(side: LinkChannel, fault: Fault, wasOpen: boolean): void {
    const { events } = this.#options;
    const isRefusedConnection = fault.facts.code === "ECONNREFUSED";
    side.requester.connectionLost(fault);
    if (fault.kind !== "unavailable") this.#refusal = fault;
    else if (isRefusedConnection) this.#refusal = undefined;
    if (isDisowning(fault)) events.disowned(fault);
    events.lost(side.name, fault, wasOpen);
    if (isRefusedConnection) events.connectionRefused();
    // Also if the channel was not open: messages may have been queued while it was dialed.
    else this.#scheduleUnreachable();
  }

  #notSent(name: ChannelName, isSnapshot: boolean): void {
    const { events, clock } = this.#options;
    events.messageDropped(name);
    // Raft must not be called from within its own turn.
    if (isSnapshot) clock.soon(() => events.snapshotSent(false));
    else if (name === "bulk") this.#scheduleUnreachable();
  }

  #scheduleUnreachable(): void {
    if (this.#unreachableScheduled) return;
    this.#unreachableScheduled = true;
    this.#options.clock.soon(() => {
      this.#unreachableScheduled = false;
      this.#options.events.unreachable();
    });
  }
}

/** It tells the member what is committed. Clients of this node are answered first. */
const isCommitOnly = ({ type, entries }: Message): boolean => type === "append" && entries.length === 0;

function isDisowning({ facts }: Fault): boolean {
  return facts.refusedByPeer === true && (facts.reason === "rolled-back" || facts.reason === "copy");
}
