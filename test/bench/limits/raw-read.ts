/**
 * The limit of P4, in a process of its own: reads a file of the given size in pieces into the same memory, computes the
 * CRC of each piece and writes it to each connection.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";

const total = Number(process.argv[2]);
const piece = Buffer.alloc(256 * 1024, "tailrace ");
const folder = mkdtempSync(join(tmpdir(), "tailrace-raw-"));
const file = openSync(join(folder, "raw"), "w+");
for (let at = 0; at < total; at += piece.length)
  writeSync(file, piece, 0, Math.min(piece.length, total - at), at);

function send(socket: Socket, at: number): void {
  if (at >= total) {
    socket.end();
    return;
  }
  const count = readSync(file, piece, 0, Math.min(piece.length, total - at), at);
  crc32(piece.subarray(0, count));
  socket.write(piece.subarray(0, count), (error) => {
    if (!error) setImmediate(send, socket, at + count);
  });
}

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => undefined);
  send(socket, 0);
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
process.once("SIGTERM", () => {
  closeSync(file);
  rmSync(folder, { recursive: true });
  process.exit();
});
