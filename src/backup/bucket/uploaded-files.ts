/** Uploads the files of a backup as their parts arrive, in order. A few files finish while the next one begins. */
import { Fault } from "../../fault.ts";
import type { ObjectStore, ObjectWriter } from "../../objects/mod.ts";
import type { BackupFile, BackupPart } from "../../replication/mod.ts";
import { keyOfFile } from "./backup-keys.ts";

const finishingMax = 2;

export class UploadedFiles {
  readonly #store: ObjectStore;
  readonly #expected = new Map<string, number>();
  readonly #finishing = new Map<ObjectWriter, Promise<void>>();
  #current: { readonly file: string; readonly writer: ObjectWriter; written: number } | undefined;
  #failure: unknown;
  bytes = 0;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** The only files that may come. */
  expect(files: readonly Pick<BackupFile, "file" | "bytes">[]): void {
    for (const { file, bytes } of files) this.#expected.set(file, bytes);
  }

  /** @throws Fault "corrupt" for a part that was not expected */
  async write({ file, position, fileBytes, data }: BackupPart): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#current === undefined) {
      if (this.#expected.get(file) !== fileBytes) throw unexpected(file);
      this.#current = { file, writer: this.#store.create(keyOfFile(file), fileBytes), written: 0 };
    }
    const current = this.#current;
    if (current.file !== file || current.written !== position || position + data.length > fileBytes)
      throw unexpected(file);
    await current.writer.write(data);
    current.written += data.length;
    this.bytes += data.length;
    if (current.written < fileBytes) return;
    this.#current = undefined;
    this.#expected.delete(file);
    this.#finishing.set(current.writer, this.#finished(current.writer));
    if (this.#finishing.size > finishingMax) await Promise.race(this.#finishing.values());
  }

  async finish(): Promise<void> {
    if (this.#current !== undefined) throw unexpected(this.#current.file);
    await Promise.all(this.#finishing.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  async abandon(): Promise<void> {
    await Promise.all(this.#finishing.values());
    await this.#current?.writer.abandon().catch(() => undefined);
  }

  async #finished(writer: ObjectWriter): Promise<void> {
    try {
      await writer.finish();
    } catch (reason) {
      this.#failure ??= reason;
      await writer.abandon().catch(() => undefined);
    }
    this.#finishing.delete(writer);
  }
}

const unexpected = (file: string): Fault =>
  new Fault("corrupt", { message: `the node sent a part of ${file} that does not belong there` });
