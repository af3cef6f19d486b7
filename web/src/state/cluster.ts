/**
 * What Watch tells: throughput, the cluster, the segments, and the story of its changes. One stream for all
 * panels; what Watch has not told yet is asked for once.
 *
 * Never: polls.
 */
import { signal } from "@preact/signals";
import type { DescribeResponse, WatchEvent } from "../../../src/gen/log/v1/log_pb.js";
import {
  type ClusterShape,
  changes,
  membershipSentence,
  type StoryEvent,
  type Tone,
  told,
} from "../core/cluster-events.ts";
import { classify, localFailure, type StreamFailure } from "../core/failure.ts";
import { rates, type Sample, withSample } from "../core/series.ts";
import { asCallError, baseOf, callsTo, ownBase } from "../rim/calls.ts";
import { nowMs } from "../rim/timing.ts";
import { Link } from "./link.ts";

export interface SegmentRow {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly bytes: number;
  readonly indexEntries: number;
  readonly sealed: boolean;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
}

export interface LogExtent {
  readonly lowest: number;
  readonly next: number;
  readonly bytes: number;
  readonly diskFreeBytes: number;
  readonly sync: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly version: string;
  readonly segments: readonly SegmentRow[];
}

export class ClusterWatch {
  readonly link: Link;
  readonly shape = signal<ClusterShape | undefined>(undefined);
  /** When `shape` was told, on this machine's clock. */
  readonly shapeAtMs = signal(0);
  readonly extent = signal<LogExtent | undefined>(undefined);
  readonly samples = signal<readonly Sample[]>([]);
  readonly tails = signal(0);
  readonly story = signal<readonly StoryEvent[]>([]);
  #eventId = 0;
  #refreshing = false;
  readonly #onEnd: (end: number) => void;
  readonly #onNodes: (bases: readonly string[]) => void;

  constructor(onEnd: (end: number) => void, onNodes: (bases: readonly string[]) => void) {
    this.#onEnd = onEnd;
    this.#onNodes = onNodes;
    this.link = new Link(ownBase(), (node, abort) => this.#read(node, abort));
  }

  start(): void {
    this.link.send({ kind: "open" });
  }

  /** The segments as they are now: Watch tells of them only when there are other ones. */
  async refresh(): Promise<void> {
    if (this.#refreshing || this.link.cursor.peek().phase !== "live") return;
    this.#refreshing = true;
    try {
      this.#setExtent(await callsTo(this.link.node).log.describe({}, { timeoutMs: 5000 }));
    } catch {
      // Watch, on the same node, says why better than a repeated refusal could.
    } finally {
      this.#refreshing = false;
    }
  }

  async #read(node: string, abort: AbortSignal): Promise<StreamFailure | undefined> {
    const { log } = callsTo(node);
    try {
      void this.#ask(node, abort);
      for await (const event of log.watch({ intervalMs: 1000 }, { signal: abort })) {
        this.link.heard();
        this.#take(event);
      }
      return localFailure("ended", "the server closed the stream");
    } catch (error) {
      return abort.aborted ? undefined : classify(asCallError(error), undefined);
    }
  }

  /** The present state, for what the stream tells only when it changes. A refusal is told by the stream itself. */
  async #ask(node: string, abort: AbortSignal): Promise<void> {
    const { log } = callsTo(node);
    const [servers, extent] = await Promise.allSettled([
      log.getServers({}, { signal: abort, timeoutMs: 5000 }),
      log.describe({}, { signal: abort, timeoutMs: 5000 }),
    ]);
    if (servers.status === "fulfilled") {
      this.#onNodes(servers.value.servers.map((server) => baseOf(server.rpcAddr)));
    }
    if (extent.status === "fulfilled") this.#setExtent(extent.value);
  }

  #take({ atMs, event }: WatchEvent): void {
    if (event.case === "throughput") {
      const told = event.value;
      const counts = {
        recordsIn: Number(told.recordsIn),
        recordsOut: Number(told.recordsOut),
        bytesIn: Number(told.bytesIn),
        bytesOut: Number(told.bytesOut),
        p50Ms: told.appendP50Ms,
        p99Ms: told.appendP99Ms,
      };
      this.samples.value = withSample(this.samples.peek(), rates(counts, told.intervalMs, nowMs()));
      this.tails.value = told.tails;
      this.#onEnd(Number(told.nextOffset));
    } else if (event.case === "cluster") {
      const value = event.value;
      const shape: ClusterShape = {
        nodeId: value.nodeId,
        leaderId: value.leaderId,
        term: Number(value.term),
        hasQuorum: value.hasQuorum,
        nodes: value.nodes.map((node) => ({
          id: node.id,
          rpcAddr: node.rpcAddr,
          role: node.role,
          commitIndex: Number(node.commitIndex),
          appliedIndex: Number(node.appliedIndex),
          lag: Number(node.lag),
          lastContactMs: Number(node.lastContactMs),
          version: node.version,
          healthy: node.healthy,
          lastOffset: Number(node.lastOffset),
        })),
      };
      this.#tell(Number(atMs), changes(this.shape.peek(), shape));
      this.shape.value = shape;
      this.shapeAtMs.value = nowMs();
      this.#onNodes(shape.nodes.map((node) => baseOf(node.rpcAddr)));
    } else if (event.case === "segments") {
      this.#setExtent(event.value);
    } else if (event.case === "membership") {
      const { change, name, addr } = event.value;
      const sentence = membershipSentence(change, name, addr);
      if (sentence !== undefined) this.#tell(Number(atMs), [sentence]);
    }
  }

  #tell(atMs: number, sentences: readonly { tone: Tone; text: string }[]): void {
    if (sentences.length === 0) return;
    const events = sentences.map((sentence) => ({ id: ++this.#eventId, atMs, ...sentence }));
    this.story.value = told(this.story.peek(), events);
  }

  #setExtent(told: DescribeResponse): void {
    this.extent.value = {
      lowest: Number(told.lowestOffset),
      next: Number(told.nextOffset),
      bytes: Number(told.bytes),
      diskFreeBytes: Number(told.diskFreeBytes),
      sync: told.sync,
      nodeId: told.nodeId,
      clusterId: told.clusterId,
      version: told.version,
      segments: told.segments.map((segment) => ({
        baseOffset: Number(segment.baseOffset),
        nextOffset: Number(segment.nextOffset),
        bytes: Number(segment.bytes),
        indexEntries: Number(segment.indexEntries),
        sealed: segment.sealed,
        firstTimestampMs: Number(segment.firstTimestampMs),
        lastTimestampMs: Number(segment.lastTimestampMs),
      })),
    };
    this.#onEnd(Number(told.nextOffset));
  }
}
