/**
 * Handles a disk of this node that takes no records (it is full, or no descriptor is free). The node is not ready, and a
 * leader hands over to a voter whose disk takes records. If there is no such voter, the leader stays and asks again after
 * a growing pause. While the disk takes no records it is checked twice a second, and otherwise not at all.
 */
import { fieldsOf } from "../../lib/fields.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Member } from "../../raft/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeReadiness } from "../node-readiness.ts";

export interface DiskWatchOptions {
  readonly replica: Pick<Replica, "diskRefusal" | "onDiskRefusal" | "identity"> & {
    readonly node: Pick<Replica["node"], "isLeader" | "configuration">;
  };
  readonly readiness: Pick<NodeReadiness, "set">;
  /** Sends a request to another node, with a deadline on the monotonic clock. */
  readonly ask: (address: string, verb: string, body: unknown, deadlineMs: number) => Promise<unknown>;
  /** Hands leadership to the voter with the longest log among those that `suits` accepts. Resolves in time also if it fails. */
  readonly handOver: (withinMs: number, suits: (member: Member) => boolean) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The verb of the peer protocol that asks whether a node's disk takes records, and its answer. */
export const diskVerb = "room";
export interface DiskAnswer {
  readonly takesRecords: boolean;
}

const reason = "disk";
const checkMs = 500;
const answerMs = 1_000;
const transferMs = 2_000;
/** The pause between two attempts to hand over doubles each time, up to the longest. */
const pauseMs = { first: 1_000, longest: 60_000 };

export class DiskWatch implements Disposable {
  readonly #options: DiskWatchOptions;
  readonly #stopListening: () => void;
  #timer: Timer | undefined;
  #pauseMs = pauseMs.first;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #isHandingOver = false;
  #closed = false;

  /** The replica must have been started. */
  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#stopListening = options.replica.onDiskRefusal(() => this.#checkSoon());
    this.#check();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopListening();
    this.#timer?.cancel();
  }

  #checkSoon(): void {
    const { clock } = this.#options;
    // The listener is called in the middle of a write.
    clock.soon(() => this.#check());
  }

  #check(): void {
    if (this.#closed) return;
    const { replica, readiness, clock } = this.#options;
    const { diskRefusal } = replica;
    readiness.set(reason, diskRefusal?.message);
    if (diskRefusal === undefined) {
      this.#pauseMs = pauseMs.first;
      this.#notBeforeMs = Number.NEGATIVE_INFINITY;
      return;
    }
    if (!this.#isHandingOver && replica.node.isLeader && clock.monotonicMs() >= this.#notBeforeMs) {
      void this.#handOver();
    }
    this.#timer ??= clock.after(checkMs, () => {
      this.#timer = undefined;
      this.#check();
    });
  }

  async #handOver(): Promise<void> {
    const { clock, logger } = this.#options;
    this.#isHandingOver = true;
    try {
      await this.#handOverToWritable();
    } catch (err) {
      logger.warn({ err }, "leadership could not be handed over, trying again");
    }
    this.#isHandingOver = false;
    this.#notBeforeMs = clock.monotonicMs() + this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs.longest, 2 * this.#pauseMs);
  }

  async #handOverToWritable(): Promise<void> {
    const { replica, handOver, logger } = this.#options;
    const suited = await this.#writableVoters();
    const names = [...suited];
    if (!this.#closed && names.length > 0) {
      logger.warn({ to: names }, "the disk of this node takes no records: handing leadership over");
      await handOver(transferMs, ({ name }) => suited.has(name));
    } else if (!this.#closed && replica.node.configuration.voters.length > 1) {
      logger.warn(
        {},
        "the disk of this node takes no records, and no other voter reports that its disk does",
      );
    }
  }

  /** Names of the other voters that report that their disk takes records. */
  async #writableVoters(): Promise<ReadonlySet<string>> {
    const { replica, ask, clock } = this.#options;
    const { voters, roster } = replica.node.configuration;
    const others = (roster?.members ?? []).filter(
      ({ peer }) => peer !== replica.identity.peer && voters.includes(peer),
    );
    const deadlineMs = clock.monotonicMs() + answerMs;
    const answers = await Promise.all(
      others.map(({ address }) => ask(address, diskVerb, {}, deadlineMs).catch(() => undefined)),
    );
    return new Set(others.filter((_, at) => takesRecords(answers[at])).map(({ name }) => name));
  }
}

const takesRecords = (answer: unknown): boolean => fieldsOf(answer)["takesRecords"] === true;
