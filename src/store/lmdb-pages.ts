/**
 * Is an LMDB file whole enough to be opened? LMDB maps the file and believes what it reads there: a wrong byte in a
 * page ends the process with a signal. So its trees are walked here first, through plain reads that cannot fail so.
 *
 *   header page := page-header · magic u32 · data version u32 · address u64 · map size u64 · tree{2} · last page u64 ·
 *                  transaction u64          two of them, written in turn; the trees are that of free pages and the main one
 *   tree        := page size or pad u32 · flags u16 · depth u16 · branch pages u64 · leaf pages u64 ·
 *                  overflow pages u64 · entries u64 · root u64
 *   page-header := number u64 · transaction u64 · pad u16 · flags u16 · (lower u16 upper u16 | overflow pages u32)
 *   page        := page-header · (place u16)*  …room…  node*            places count from the page header's end
 *   node        := low u16 · high u16 · flags u16 · key bytes u16 · key · value, or where its overflow pages are
 *
 * Never: looks at what keys and values mean (see lmdb-store's census and checksums); little-endian machines only.
 */

/** Where the file cannot be what LMDB wrote, bytes. */
export interface LmdbFlaw {
  readonly position: number;
  readonly why: string;
}

const magic = 0xbeefc0de;
const dataVersion = 2;
const pageHeaderBytes = 24;
const headerBytes = 160;
const treeBytes = 48;
const treesAt = 48;
const nodeBytes = 8;
const overflowBytes = 24;
const [pageBytesMin, pageBytesMax] = [512, 65_536];
const depthMax = 32;
const pageFlag = { branch: 1, leaf: 2, overflow: 4 } as const;
const nodeFlag = { overflow: 1 } as const;
const noPage = 2n ** 64n - 1n;
const mapBytesMax = 2n ** 46n;

interface Extent {
  readonly pageBytes: number;
  /** Of those that the file holds. */
  readonly lastPage: number;
  /** Of those that LMDB ever took. One that was free again before it was written need not be in the file. */
  readonly lastTaken: number;
  /** The last that was committed. */
  readonly transaction: bigint;
}

/** Answers up to so many bytes of the file from a position on. */
type Read = (position: number, bytes: number) => Buffer;

/** The first flaw in the header pages or in the trees of the newer one; undefined when they are sound. */
export function lmdbFlaw(read: Read, fileBytes: number): LmdbFlaw | undefined {
  const first = read(0, headerBytes);
  if (first.length < headerBytes) return { position: 0, why: "header" };
  const pageBytes = first.readUInt32LE(treesAt);
  if (pageBytes < pageBytesMin || pageBytes > pageBytesMax || fileBytes < 2 * pageBytes) {
    return { position: treesAt, why: "header" };
  }
  const headers = [first, read(pageBytes, headerBytes)];
  for (const [page, header] of headers.entries()) {
    if (!isHeader(header, page, pageBytes)) return { position: page * pageBytes, why: "header" };
  }
  const [even = 0n, odd = 0n] = headers.map((header) => header.readBigUInt64LE(152));
  // Each transaction writes the header whose turn it is; so they are neighbours, or the file is new.
  const inTurn = even === odd + 1n || odd === even + 1n || (even === 0n && odd === 0n);
  const newer = even > odd ? 0 : 1;
  if (!inTurn) return { position: 152, why: "transaction" };
  const header = headers[newer]!;
  if (even !== odd && Number((even > odd ? even : odd) % 2n) !== newer) {
    return { position: newer * pageBytes + 152, why: "transaction" };
  }
  const lastPage = Number(header.readBigUInt64LE(144));
  if (flagsOf(headers[0]!) !== flagsOf(headers[1]!)) return { position: treesAt, why: "header" };
  const walk = new TreeWalk(read, {
    pageBytes,
    lastPage: Math.min(lastPage, Math.floor(fileBytes / pageBytes) - 1),
    lastTaken: lastPage,
    transaction: even > odd ? even : odd,
  });
  // Every write of ours changes the main tree, so its root is as old as its header: or that is an older one's.
  const rootTransaction = rootTransactionOf(read, header, pageBytes);
  if (rootTransaction !== undefined && rootTransaction !== header.readBigUInt64LE(152)) {
    return { position: newer * pageBytes + 152, why: "transaction" };
  }
  for (const tree of [0, 1]) {
    const at = treesAt + tree * treeBytes;
    walk.tree(header.subarray(at, at + treeBytes), newer * pageBytes + at);
  }
  walk.freePages();
  return walk.flaw;
}

