/**
 * --bootstrap-expect at work: asks everybody that gossip shows how it sees the beginning, again and again, until the
 * verdict is to begin or that there is a cluster already.
 *
 * Never: decides (see bootstrap.ts); asks two rounds at once.
 */
import { Fault } from "../../fault.ts";
import { fieldsOf } from "../../lib/fields.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import {
  type Founder,
  type FounderAnswer,
  type FounderView,
  judge,
  sortedFounders,
  type Verdict,
} from "./bootstrap.ts";

/** What a node says when it is asked: who it is, and how it sees the beginning. */
export interface FounderReply {
  readonly self: Founder;
  readonly answer: FounderAnswer;
}

const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= 255;

function isFounder(value: unknown): value is Founder {
  const { name, directory, address } = fieldsOf(value);
  return isText(name) && isText(address) && typeof directory === "string" && /^[0-9a-f]{32}$/.test(directory);
}

const areFounders = (value: unknown): value is readonly Founder[] =>
  Array.isArray(value) && value.length <= 1_024 && value.every(isFounder);

function isAnswer(value: unknown): value is FounderAnswer {
  const { kind, name, clusterId, founders, view } = fieldsOf(value);
  if (kind === "holds") return isText(name);
  if (kind === "begun") return typeof clusterId === "string" && areFounders(founders);
  const { expect, startOffset, clusterId: wanted, founders: seen } = fieldsOf(view);
  const isView = [expect, startOffset].every((one) => Number.isSafeInteger(one)) && areFounders(seen);
  return kind === "view" && isView && (wanted === undefined || isText(wanted));
}

/** What another node has answered. Throws Fault "bad-request" for a malformed answer. */
export function founderReplyOf(value: unknown): FounderReply {
  const { self, answer } = fieldsOf(value);
  if (isFounder(self) && isAnswer(answer)) return { self, answer };
  throw new Fault("bad-request", { message: "the answer of a node that begins a cluster is malformed" });
}

export interface FoundingOptions {
  readonly self: Founder;
  readonly wants: Pick<FounderView, "expect" | "startOffset" | "clusterId">;
  /** Addresses of our nodes, as gossip has them. */
  readonly addresses: () => readonly string[];
  readonly ask: (address: string) => Promise<FounderReply>;
  readonly idOf: (directories: readonly string[]) => string;
  readonly clock: Clock;
  /** The last one, "begin" or "forbidden", ends it. */
  readonly told: (verdict: Verdict) => void;
}

const roundMs = 250;

export class Founding implements Disposable {
  readonly #options: FoundingOptions;
  #view: FounderView;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: FoundingOptions) {
    this.#options = options;
    this.#view = { ...options.wants, founders: [options.self] };
  }

  start(): void {
    void this.#round();
  }

  /** How this node sees the beginning: all whom it has spoken with in its last round. */
  get view(): FounderView {
    return this.#view;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #round(): Promise<void> {
    const { self, wants, ask, addresses, idOf, told, clock } = this.#options;
    const found = await Promise.allSettled(addresses().map(ask));
    if (this.#closed) return;
    const answers = new Map<string, FounderAnswer>();
    const founders = [self];
    for (const one of found) {
      if (one.status !== "fulfilled" || one.value.self.directory === self.directory) continue;
      const { self: other, answer } = one.value;
      if (!answers.has(other.directory) && answer.kind === "view") founders.push(other);
      answers.set(other.directory, answer);
    }
    this.#view = { ...wants, founders: sortedFounders(founders) };
    const verdict = judge(self, this.#view, answers, idOf);
    if (verdict.kind !== "wait") this[Symbol.dispose]();
    else this.#timer = clock.after(roundMs, () => void this.#round());
    told(verdict);
  }
}
