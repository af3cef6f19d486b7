/**
 * Runs --bootstrap-expect: asks all nodes that gossip shows which initial members they see, in rounds 250 ms apart, until
 * decideBootstrap() decides to bootstrap or finds an existing cluster.
 */
import { Fault } from "../../../fault.ts";
import { fieldsOf } from "../../../lib/fields.ts";
import type { Clock, Timer } from "../../../lib/time/clock.ts";
import {
  type BootstrapAnswer,
  type BootstrapDecision,
  type BootstrapView,
  decideBootstrap,
  type InitialMember,
  sortedMembers,
} from "./bootstrap.ts";

/** The reply of a node to "founders": its own data, and what it sees. */
export interface BootstrapReply {
  readonly self: InitialMember;
  readonly answer: BootstrapAnswer;
}

const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= 255;

function isInitialMember(value: unknown): value is InitialMember {
  const { name, directory, address } = fieldsOf(value);
  return isText(name) && isText(address) && typeof directory === "string" && /^[0-9a-f]{32}$/.test(directory);
}

const areInitialMembers = (value: unknown): value is readonly InitialMember[] =>
  Array.isArray(value) && value.length <= 1_024 && value.every(isInitialMember);

function isAnswer(value: unknown): value is BootstrapAnswer {
  const { kind, name, clusterId, founders, view } = fieldsOf(value);
  if (kind === "holds") return isText(name);
  if (kind === "begun") return typeof clusterId === "string" && areInitialMembers(founders);
  const { expect, startOffset, clusterId: flagged, founders: seen } = fieldsOf(view);
  const isView = [expect, startOffset].every((one) => Number.isSafeInteger(one)) && areInitialMembers(seen);
  return kind === "view" && isView && (flagged === undefined || isText(flagged));
}

/**
 * Checks the reply of another node.
 * @throws Fault "bad-request" if it is malformed
 */
export function bootstrapReplyOf(value: unknown): BootstrapReply {
  const { self, answer } = fieldsOf(value);
  if (isInitialMember(self) && isAnswer(answer)) return { self, answer };
  throw new Fault("bad-request", { message: "the bootstrap reply of another node is malformed" });
}

export interface BootstrapPollerOptions {
  readonly self: InitialMember;
  /** The flags of this node. */
  readonly flags: Pick<BootstrapView, "expect" | "startOffset" | "clusterId">;
  /** Addresses of the Tailrace nodes that gossip shows. */
  readonly addresses: () => readonly string[];
  readonly ask: (address: string) => Promise<BootstrapReply>;
  readonly idOf: (directories: readonly string[]) => string;
  readonly clock: Clock;
  /** Called after each round. The poller stops after a decision other than "wait". */
  readonly onDecision: (decision: BootstrapDecision) => void;
}

const roundMs = 250;

export class BootstrapPoller implements Disposable {
  readonly #options: BootstrapPollerOptions;
  #view: BootstrapView;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: BootstrapPollerOptions) {
    this.#options = options;
    this.#view = { ...options.flags, founders: [options.self] };
  }

  start(): void {
    void this.#round();
  }

  /** This node, and every empty node that answered in the last round. */
  get view(): BootstrapView {
    return this.#view;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #round(): Promise<void> {
    const { self, flags, ask, addresses, idOf, onDecision, clock } = this.#options;
    const found = await Promise.allSettled(addresses().map(ask));
    if (this.#closed) return;
    const answers = new Map<string, BootstrapAnswer>();
    const founders = [self];
    for (const one of found) {
      if (one.status !== "fulfilled" || one.value.self.directory === self.directory) continue;
      const { self: other, answer } = one.value;
      if (!answers.has(other.directory) && answer.kind === "view") founders.push(other);
      answers.set(other.directory, answer);
    }
    this.#view = { ...flags, founders: sortedMembers(founders) };
    const decision = decideBootstrap(self, this.#view, answers, idOf);
    if (decision.kind !== "wait") this[Symbol.dispose]();
    else this.#timer = clock.after(roundMs, () => void this.#round());
    onDecision(decision);
  }
}
