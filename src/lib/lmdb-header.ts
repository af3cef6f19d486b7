/**
 * Are the first pages of an LMDB file whole enough to be opened? LMDB maps the file and believes what it reads there:
 * a wrong one ends the process with a segmentation fault. Each of two header pages, which it writes in turn, is
 *
 *   page header 24 bytes · magic u32 · data version u32 · address u64 · map size u64 ·
 *   two trees of 48 bytes (the first begins with the page size u32, each ends with its root page u64) ·
 *   last page u64 · transaction u64          little-endian
 *
 * Never: looks at other pages, whose damage LMDB may still die of.
 */
const magic = 0xbeefc0de;
const dataVersion = 2;
const at = { magic: 24, version: 28, pageBytes: 48, roots: [88, 136], lastPage: 144 } as const;
const headerBytes = 160;
const pageBytesMin = 512;
const pageBytesMax = 65_536;
const noPage = 2n ** 64n - 1n;

/** `read` answers up to so many bytes of the file from a position on. */
export function lmdbHeadersAreSound(read: (position: number, bytes: number) => Buffer): boolean {
  const first = read(0, headerBytes);
  if (first.length < headerBytes) return false;
  const pageBytes = first.readUInt32LE(at.pageBytes);
  if (pageBytes < pageBytesMin || pageBytes > pageBytesMax) return false;
  const second = read(pageBytes, headerBytes);
  return isSound(first, pageBytes) && second.length === headerBytes && isSound(second, pageBytes);
}

function isSound(header: Buffer, pageBytes: number): boolean {
  if (header.readUInt32LE(at.magic) !== magic || header.readUInt32LE(at.version) !== dataVersion)
    return false;
  if (header.readUInt32LE(at.pageBytes) !== pageBytes) return false;
  const lastPage = header.readBigUInt64LE(at.lastPage);
  return at.roots.every((position) => {
    const root = header.readBigUInt64LE(position);
    return root === noPage || root <= lastPage;
  });
}
