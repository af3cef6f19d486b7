/** Connects to a node as a peer would, sends the bytes of a test, and collects the frames that it receives. */
import { connect, type Socket } from "node:net";
import { encodeIntroduction } from "../../../src/peer/handshake/handshake-codec.ts";
import type { ConnectionPurpose, PeerHello } from "../../../src/peer/handshake/introduction.ts";
import { type PeerFrame, preamble } from "../../../src/peer/wire/peer-frame.ts";
import { PeerFrameReader } from "../../../src/peer/wire/peer-frame-reader.ts";

export class FakeCaller implements Disposable {
  readonly socket: Socket;
  readonly frames: PeerFrame[] = [];
  closed = false;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const reader = new PeerFrameReader((frame) => {
      this.frames.push({ ...frame, head: Uint8Array.from(frame.head) });
      if (frame.kind === "welcome") reader.completeHandshake();
    });
    this.socket.on("data", (chunk) => reader.push(chunk as Uint8Array));
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.closed = true;
    });
    this.socket.on("end", () => this.socket.destroy());
  }

  introduce(purpose: ConnectionPurpose, hello: PeerHello): void {
    this.send([preamble, ...encodeIntroduction("hello", purpose, hello).chunks]);
  }

  send(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) this.socket.write(chunk);
  }

  received(kind: PeerFrame["kind"]): PeerFrame[] {
    return this.frames.filter((frame) => frame.kind === kind);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
