/**
 * The vote file: two slots that are written alternately, in place. Its blocks are allocated when it is created, so a full
 * disk refuses no vote.
 *
 *   file := slot slot receipt                  five pages of 4 KiB
 *   slot := copy copy                          write n is in slot n mod 2
 *   copy := record zeros                       one page; both copies are equal
 *
 * A write is one write of a slot and one fdatasync. The newest valid record counts. A crash tears at most the slot that is
 * being written, and that write was not acknowledged. The slot of the last acknowledged write has two copies on different
 * pages, so no single damaged bit, sector or page undoes it. After each sync a receipt is written, and nothing waits for it.
 * It has the number of durable writes, here and in the state database. A file or a database with fewer writes than its
 * receipt lost an acknowledged write. That is damage, not a torn write.
 */
import { Fault } from "../fault.ts";
import { type Disk, type DiskFile, DiskUncertain, errorCode, syncFile } from "../lib/disk/disk.ts";
import {
  decodeReceipt,
  decodeVote,
  encodeReceipt,
  encodeVote,
  type Receipt,
  type VoteRecord,
} from "./vote-record.ts";

const pageBytes = 4096;
const slotBytes = 2 * pageBytes;
const receiptAt = 2 * slotBytes;
export const voteFileBytes = receiptAt + pageBytes;

/** The sequence of the first write, which creates the file. */
export const firstSequence = 1;

interface Contents {
  readonly sequence: number;
  readonly record: VoteRecord;
  readonly receipt: Receipt;
}

/**
 * Creates and syncs the file, which must not exist. Its name is not durable yet.
 * @throws the error of the disk
 */
export function writeVoteFile(disk: Disk, path: string, record: VoteRecord): void {
  const bytes = new Uint8Array(voteFileBytes);
  bytes.set(slotOf(firstSequence, record), slotAt(firstSequence));
  const file = disk.open(path, "create");
  try {
    file.write(bytes, 0);
    file.sync();
  } finally {
    file.close();
  }
}

/**
 * Returns the newest record and the receipt.
 * @throws Fault "corrupt" if there is no valid record, or if the newest acknowledged one is missing
 */
export function readVoteFile(disk: Disk, path: string): Contents {
  const bytes = new Uint8Array(voteFileBytes);
  const file = disk.open(path, "read");
  try {
    if (file.read(bytes, 0) < voteFileBytes) throw damaged(path, 0, "length");
  } finally {
    file.close();
  }
  const copies = [0, 1, 2, 3].flatMap((page) => {
    const found = decodeVote(bytes.subarray(page * pageBytes, (page + 1) * pageBytes));
    return found === undefined || found.sequence % 2 !== page >> 1 ? [] : [found];
  });
  const [newest] = copies.sort((one, other) => other.sequence - one.sequence);
  if (newest === undefined) throw damaged(path, 0, "no-vote");
  const receipt = decodeReceipt(bytes.subarray(receiptAt));
  if (receipt.vote > newest.sequence) throw damaged(path, slotAt(receipt.vote), "lost-vote");
  return { ...newest, receipt };
}

/** The open vote file of a running node. */
export class VoteFile {
  readonly #disk: Disk;
  readonly #path: string;
  #file: DiskFile | undefined;
  #record: VoteRecord;
  #sequence: number;
  #receipt: Receipt;
  #failed: unknown;

  /** Reads the file. It is opened for writing at the first write. @throws Fault "corrupt" */
  constructor(disk: Disk, path: string) {
    const { record, sequence, receipt } = readVoteFile(disk, path);
    this.#disk = disk;
    this.#path = path;
    this.#record = record;
    this.#sequence = sequence;
    this.#receipt = receipt;
  }

  /**
   * The newest record. After a start it may be in the page cache only. The first write makes it durable, and each start
   * writes its boot number before the node contacts others.
   */
  get record(): VoteRecord {
    return this.#record;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get receipt(): Receipt {
    return this.#receipt;
  }

  /**
   * Writes a record, durable on return.
   * @throws the error of the disk; DiskUncertain for a failed sync and for all later writes
   */
  write(record: VoteRecord): void {
    if (this.#failed !== undefined) throw this.#failed;
    const sequence = this.#sequence + 1;
    const file = this.#open();
    file.write(slotOf(sequence, record), slotAt(sequence));
    try {
      syncFile(file);
    } catch (reason) {
      if (reason instanceof DiskUncertain) this.#failed = reason;
      throw reason;
    }
    this.#record = record;
    this.#sequence = sequence;
    this.#note({ ...this.#receipt, vote: sequence });
  }

  /** Notes how many writes of the state database are durable. */
  noteState(sequence: number): void {
    this.#note({ ...this.#receipt, state: sequence });
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(): DiskFile {
    this.#file ??= this.#disk.open(this.#path, "write");
    return this.#file;
  }

  /** If the disk refuses the receipt, the previous one stays. The write that it counts is durable nevertheless. */
  #note(receipt: Receipt): void {
    this.#receipt = receipt;
    try {
      this.#open().write(encodeReceipt(receipt), receiptAt);
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
    }
  }
}

const slotAt = (sequence: number): number => (sequence % 2) * slotBytes;

function slotOf(sequence: number, record: VoteRecord): Uint8Array {
  const slot = new Uint8Array(slotBytes);
  const bytes = encodeVote(sequence, record);
  slot.set(bytes, 0);
  slot.set(bytes, pageBytes);
  return slot;
}

function damaged(file: string, position: number, why: string): Fault {
  const sentence = why === "lost-vote" ? "its newest vote is gone" : "it holds no vote that can be read";
  return new Fault("corrupt", {
    message: `${file} is damaged at byte ${position} (${why}), ${sentence}`,
    facts: { file, position, why },
  });
}
