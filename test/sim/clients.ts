/**
 * The clients of a world: they write unique values and read, and keep what they were told.
 *
 * Never: looks into a node beyond what a client may see.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { often } from "./often.ts";
import { Violation } from "./watch.ts";
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
    for (let burst = chance.chance(0.1) ? chance.between(2, 12) : 1; burst > 0; burst--) {
      write(world, made, `c${client}-${++count}`);
    }
  });
}

export function write(world: World, made: SimNode, value: string): void {
  const { node, replica } = made;
  const write = world.history.invoke(value);
  const refused = node?.propose([replica.data(value)], {
    applied: (index) =>
      world.guard(() => {
        const applied = world.watch.applied.get(index);
        if (applied?.value !== value) {
          throw new Violation(
            "wrong-answer",
            `${value} was acknowledged at ${index}, where ${applied?.value} stands`,
          );
        }
        world.watch.acknowledged(made.watched, index, world.replicas());
        world.story.hash(`ack ${value} ${applied.offset}`);
        world.history.acked(write, applied.offset ?? -1);
      }),
    failed: (fault) => world.guard(() => world.history.failed(write, writtenOf(fault))),
  });
  if (refused !== undefined) world.history.failed(write, refused.written);
}

function read(world: World, made: SimNode): void {
  const { node, replica } = made;
  const floor = world.history.shown;
  node?.read({
    ready: () => world.guard(() => world.history.read(replica.next, floor)),
    failed: () => {},
  });
}
