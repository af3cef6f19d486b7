/**
 * Removes the symbols and debug information of a 64-bit ELF program, as `strip` does: the sections that are not loaded into
 * memory. What the system loads, and the symbols for native modules (.dynsym), stay as they are.
 */
"use strict";

const fs = require("node:fs");

const headerBytes = 64;
const sectionBytes = 64;
const segmentBytes = 56;
const allocated = 2n;
const withoutBytes = 8; // SHT_NOBITS: the section has no bytes in the file.

/**
 * Shortens the file. Returns the number of bytes removed.
 * @throws Error if it is not such a program, or its sections are in an unusual order; then the file is unchanged
 */
exports.removeSymbols = (file) => {
  const fd = fs.openSync(file, "r+");
  try {
    const size = fs.fstatSync(fd).size;
    const header = readAt(fd, 0, headerBytes);
    if (header.toString("latin1", 0, 6) !== "\x7fELF\x02\x01") throw new Error("not a 64-bit ELF file");
    const sections = table(fd, size, header.readBigUInt64LE(0x28), header.readUInt16LE(0x3c), sectionBytes);
    const segments = table(fd, size, header.readBigUInt64LE(0x20), header.readUInt16LE(0x38), segmentBytes);
    if (header.readUInt16LE(0x3a) !== sectionBytes || header.readUInt16LE(0x36) !== segmentBytes)
      throw new Error("unknown sizes of headers");
    const names = sections[header.readUInt16LE(0x3e)];
    // Symbols and relocations refer to sections by number, so the sections that stay must be the first ones.
    const isKept = (section, at) => at === 0 || (section.readBigUInt64LE(0x08) & allocated) !== 0n;
    const count = sections.findIndex((section, at) => !isKept(section, at));
    if (names === undefined || count < 1 || sections.slice(count).some((section) => isKept(section, count)))
      throw new Error("unusual sections");

    const kept = sections.slice(0, count);
    let end = 0;
    for (const section of kept)
      if (section.readUInt32LE(0x04) !== withoutBytes) end = Math.max(end, endOf(section, 0x18, 0x20));
    for (const segment of segments) end = Math.max(end, endOf(segment, 0x08, 0x20));
    end = aligned(end);
    if (end > size) throw new Error("a section is not in the file");

    const texts = readAt(fd, Number(names.readBigUInt64LE(0x18)), Number(names.readBigUInt64LE(0x20)));
    const namesNow = Buffer.from(names);
    namesNow.writeBigUInt64LE(BigInt(end), 0x18);
    const sectionsAt = aligned(end + texts.length);
    header.writeBigUInt64LE(BigInt(sectionsAt), 0x28);
    header.writeUInt16LE(count + 1, 0x3c);
    header.writeUInt16LE(count, 0x3e);
    const after = Buffer.alloc(sectionsAt - end + (count + 1) * sectionBytes);
    texts.copy(after);
    Buffer.concat(kept.concat(namesNow)).copy(after, sectionsAt - end);
    if (end + after.length >= size) return 0;
    fs.writeSync(fd, after, 0, after.length, end);
    fs.writeSync(fd, header, 0, header.length, 0);
    fs.ftruncateSync(fd, end + after.length);
    return size - end - after.length;
  } finally {
    fs.closeSync(fd);
  }
};

/** The entries of a table of headers. */
function table(fd, size, start, count, entryBytes) {
  if (start + BigInt(count * entryBytes) > BigInt(size)) throw new Error("a table is not in the file");
  const bytes = readAt(fd, Number(start), count * entryBytes);
  return Array.from({ length: count }, (_, at) => bytes.subarray(at * entryBytes, (at + 1) * entryBytes));
}

/** The end in the file of what a header describes. */
function endOf(entry, offsetAt, sizeAt) {
  return Number(entry.readBigUInt64LE(offsetAt) + entry.readBigUInt64LE(sizeAt));
}

function readAt(fd, position, length) {
  if (!(length <= 1 << 24)) throw new Error("a table is too large");
  const bytes = Buffer.alloc(length);
  if (fs.readSync(fd, bytes, 0, length, position) !== length) throw new Error("the file ends too early");
  return bytes;
}

function aligned(position) {
  return Math.ceil(position / 8) * 8;
}
