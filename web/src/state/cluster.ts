/**
 * What Watch reports: throughput, the cluster, the segments, and the history of changes. One stream for all panels. State
 * that Watch has not sent yet is requested once.
 */
import { signal } from "@preact/signals";
import type { DescribeResponse, Throughput, WatchEvent } from "../../../src/gen/log/v1/log_pb.js";
import {
  type ClusterShape,
  changes,
  membershipSentence,
  type StoryEvent,
  type Tone,
  withEvents,
} from "../core/cluster-events.ts";
import { classify, localFailure, type StreamFailure } from "../core/failure.ts";
import { rates, type Sample, seriesMs, withPast, withSample } from "../core/series.ts";
import { asCallError, baseOf, callsTo, ownBase } from "../io/calls.ts";
import { nowMs } from "../io/timing.ts";
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
  /** What removed records still hold of the disk; undefined until it is counted. */
  readonly removedBytes: number | undefined;
  readonly sync: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly version: string;
  readonly segments: readonly SegmentRow[];
}

function sampleOf(counted: Throughput, atMs: number): Sample {
  const counts = {
    recordsIn: Number(counted.recordsIn),
    recordsOut: Number(counted.recordsOut),
    bytesIn: Number(counted.bytesIn),
    bytesOut: Number(counted.bytesOut),
    p50Ms: counted.appendP50Ms,
    p99Ms: counted.appendP99Ms,
  };
  return rates(counts, counted.intervalMs, atMs);
}

/** Samples of intervals that follow each other, of which the last one ends at `endMs`. */
function pastSamples(intervals: readonly Throughput[], endMs: number): Sample[] {
  let atMs = endMs;
  return intervals
    .toReversed()
    .map((counted) => {
      const sample = sampleOf(counted, atMs);
      atMs -= counted.intervalMs;
      return sample;
    })
    .toReversed();
}

export class ClusterWatch {
  readonly link: Link;
  readonly shape = signal<ClusterShape | undefined>(undefined);
  /** When `shape` was received, by this machine's clock. */
  readonly shapeAtMs = signal(0);
  readonly extent = signal<LogExtent | undefined>(undefined);
  readonly samples = signal<readonly Sample[]>([]);
  readonly tails = signal(0);
  /** One past the last committed record of the log `default`. */
  readonly end = signal(0);
  readonly story = signal<readonly StoryEvent[]>([]);
  #eventId = 0;
  #refreshing = false;
  readonly #onNodes: (bases: readonly string[]) => void;

  constructor(onNodes: (bases: readonly string[]) => void) {
    this.#onNodes = onNodes;
    this.link = new Link(ownBase(), (node, abort) => this.#read(node, abort));
  }

  start(): void {
    this.link.send({ kind: "open" });
  }

  /** Requests the current segments. Watch sends them only when the list changes. */
  async refresh(): Promise<void> {
    if (this.#refreshing || this.link.cursor.peek().phase !== "live") return;
    this.#refreshing = true;
    try {
      this.#setExtent(await callsTo(this.link.node).log.describe({}, { timeoutMs: 5000 }));
    } catch {
      // Watch, on the same node, reports the reason.
    } finally {
      this.#refreshing = false;
    }
  }

  async #read(node: string, abort: AbortSignal): Promise<StreamFailure | undefined> {
    const { log } = callsTo(node);
    try {
      void this.#ask(node, abort);
      for await (const event of log.watch({ intervalMs: 1000, pastMs: seriesMs }, { signal: abort })) {
        this.link.heard();
        this.#take(event);
      }
      return localFailure("ended", "the server closed the stream");
    } catch (error) {
      return abort.aborted ? undefined : classify(asCallError(error), undefined);
    }
  }

  /** Requests the current state of what the stream sends only on changes. The stream itself reports a refusal. */
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
      this.samples.value = withSample(this.samples.peek(), sampleOf(event.value, nowMs()));
      this.tails.value = event.value.tails;
      this.end.value = Number(event.value.nextOffset);
    } else if (event.case === "history") {
      this.samples.value = withPast(this.samples.peek(), pastSamples(event.value.intervals, nowMs()));
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
    this.story.value = withEvents(this.story.peek(), events);
  }

  #setExtent(withEvents: DescribeResponse): void {
    this.extent.value = {
      lowest: Number(withEvents.lowestOffset),
      next: Number(withEvents.nextOffset),
      bytes: Number(withEvents.bytes),
      diskFreeBytes: Number(withEvents.diskFreeBytes),
      removedBytes: withEvents.space === undefined ? undefined : Number(withEvents.space.removedBytes),
      sync: withEvents.sync,
      nodeId: withEvents.nodeId,
      clusterId: withEvents.clusterId,
      version: withEvents.version,
      segments: withEvents.segments.map((segment) => ({
        baseOffset: Number(segment.baseOffset),
        nextOffset: Number(segment.nextOffset),
        bytes: Number(segment.bytes),
        indexEntries: Number(segment.indexEntries),
        sealed: segment.sealed,
        firstTimestampMs: Number(segment.firstTimestampMs),
        lastTimestampMs: Number(segment.lastTimestampMs),
      })),
    };
    this.end.value = Number(withEvents.nextOffset);
  }
}
