/**
 * The clients of a world: they write unique values and read, and keep what they were told.
 *
 * Never: looks into a node beyond what a client may see.
 */
import type { Prng } from "../../src/lib/prng.ts";
import type { Write } from "./history.ts";
import { often } from "./often.ts";
import { type SimNode, type World, writtenOf } from "./world.ts";

/** Writes and reads, one after another, mostly at the node that led last. */
export function startClient(world: World, client: number, chance: Prng): void {
  let count = 0;
  const meanMs = chance.pick([20, 100, 400]);
  often(world, chance, meanMs, () => {
    const made = chance.chance(0.8) ? (world.leader() ?? world.pickUp(chance)) : world.pickUp(chance);
    if (made?.node === undefined) return;
    if (chance.chance(0.25)) {
      read(world, made);
      return;
    }
    if (world.quiet) return;
    for (let burst = chance.chance(0.1) ? chance.between(2, 12) : 1; burst > 0; burst--) {
      write(world, made, `c${client}-${++count}`, chance);
    }
  });
}

/** Some writes are the first and only one of a producer: then the log itself may try again. */
export function write(world: World, made: SimNode, value: string, chance: Prng): void {
  const write = world.history.invoke(value);
  const answer = {
    acked: (offset: number) => world.guard(() => acknowledged(world, made, write, offset)),
    failed: (fault: Error) => world.guard(() => world.history.failed(write, writtenOf(fault))),
  };
  const once = { subject: "once", id: BigInt(world.history.invoked), epoch: 0, sequence: 0 };
  made.replica.append(value, answer, chance.chance(world.swarm.numbered) ? once : undefined);
}

/** What must be true at the moment when a client is told that its record is written. */
export function acknowledged(world: World, made: SimNode, write: Write, offset: number): void {
  world.look(made);
  const index = world.watch.answered(write.value, offset);
  // Who forwarded it may not know who counts by now; the leader's own answer was looked at then.
  if (index !== undefined && made.node?.isLeader === true) {
    world.watch.acknowledged(made.watched, index, world.replicas());
  }
  world.story.hash(`ack ${write.value} ${offset}`);
  world.history.acked(write, offset);
}

function read(world: World, made: SimNode): void {
  const floor = world.history.shown;
  made.replica.linearizableEnd((next) => world.guard(() => world.history.read(next, floor)));
}
