/**
 * A stable store in memory: atomic and durable as the port says, and a power cut of its disk may strike just before
 * or just after a write takes effect.
 */
import type { StableStore } from "../../src/store/stable-store.ts";
import type { SimDisk } from "./sim-disk.ts";

export class SimStableStore implements StableStore {
  readonly #disk: SimDisk | undefined;
  #values = new Map<string, unknown>();
  #whole = true;

  /** `disk`: whose crashAfter() counts each write as one of its operations. */
  constructor(disk?: SimDisk) {
    this.#disk = disk;
  }

  get(key: string): unknown {
    return structuredClone(this.#values.get(key));
  }

  keys(prefix: string): string[] {
    return [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  write(changes: Readonly<Record<string, unknown>>): void {
    const apply = (): void => {
      for (const [key, value] of Object.entries(changes)) {
        if (value === undefined) this.#values.delete(key);
        else this.#values.set(key, structuredClone(value));
      }
    };
    this.#disk?.operation(apply);
    apply();
    this.#whole = true;
  }

  get whole(): boolean {
    return this.#whole;
  }

  /** A copy of everything, and the way back to it. */
  image(): ReadonlyMap<string, unknown> {
    return structuredClone(this.#values);
  }

  putBack(image: ReadonlyMap<string, unknown>): void {
    this.#values = new Map(structuredClone(image));
  }

  /** A key becomes another, or is gone, and nobody wrote it. */
  loseKey(key: string, becomes?: string): void {
    if (becomes !== undefined) this.#values.set(becomes, this.#values.get(key));
    this.#values.delete(key);
    this.#whole = false;
  }

  async close(): Promise<void> {}
}
