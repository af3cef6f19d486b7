/**
 * Clients of real nodes, who use all that the log promises: idempotent producers that try again wherever they like,
 * conditional appends, reads of every freshness on any node, and tails that move on when their node dies.
 *
 * Never: looks into a node beyond what a client may see.
 */
import { Fault } from "../../src/fault.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { ReplicatedLog } from "../../src/replication/replicated-log.ts";
import type { Bounds, Freshness, Offset, Tail } from "../../src/types.ts";
import { isDead } from "../support/process-clock.ts";
import { acknowledged } from "./clients.ts";
import type { Write } from "./history.ts";
import { often } from "./often.ts";
import { runOf, valuesOf } from "./real-replica.ts";
import { Violation } from "./watch.ts";
import { type SimNode, type World, writtenOf } from "./world.ts";

export function startLogClients(world: World, chance: Prng): void {
  const { swarm } = world;
  if (swarm.producers)
    for (let id = 1; id <= 2; id++) startProducer(world, id, chance.stream(`producer/${id}`));
  if (swarm.conditional) startConditional(world, chance.stream("conditional"));
  if (swarm.readers) {
    const own = chance.stream("readers");
    often(world, own, 60, () => readSomewhere(world, own));
    for (let tail = 1; tail <= 2; tail++) new Follower(world, chance.stream(`tail/${tail}`));
  }
}

/** Calls a node as a client over the network does: nobody may answer, and the answer may come too late. */
function call<T>(
  world: World,
  made: SimNode,
  work: (log: ReplicatedLog) => Promise<T>,
  done: (value: T) => void,
  failed: (fault: Error) => void,
): void {
  const { log } = made.replica;
  if (made.node === undefined || log === undefined) {
    failed(new Fault("unavailable", { message: "nobody is there" }));
    return;
  }
  work(log).then(
    (value) => world.guard(() => done(value)),
    (reason: unknown) => {
      if (!isDead(reason)) world.guard(() => failed(reason as Error));
    },
  );
}

/** One record after another, each tried until it is written: never twice, never out of turn. */
function startProducer(world: World, id: number, chance: Prng): void {
  let sequence = 0;
  const next = (): void => {
    world.time.after(-Math.log(1 - chance.float()) * 150, () => {
      if (world.quiet) return;
      const write = world.history.invoke(world.nextValue(`p${id}-`));
      world.guard(() => attempt(write));
    });
  };
  const attempt = (write: Write): void => {
    const made = world.pickUp(chance);
    let over = false;
    const again = (): void => {
      if (over) return;
      over = true;
      world.time.after(chance.between(1, 200), () => {
        if (!world.quiet && write.outcome !== "acked") world.guard(() => attempt(write));
      });
    };
    if (made === undefined) {
      again();
      return;
    }
    // Impatience makes two attempts of one record race each other.
    world.time.after(chance.between(100, 3000), again);
    const producer = { subject: "sim", id: BigInt(id), epoch: 0, sequence };
    call(
      world,
      made,
      (log) => log.append(runOf(write.value), { producer }),
      ({ firstOffset, duplicate }) => {
        const first = write.outcome !== "acked";
        acknowledged(world, made, write, firstOffset);
        if (duplicate) world.story.mark("duplicate-answered");
        over = true;
        if (!first) return;
        sequence++;
        next();
      },
      (fault) => {
        // What an attempt hears after another one has succeeded is of no matter.
        if (write.outcome === "acked") return;
        const kind = fault instanceof Fault ? fault.kind : "";
        if (kind === "out-of-sequence" || kind === "unknown-producer" || kind === "producer-fenced") {
          throw new Violation("producer-sequence", `${write.value}: ${fault.message}`);
        }
        again();
      },
    );
  };
  next();
}

/** Appends only if the log ends where it was last seen to end. */
function startConditional(world: World, chance: Prng): void {
  let end = 0;
  often(world, chance, 200, () => {
    const made = chance.chance(0.7) ? (world.leader() ?? world.pickUp(chance)) : world.pickUp(chance);
    if (made === undefined || world.quiet) return;
    const expectedOffset = end;
    const floor = world.history.shown;
    const write = world.history.invoke(world.nextValue("x"));
    call(
      world,
      made,
      (log) => log.append(runOf(write.value), { expectedOffset }),
      ({ firstOffset }) => {
        if (firstOffset !== expectedOffset) {
          throw new Violation("expected-offset", `${write.value}: ${expectedOffset}, is at ${firstOffset}`);
        }
        acknowledged(world, made, write, firstOffset);
        world.story.mark("condition-held");
        end = firstOffset + 1;
      },
      (fault) => {
        world.history.failed(write, writtenOf(fault));
        if (!(fault instanceof Fault) || fault.kind !== "offset-mismatch") return;
        world.story.mark("condition-failed");
        end = Number(fault.facts["next"]);
        // What it says of the end is as good as a linearizable read.
        world.history.read(end, floor);
        if (end === expectedOffset) throw new Violation("expected-offset", `${end} is not ${expectedOffset}`);
      },
    );
  });
}

