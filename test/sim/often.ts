/**
 * Something that is done again and again, at random times, while a world is in its faulty phase.
 *
 * Never: goes on once it is healed.
 */
import type { Prng } from "../../src/lib/prng.ts";
import type { World } from "./world.ts";

/** Runs `act` again and again, after waits around `meanMs`, while the faulty phase lasts. */
export function often(world: World, chance: Prng, meanMs: number, act: () => void): void {
  const next = (): void => {
    world.time.after(-Math.log(1 - chance.float()) * meanMs, () => {
      if (world.healed) return;
      world.guard(act);
      next();
    });
  };
  next();
}
