/**
 * Clients that append a stream of records through one node, many at a time without waiting, as ProduceStream and
 * ProduceBulk do: plain, or with a producer's sequences. The stream ends with its first failure.
 */
import { Fault } from "../../src/fault.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { AppendOrder } from "../../src/types.ts";
import { isDead } from "../support/process-clock.ts";
import { acknowledged } from "./clients.ts";
import type { Write } from "./history.ts";
import { runOf } from "./real-replica.ts";
import { Violation } from "./watch.ts";
import { type SimNode, type World, writtenOf } from "./world.ts";

/** One stream after another, through any node. */
export function startStreams(world: World, id: number, chance: Prng): void {
  let count = 0;
  const next = (): void => {
    world.time.after(-Math.log(1 - chance.float()) * 300, () => {
      if (world.quiet) return;
      const made = world.pickUp(chance);
      if (made === undefined) next();
      else world.guard(() => new Stream(world, made, `s${id}.${++count}`, chance, next).send());
    });
  };
  next();
}

class Stream {
  readonly #world: World;
  readonly #made: SimNode;
  readonly #replica: SimNode["replica"];
  readonly #name: string;
  readonly #chance: Prng;
  readonly #done: () => void;
  readonly #order: AppendOrder = { ended: false };
  readonly #isNumbered: boolean;
  readonly #meanMs: number;
  readonly #writes: Write[] = [];
  #left: number;
  #leader: unknown;

  constructor(world: World, made: SimNode, name: string, chance: Prng, done: () => void) {
    this.#world = world;
    this.#made = made;
    this.#replica = made.replica;
    this.#name = name;
    this.#chance = chance;
    this.#done = done;
    this.#isNumbered = chance.chance(0.5);
    this.#meanMs = chance.pick([2, 10, 50]);
    this.#left = chance.between(10, 150);
    world.history.streams.push({ writes: this.#writes, isNumbered: this.#isNumbered });
  }

  /** One record, and after a while the next: nothing waits for an answer. */
  send(): void {
    const { log } = this.#replica;
    const isGone = this.#made.replica !== this.#replica || this.#made.node === undefined;
    if (isGone || log === undefined || this.#world.quiet || this.#order.ended || this.#left-- <= 0) {
      // The caller goes away now and then, and leaves behind what is on its way.
      if (this.#chance.chance(0.3)) this.#order.ended = true;
      this.#done();
      return;
    }
    const sequence = this.#writes.length;
    const write = this.#world.history.invoke(`${this.#name}-${sequence}`);
    this.#writes.push(write);
    const producer = { subject: this.#name, id: 1n, epoch: 0, sequence };
    log.append(runOf(write.value), { order: this.#order, ...(this.#isNumbered ? { producer } : {}) }).then(
      ({ firstOffset }) => this.#world.guard(() => this.#acked(write, firstOffset)),
      (reason: unknown) => {
        if (!isDead(reason)) this.#world.guard(() => this.#failed(write, reason as Error));
      },
    );
    this.#world.time.after(-Math.log(1 - this.#chance.float()) * this.#meanMs, () =>
      this.#world.guard(() => this.send()),
    );
  }

  #acked(write: Write, offset: number): void {
    acknowledged(this.#world, this.#made, write, offset);
    const leader = this.#world.leader()?.peer;
    if (this.#leader !== undefined && leader !== undefined && leader !== this.#leader) {
      this.#world.story.mark(this.#isNumbered ? "numbered-stream-went-on" : "stream-went-on");
    }
    this.#leader = leader ?? this.#leader;
  }

  #failed(write: Write, fault: Error): void {
    this.#world.history.failed(write, writtenOf(fault));
    this.#order.ended = true;
    this.#world.story.mark("stream-ended");
    // Only the first failure is told to a client; those behind it are its consequences.
    const isFirst = this.#writes.every(
      (one) => one === write || one.outcome === "acked" || isBehind(one, write),
    );
    if (!isFirst) return;
    const kind = fault instanceof Fault ? fault.kind : "";
    if (kind === "out-of-sequence" || kind === "unknown-producer" || kind === "producer-fenced") {
      throw new Violation("stream-sequence", `${write.value}: ${fault.message}`);
    }
  }
}

/** Was it written after the other one? */
const isBehind = (one: Write, other: Write): boolean => one.invoked > other.invoked;