/** A read of some freshness on some node: what is shown is what is committed there, and fresh enough. */
function readSomewhere(world: World, chance: Prng): void {
  const made = world.pickUp(chance);
  if (made === undefined) return;
  const { shown } = world.history;
  if (shown === 0) return;
  const offset = chance.chance(0.5) ? shown - 1 : chance.between(0, shown);
  const mode = chance.pick(["linearizable", "session", "session", "bounded", "any"] as const);
  const seen = mode === "session" && offset < shown && chance.chance(0.7);
  const freshness: Freshness = { mode, ...(seen ? { seenOffset: offset } : {}) };
  call(
    world,
    made,
    (log) => log.read(offset, freshness),
    ({ frames, firstOffset }) => {
      if (!world.look(made)) return;
      world.story.mark(`read-${mode}`);
      const [values] = valuesOf(frames, offset);
      checkShown(world, made, Math.max(offset, firstOffset), values);
    },
    (fault) => {
      if (!(fault instanceof Fault) || fault.kind !== "out-of-range") return;
      // Trimmed, perhaps; otherwise it is not there, which a reader who has seen it must never be told.
      const missing = offset >= made.replica.next && made.node !== undefined;
      if (missing && (seen || (mode === "linearizable" && offset < shown))) {
        throw new Violation(
          "read-your-writes",
          `${made.peer} has no ${offset} (${mode}), ${shown} were shown`,
        );
      }
    },
  );
}

/** A value once committed at an offset is the one that everybody is shown there. */
function checkShown(world: World, made: SimNode, from: Offset, values: readonly string[]): void {
  for (const [place, value] of values.entries()) {
    const known = world.watch.committed.get(from + place);
    if (known === undefined ? made.node !== undefined : known.value !== value) {
      throw new Violation(
        "shown-uncommitted",
        `${made.peer} shows ${value} at ${from + place}, not ${known?.value}`,
      );
    }
  }
}

/** Follows the log record by record; when its node dies or is left, it goes on at the next offset elsewhere. */
class Follower {
  readonly #world: World;
  readonly #chance: Prng;
  #position = 0;
  #at: SimNode | undefined;
  #replica: unknown;
  #tail: Tail | undefined;

  constructor(world: World, chance: Prng) {
    this.#world = world;
    this.#chance = chance;
    often(world, chance, 300, () => this.#moveOn());
  }

  #moveOn(): void {
    const here = this.#at !== undefined && this.#at.replica === this.#replica && this.#at.node !== undefined;
    if (here && this.#chance.chance(0.9)) return;
    this.#tail?.[Symbol.dispose]();
    this.#tail = undefined;
    const made = this.#world.pickUp(this.#chance);
    const { log } = made?.replica ?? {};
    if (made === undefined || log === undefined) return;
    const { lowest, next }: Bounds = made.replica;
    if (this.#position < lowest) this.#position = lowest;
    if (this.#position > next) return;
    [this.#at, this.#replica] = [made, made.replica];
    this.#tail = log.follow(this.#position);
    this.#world.story.mark("tail-opened");
    this.#wait(this.#tail, made);
  }

  #wait(tail: Tail, made: SimNode): void {
    tail.ready().then(
      (there) => {
        if (!there || tail !== this.#tail || made.replica !== this.#replica) return;
        this.#world.guard(() => {
          if (this.#world.look(made) && this.#take(tail, made)) this.#wait(tail, made);
        });
      },
      () => {},
    );
  }

  /** False when the tail was overtaken by a trim, or its node died. */
  #take(tail: Tail, made: SimNode): boolean {
    try {
      for (let slice = tail.take(); slice !== undefined; slice = tail.take()) {
        const [values, first] = valuesOf(slice.frames, this.#position);
        if (first !== undefined && first !== this.#position) {
          throw new Violation("tail-order", `a tail at ${this.#position} was given ${first}`);
        }
        checkShown(this.#world, made, this.#position, values);
        this.#position += values.length;
        if (slice.nextOffset !== this.#position) {
          throw new Violation("tail-order", `a tail has ${this.#position}, told was ${slice.nextOffset}`);
        }
      }
      return true;
    } catch (thrown) {
      if (thrown instanceof Violation || !(thrown instanceof Fault || isDead(thrown))) throw thrown;
      this.#tail = undefined;
      this.#at = undefined;
      return false;
    }
  }
}
