/**
 * The network of peers: framed, pipelined links to every member of the configuration, and what comes in from them.
 *
 *   Replica ⇄ PeerNetwork ⇄ two sockets to each member (control, bulk), dialled by whoever sends
 *
 * Never: opens a socket itself (the agent dials and accepts), decides who is a member.
 */
import type { Duplex } from "node:stream";
import type { Action, Identity } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Prng } from "../lib/prng.ts";
import type { Logger, Metrics } from "../lib/telemetry.ts";
import type { ConfState, Message, RaftTransport } from "../raft/mod.ts";
import type { Appended, AppendOptions, Offset, RecordRun } from "../vocabulary.ts";
import type { Replica } from "./replica.ts";
import type { Forwarder } from "./replicated-log.ts";

/** How a node introduces itself. */
export interface PeerHello {
  readonly name: string;
  /** The identity of its data directory, in hexadecimal (directoryText). */
  readonly directory: string;
  /** Undefined: it belongs to no cluster yet. Raft's messages are exchanged only between nodes of the same. */
  readonly clusterId: string | undefined;
  /** Does its directory hold a configuration? */
  readonly configured: boolean;
  /** Of the software. */
  readonly version: string;
  /** Where it is to be reached. */
  readonly address: string;
  readonly wallMs: number;
}

/** Answers what peers ask, but for appends and trims. */
export interface PeerService {
  /** A Fault that it rejects with travels back. `signal` aborts when the asker is gone or out of time. */
  ask(verb: string, body: unknown, from: PeerHello, signal: AbortSignal): Promise<unknown>;
}

/** Who wants an append or a trim done, as far as decisions need to know. */
export type ForwardedCaller = Pick<Identity, "subject" | "isPeer">;

export interface PeerNetworkOptions {
  /** Asked anew for each handshake. */
  readonly self: () => PeerHello;
  /**
   * A socket towards a peer, its marker byte or ALPN dealt with; errors arrive as its events. `name` is that of the
   * member that is expected there, when one is.
   */
  readonly dial: (address: string, name: string | undefined) => Duplex;
  readonly clock: Clock;
  readonly random: Prng;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly serve: PeerService;
  /** Decides once more here, at the leader, about what came in elsewhere. Throws the Fault that refuses it. */
  readonly authorize?: (caller: ForwardedCaller, action: Extract<Action, "produce" | "trim">) => void;
}

/** One member as this node's links see it. */
export interface PeerStatus {
  readonly name: string;
  readonly address: string;
  /** Are both links to it open? */
  readonly connected: boolean;
  /** Milliseconds since anything was heard of it; infinite when nothing was. */
  readonly silentMs: number;
  /** What it said of itself when a link was last opened. */
  readonly hello: PeerHello | undefined;
  /** How far its clock is ahead of this node's, in milliseconds, where that is known. */
  readonly clockOffMs: number | undefined;
  /** Why it, or this node, refuses the link. */
  readonly refused: string | undefined;
}

export class PeerNetwork implements RaftTransport, Forwarder, AsyncDisposable {
  constructor(options: PeerNetworkOptions) {
    void options;
  }

  /** What comes in for Raft goes there from now on, and what becomes of links is told it. Before it is started. */
  attach(replica: Replica): void {
    void replica;
  }

  /**
   * A peer's connection that came in, with or without the marker in front. `allowed` answers why this peer may not be
   * one here, if so.
   */
  accept(socket: Duplex, allowed: (hello: PeerHello) => string | undefined): void {
    void allowed;
    socket.destroy();
  }

  /** Who is there. Fault "unavailable" when nobody answers, else why not. */
  probe(address: string, options: { readonly timeoutMs?: number } = {}): Promise<PeerHello> {
    return Promise.reject(nobody(address, options));
  }

  /** Asks a node's PeerService. `deadlineMs` is a wall-clock time. */
  ask(
    address: string,
    verb: string,
    body: unknown,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<unknown> {
    void body;
    return Promise.reject(nobody(address, { verb, ...options }));
  }

  send(message: Message): void {
    void message;
  }

  members(configuration: ConfState): void {
    void configuration;
  }

  append(leader: string, run: RecordRun, options: AppendOptions): Promise<Appended> {
    void run;
    void options;
    return Promise.reject(nobody(leader, {}));
  }

  trim(leader: string, before: Offset, options: AppendOptions): Promise<Offset> {
    void before;
    void options;
    return Promise.reject(nobody(leader, {}));
  }

  /** The other members and how the links to them stand. */
  peers(): readonly PeerStatus[] {
    return [];
  }

  /** False while this node's clock is more than 10 s off those of a majority of its peers: then it must not lead. */
  get clockTrusted(): boolean {
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const nobody = (address: string, facts: object): Fault =>
  new Fault("unavailable", { message: `${address} cannot be reached`, facts: { ...facts } });
