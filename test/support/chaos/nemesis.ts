/**
 * Lets things happen to the cluster until it is told to stop: in two lanes, so that a network can be cut while a node
 * is down. Each thing happens once, in any order, and then by its weight. What happens follows from the seed; when,
 * from the machine.
 *
 * Never: leaves anything broken.
 */
import type { Prng } from "../../../src/lib/prng.ts";
import { type Fault, networkFaults, processFaults, type Scene } from "./faults.ts";
import type { History } from "./history.ts";
import { pause } from "./world.ts";

type Table = Readonly<Record<string, readonly [weight: number, fault: Fault]>>;

export class Nemesis {
  /** Fault → how often it happened. */
  readonly counts = new Map<string, number>();
  /** What has not happened yet, and may. */
  readonly #due = new Set<string>();
  readonly #scene: Scene;
  readonly #history: History;
  readonly #told: (line: string) => void;
  readonly #only: readonly string[] | undefined;

  constructor(scene: Scene, history: History, told: (line: string) => void, only?: readonly string[]) {
    this.#scene = scene;
    this.#history = history;
    this.#told = told;
    this.#only = only;
    for (const fault of [...this.#names(processFaults), ...this.#names(networkFaults)]) this.#due.add(fault);
  }

  /** Has everything happened that can happen here? */
  get hadAll(): boolean {
    return this.#due.size === 0;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Resolves once the signal is given and everything that had begun has ended. */
  async run(): Promise<void> {
    await Promise.all([this.#lane("process", processFaults), this.#lane("network", networkFaults)]);
    this.#scene.fleet.links.heal();
  }

  /** Those of a table that are wanted and can be done here. */
  #names(table: Table): string[] {
    const names = Object.keys(table).filter((fault) => this.#only?.includes(fault) ?? true);
    return names.filter((fault) => fault !== "full disk" || this.#scene.disks.size > 0);
  }

  async #lane(name: string, table: Table): Promise<void> {
    const { signal, tempo } = this.#scene;
    const chance = this.#scene.chance.stream(name);
    const names = this.#names(table);
    if (names.length === 0) return;
    const scene = { ...this.#scene, chance };
    const first = chance.shuffle([...names]);
    let missed = false;
    while (!signal.aborted) {
      await pause(chance.between(200, 1_400) * tempo, signal);
      if (signal.aborted) return;
      const fault: string = (missed ? undefined : first.shift()) ?? drawn(table, names, chance);
      const start = this.#history.now();
      const what = await table[fault]![1](scene);
      missed = what === undefined;
      if (what === undefined) {
        if (this.#due.has(fault) && !first.includes(fault)) first.push(fault); // It could not be done just now.
        continue;
      }
      this.#due.delete(fault);
      this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
      const end = this.#history.now();
      this.#history.add({ op: "deed", client: "nemesis", what: `${fault}: ${what}`, start, end });
      this.#told(`${(start / 1000).toFixed(1)} to ${(end / 1000).toFixed(1)} s  ${fault}: ${what}`);
    }
  }
}

/** One of the table, by weight. */
function drawn(table: Table, names: readonly string[], chance: Prng): string {
  const bag = names.flatMap((name) => Array<string>(table[name]![0]).fill(name));
  return chance.pick(bag);
}
