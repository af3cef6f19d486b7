/**
 * Random faults in a simulated gossip cluster, from one seed: crashes, restarts, pauses, partitions and packet loss. Then
 * the faults end, and all live members must agree. A failing seed fails always.
 */
import assert from "node:assert/strict";
import { prng } from "../../../src/lib/prng.ts";
import { GossipSim } from "./gossip-sim.ts";

/** Runs one seed. Returns the digest of its history. */
export function runGossipChaos(seed: number): string {
  const chance = prng(`chaos ${seed}`);
  const sim = GossipSim.cluster(`chaos ${seed}`, chance.between(3, 16), { delayMs: [0.2, 30] });
  for (let turn = 0; turn < 12; turn++) {
    const member = chance.pick(sim.members);
    const act = chance.between(0, 5);
    if (act === 0 && member.up && sim.live.length > 2) sim.crash(member);
    else if (act === 1 && !member.up) {
      sim.restart(member);
      sim.join(member, chance.pick(sim.live.filter((other) => other !== member)));
    } else if (act === 2) sim.pause(member, chance.between(100, 20_000));
    else if (act === 3) {
      const cut = chance.between(1, sim.members.length - 1);
      const order = chance.shuffle([...sim.members]);
      sim.partition(order.slice(0, cut), order.slice(cut));
    } else if (act === 4) sim.heal();
    else sim.network = { ...sim.network, loss: chance.float() * 0.4, duplication: chance.float() * 0.3 };
    sim.run(chance.between(200, 15_000));
  }
  sim.heal();
  sim.network = { loss: 0, duplication: 0, delayMs: [0.2, 10] };
  // A member that restarted during a partition may have lost the others, so it has to join again. Before that, paused members
  // resume, and probes from before a pause end, after at most 9 s.
  sim.run(40_000);
  const [first] = sim.live;
  assert.ok(first);
  for (const member of sim.live) if (member !== first) sim.join(member, first);
  assert.ok(
    sim.runUntil(() => sim.agreed(), 300_000),
    `seed ${seed}: ${sim.live
      .map(
        (member) =>
          `${member.name} sees ${member.core
            .members()
            .map(({ name, status }) => `${name} ${status}`)
            .join(", ")}`,
      )
      .join("; ")}`,
  );
  const suspicions = sim.members.reduce((sum, { core }) => sum + core.counters.suspicions, 0);
  sim.run(30_000);
  const later = sim.live.reduce((sum, { core }) => sum + core.counters.suspicions, 0);
  assert.ok(sim.agreed() && later <= suspicions, `seed ${seed}: suspicions after the faults ended`);
  return sim.digest();
}
