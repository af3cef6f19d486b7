/**
 * Injects faults until its signal is aborted, in three sequences at the same time, so that the network can be cut while a
 * node is down, and the bucket of backups fails. Each fault happens once in random order, then they are drawn by weight.
 * The seed decides which faults happen; the machine decides when. At the end every fault is undone.
 */
import type { Prng } from "../../../src/lib/prng.ts";
import { pause } from "../clients/client-context.ts";
import type { History } from "../history.ts";
import { bucketFaults } from "./bucket-faults.ts";
import { diskFaults } from "./disk-faults.ts";
import type { FaultTable, Scene } from "./fault.ts";
import { memberFaults } from "./member-faults.ts";
import { networkFaults } from "./network-faults.ts";
import { processFaults } from "./process-faults.ts";

const nodeFaults: FaultTable = { ...processFaults, ...diskFaults, ...memberFaults };

export class FaultInjector {
  /** Fault → how often it happened. */
  readonly counts = new Map<string, number>();
  /** Faults that are possible and have not happened yet. */
  readonly #due = new Set<string>();
  readonly #scene: Scene;
  readonly #history: History;
  readonly #report: (line: string) => void;
  readonly #only: readonly string[] | undefined;
  #addsMissingOnly = false;

  constructor(scene: Scene, history: History, report: (line: string) => void, only?: readonly string[]) {
    this.#scene = scene;
    this.#history = history;
    this.#report = report;
    this.#only = only;
    for (const table of [nodeFaults, networkFaults, bucketFaults])
      for (const fault of this.#names(table)) this.#due.add(fault);
  }

  /** The possible faults that have not happened yet. */
  get missing(): readonly string[] {
    return [...this.#due];
  }

  /**
   * From now on only faults happen that have not happened yet. A fault that needs a whole cluster does not happen
   * while the network fails again and again, so a sequence that has had all its faults is then quiet.
   */
  addMissingOnly(): void {
    this.#addsMissingOnly = true;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when the signal is aborted and every fault has ended. */
  async run(): Promise<void> {
    await Promise.all([
      this.#inject("process", nodeFaults),
      this.#inject("network", networkFaults),
      this.#inject("bucket", bucketFaults),
    ]);
    this.#scene.fleet.links.heal();
  }

  /** The faults of a table that are selected and possible on this machine. */
  #names(table: FaultTable): string[] {
    const names = Object.keys(table).filter((fault) => this.#only?.includes(fault) ?? true);
    return names.filter((fault) => fault !== "full disk" || this.#scene.disks.size > 0);
  }

  async #inject(stream: string, table: FaultTable): Promise<void> {
    const { signal, tempo } = this.#scene;
    const chance = this.#scene.chance.stream(stream);
    const names = this.#names(table);
    if (names.length === 0) return;
    const scene = { ...this.#scene, chance };
    const first = chance.shuffle([...names]);
    let missed = false;
    while (!signal.aborted) {
      await pause(chance.between(200, 1_400) * tempo, signal);
      if (signal.aborted) return;
      const next: string | undefined = missed && !this.#addsMissingOnly ? undefined : first.shift();
      if (next === undefined && this.#addsMissingOnly) continue;
      const fault: string = next ?? drawn(table, names, chance);
      const start = this.#history.now();
      const what = await table[fault]![1](scene);
      missed = what === undefined;
      if (what === undefined) {
        if (this.#due.has(fault) && !first.includes(fault)) first.push(fault); // Not possible now: try again later.
        continue;
      }
      this.#due.delete(fault);
      this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
      const end = this.#history.now();
      this.#history.add({ op: "fault", client: "faults", what: `${fault}: ${what}`, start, end });
      this.#report(`${(start / 1000).toFixed(1)} to ${(end / 1000).toFixed(1)} s  ${fault}: ${what}`);
    }
  }
}

/** Draws a fault by weight. */
function drawn(table: FaultTable, names: readonly string[], chance: Prng): string {
  const bag = names.flatMap((name) => Array<string>(table[name]![0]).fill(name));
  return chance.pick(bag);
}
