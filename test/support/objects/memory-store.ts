/** A store of objects in memory that can be stopped at any operation, as by SIGKILL, and whose lists can lag. */
import { createHash } from "node:crypto";
import type {
  ObjectEntry,
  ObjectStore,
  ObjectWriter,
  WriteCondition,
  WriteGuard,
} from "../../../src/objects/object-store.ts";

export class Killed extends Error {}

export class MemoryStore implements ObjectStore {
  readonly url = "memory";
  readonly objects = new Map<string, Uint8Array>();
  /** Objects that were begun and not finished, each time with a number. */
  readonly unfinished = new Set<string>();
  #begun = 0;
  /** Every operation that was begun, `verb key`. */
  readonly operations: string[] = [];
  /** The writer dies at the operation with this number, counted from 0, before or after its effect. */
  dies: { readonly at: number; readonly after: boolean } | undefined;
  /** What lists show instead of the objects: keys and sizes. */
  lagging: ReadonlyMap<string, number> | undefined;

  /** The keys and sizes of the objects. */
  sizes(): Map<string, number> {
    return new Map([...this.objects].map(([key, { length }]) => [key, length]));
  }
  /** Whether a writer holds the lock of backups. */
  get isLocked(): boolean {
    const lock = this.objects.get("lock");
    return lock !== undefined && !Buffer.from(lock).toString().includes('"isReleased":true');
  }

  /** The objects besides the lock, which each writer leaves. */
  get contents(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.objects].filter(([key]) => key !== "lock"));
  }

  /** Called before each operation. */
  onOperation: (operation: string) => void | Promise<void> = () => undefined;
  #isDead = false;

  /** A new process uses the store. */
  revive(): void {
    this.#isDead = false;
    this.dies = undefined;
    this.operations.length = 0;
  }

  put(
    key: string,
    data: Uint8Array,
    condition?: WriteCondition,
    guard?: WriteGuard,
  ): Promise<string | undefined> {
    return this.#run(`put ${key}`, () => {
      guard?.();
      const now = this.objects.get(key);
      if (condition !== undefined && "ifAbsent" in condition && now !== undefined) return undefined;
      if (
        condition !== undefined &&
        "ifTag" in condition &&
        (now === undefined || tagOf(now) !== condition.ifTag)
      )
        return undefined;
      this.objects.set(key, Uint8Array.from(data));
      return tagOf(data);
    });
  }

  create(key: string, bytes: number): ObjectWriter {
    const pieces: Uint8Array[] = [];
    const upload = `${key} ${this.#begun++}`;
    return {
      write: (data) =>
        this.#run(`write ${key}`, () => {
          this.unfinished.add(upload);
          pieces.push(Uint8Array.from(data));
        }),
      finish: () =>
        this.#run(`finish ${key}`, () => {
          const whole = Buffer.concat(pieces);
          if (whole.length !== bytes) throw new Error(`${key} has ${whole.length} bytes, not ${bytes}`);
          this.unfinished.delete(upload);
          if (!this.objects.has(key)) this.objects.set(key, whole);
        }),
      abandon: () => this.#run(`abandon ${key}`, () => void this.unfinished.delete(upload)),
    };
  }

  size(key: string): Promise<number | undefined> {
    return this.#run(`size ${key}`, () => this.objects.get(key)?.length);
  }

  read(key: string, position: number, bytes: number): Promise<Uint8Array | undefined> {
    return this.#run(`read ${key}`, () => this.objects.get(key)?.slice(position, position + bytes));
  }

  readWhole(key: string): Promise<{ readonly data: Uint8Array; readonly tag: string } | undefined> {
    return this.#run(`read ${key}`, () => {
      const data = this.objects.get(key);
      return data === undefined ? undefined : { data: Uint8Array.from(data), tag: tagOf(data) };
    });
  }

  async *list(prefix: string): AsyncIterable<ObjectEntry> {
    await this.#run(`list ${prefix}`, () => undefined);
    for (const [key, bytes] of this.lagging ?? this.sizes())
      if (key.startsWith(prefix)) yield { key, bytes, ageMs: 0 };
  }

  delete(key: string, guard?: WriteGuard): Promise<void> {
    return this.#run(`delete ${key}`, () => {
      guard?.();
      this.objects.delete(key);
    });
  }

  removeUnfinished(): Promise<number> {
    return this.#run("remove unfinished", () => {
      const { size } = this.unfinished;
      this.unfinished.clear();
      return size;
    });
  }

  async #run<T>(operation: string, effect: () => T): Promise<T> {
    if (this.#isDead) throw new Killed();
    await this.onOperation(operation);
    const number = this.operations.push(operation) - 1;
    const dies = this.dies?.at === number;
    if (dies) this.#isDead = true;
    if (dies && this.dies?.after === false) throw new Killed();
    const result = effect();
    if (dies) throw new Killed();
    return result;
  }
}

const tagOf = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
