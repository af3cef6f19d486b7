/**
 * node --expose-gc test/bench/raft-core.ts [ENTRIES]
 *
 * Replicates entries through three cores in memory with synchronous storage. Prints entries per second, messages per entry
 * and allocated bytes per entry.
 */
import { type Message, proposal } from "../../src/raft/core/mod.ts";
import { MemoryLogStorage } from "../support/disk/memory-log-storage.ts";
import { Lab, LabNetwork } from "../unit/raft/raft-lab.ts";

function run(entries: number, perProposal: number): void {
  const labs = [1, 2, 3].map(
    (id) => new Lab({ id, observe: () => {}, storage: new MemoryLogStorage(), messageBytesMax: 1 << 20 }),
  );
  const net = new LabNetwork(labs);
  let messages = 0;
  net.cut = (_message: Message) => {
    messages++;
    return false;
  };
  const leader = net.lab(1);
  leader.core.campaign();
  net.settle();
  messages = 0;
  const payload = Buffer.alloc(100);
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  const started = performance.now();
  let allocated = 0;
  let before = heap;
  for (let done = 0; done < entries; done += perProposal) {
    leader.core.propose(Array.from({ length: perProposal }, () => proposal(payload)));
    net.settle();
    for (const lab of labs) {
      lab.applied.length = 0;
      if (lab.core.applied % 4096 < perProposal) lab.storage.compact(lab.core.applied - 16);
    }
    if ((done / perProposal) % 64 === 0) {
      // A garbage collection during a sample hides allocations, so that sample is dropped.
      const now = process.memoryUsage().heapUsed;
      if (now > before) allocated += now - before;
      before = now;
    }
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `${perProposal} a proposal: ${Math.round(entries / seconds)} entries/s, ` +
      `${(messages / entries).toFixed(4)} messages/entry, about ${Math.round(allocated / entries)} B allocated/entry`,
  );
}

const entries = Number(process.argv[2] ?? 1_000_000);
run(entries / 10, 1);
run(entries, 64);
run(entries, 1024);