function isHeader(header: Buffer, page: number, pageBytes: number): boolean {
  if (header.length < headerBytes || Number(header.readBigUInt64LE(0)) !== page) return false;
  if (header.readUInt32LE(24) !== magic || header.readUInt32LE(28) !== dataVersion) return false;
  if (header.readUInt32LE(treesAt) !== pageBytes) return false;
  const lastPage = header.readBigUInt64LE(144);
  const mapBytes = header.readBigUInt64LE(40);
  if (header.readBigUInt64LE(32) !== 0n || mapBytes > mapBytesMax) return false;
  if (mapBytes < (lastPage + 1n) * BigInt(pageBytes)) return false;
  return [0, 1].every((tree) => {
    const root = header.readBigUInt64LE(treesAt + (tree + 1) * treeBytes - 8);
    return root === noPage || root <= lastPage;
  });
}

function rootTransactionOf(read: Read, header: Buffer, pageBytes: number): bigint | undefined {
  const root = header.readBigUInt64LE(treesAt + 2 * treeBytes - 8);
  if (root === noPage) return undefined;
  const page = read(Number(root) * pageBytes, pageHeaderBytes);
  return page.length < pageHeaderBytes ? undefined : page.readBigUInt64LE(8);
}

/** Page size and flags of both trees: the same in both headers, for good. */
const flagsOf = (header: Buffer): string =>
  [0, 1]
    .map((tree) => header.toString("hex", treesAt + tree * treeBytes, treesAt + tree * treeBytes + 6))
    .join();

/** What a tree has, as counted and as its record says. */
interface Tally {
  branches: number;
  leaves: number;
  overflows: number;
  entries: number;
}

class TreeWalk {
  flaw: LmdbFlaw | undefined;
  readonly #read: Read;
  readonly #pageBytes: number;
  readonly #lastPage: number;
  readonly #lastTaken: number;
  readonly #transaction: bigint;
  readonly #used = new Set<number>();
  /** Page numbers that the tree of free pages lists. */
  readonly #free: number[] = [];
  #isFreeTree = true;

  constructor(read: Read, { pageBytes, lastPage, lastTaken, transaction }: Extent) {
    this.#transaction = transaction;
    this.#read = read;
    this.#pageBytes = pageBytes;
    this.#lastPage = lastPage;
    this.#lastTaken = lastTaken;
  }

  /** The tree whose record stands at `position`: the one of free pages first, then the main one. */
  tree(record: Buffer, position: number): void {
    const root = record.readBigUInt64LE(40);
    const depth = record.readUInt16LE(6);
    const tally: Tally = { branches: 0, leaves: 0, overflows: 0, entries: 0 };
    if (root === noPage) {
      if (depth !== 0) this.#fail(position, "tree");
    } else if (depth === 0 || depth > depthMax) this.#fail(position, "tree");
    else this.#page(Number(root), depth, tally);
    const said = [8, 16, 24, 32].map((at) => Number(record.readBigUInt64LE(at)));
    const counted = [tally.branches, tally.leaves, tally.overflows, tally.entries];
    if (said.some((count, k) => count !== counted[k])) this.#fail(position, "tree");
    this.#isFreeTree = false;
  }

  /** A free page that a tree uses would be written over by the next transaction. */
  freePages(): void {
    const seen = new Set<number>();
    for (const page of this.#free) {
      if (page < 2 || page > this.#lastTaken || this.#used.has(page) || seen.has(page)) {
        this.#fail(0, "free-pages");
      }
      seen.add(page);
    }
  }

  /** `depth`: of the subtree below this page, itself included. */
  #page(number: number, depth: number, tally: Tally): void {
    const page = this.#take(number, 1);
    if (page === undefined) return;
    const position = number * this.#pageBytes;
    const [flags, lower, upper] = [page.readUInt16LE(18), page.readUInt16LE(20), page.readUInt16LE(22)];
    const room = this.#pageBytes - pageHeaderBytes;
    const kind = depth === 1 ? pageFlag.leaf : pageFlag.branch;
    if (flags !== kind || lower % 2 !== 0 || lower > upper || upper > room || lower === 0) {
      this.#fail(position, "page");
      return;
    }
    if (kind === pageFlag.leaf) tally.leaves++;
    else tally.branches++;
    for (let at = 0; at < lower && this.flaw === undefined; at += 2) {
      const place = page.readUInt16LE(pageHeaderBytes + at);
      if (place < upper || place + nodeBytes > room) this.#fail(position + pageHeaderBytes + at, "place");
      else if (kind === pageFlag.leaf) this.#leaf(page, pageHeaderBytes + place, position, tally);
      else this.#branch(page, pageHeaderBytes + place, position, depth, tally);
    }
  }

  #branch(page: Buffer, node: number, position: number, depth: number, tally: Tally): void {
    const keyBytes = page.readUInt16LE(node + 6);
    if (node + nodeBytes + keyBytes > this.#pageBytes) this.#fail(position + node, "node");
    else this.#page(page.readUIntLE(node, 6), depth - 1, tally);
  }

  #leaf(page: Buffer, node: number, position: number, tally: Tally): void {
    const valueBytes = page.readUInt32LE(node);
    const [flags, keyBytes] = [page.readUInt16LE(node + 4), page.readUInt16LE(node + 6)];
    const value = node + nodeBytes + keyBytes;
    const here = flags === nodeFlag.overflow ? overflowBytes : valueBytes;
    if (flags > nodeFlag.overflow || keyBytes === 0 || value + here > this.#pageBytes) {
      this.#fail(position + node, "node");
      return;
    }
    tally.entries++;
    const bytes =
      flags === nodeFlag.overflow
        ? this.#overflow(page, value, valueBytes, tally)
        : page.subarray(value, value + valueBytes);
    if (this.#isFreeTree && bytes !== undefined) this.#list(bytes, position + value);
  }

  #overflow(page: Buffer, at: number, bytes: number, tally: Tally): Buffer | undefined {
    const number = Number(page.readBigUInt64LE(at));
    const pages = Math.floor((pageHeaderBytes - 1 + bytes) / this.#pageBytes) + 1;
    const head = this.#take(number, pages);
    if (head === undefined) return undefined;
    if (head.readUInt16LE(18) !== pageFlag.overflow || head.readUInt32LE(20) !== pages) {
      this.#fail(number * this.#pageBytes, "page");
      return undefined;
    }
    tally.overflows += pages;
    return this.#isFreeTree ? this.#read(number * this.#pageBytes + pageHeaderBytes, bytes) : undefined;
  }

  /** A list of free pages: how many words follow, and of these each is a page, 0, or −n before the first of n pages. */
  #list(bytes: Buffer, position: number): void {
    const words: number[] = [];
    for (let at = 0; at + 8 <= bytes.length; at += 8) words.push(Number(bytes.readBigInt64LE(at)));
    const [count = -1] = words;
    if (count < 0 || count >= words.length) {
      this.#fail(position, "free-pages");
      return;
    }
    for (let k = 1; k <= count; k++) {
      const word = words[k]!;
      if (word > 0) this.#free.push(word);
      if (word >= 0) continue;
      const first = words[++k] ?? 0;
      if (first < 2 || first - word > this.#lastTaken + 1 || k > count) this.#fail(position, "free-pages");
      else for (let page = first; page < first - word; page++) this.#free.push(page);
    }
  }

  /** The page of this number, which with those behind it nothing else may use. */
  #take(number: number, pages: number): Buffer | undefined {
    const position = number * this.#pageBytes;
    if (number < 2 || number + pages - 1 > this.#lastPage) {
      this.#fail(0, "page-number");
      return undefined;
    }
    for (let page = number; page < number + pages; page++) {
      if (this.#used.has(page)) {
        this.#fail(position, "page-twice");
        return undefined;
      }
      this.#used.add(page);
    }
    const page = this.#read(position, this.#pageBytes);
    const whole = page.length === this.#pageBytes;
    const isIt = whole && Number(page.readBigUInt64LE(0)) === number && page.readUInt16LE(16) === 0;
    if (isIt && page.readBigUInt64LE(8) <= this.#transaction) return page;
    this.#fail(position, "page");
    return undefined;
  }

  #fail(position: number, why: string): void {
    this.flaw ??= { position, why };
  }
}
