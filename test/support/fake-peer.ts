/**
 * A peer made of nothing but bytes, for tests: it listens or dials, speaks the handshake, notes every frame, and does
 * with its sockets what no real peer would.
 */
import { connect, type Server, type Socket } from "node:net";
import {
  type ConnectionPurpose,
  decodeIntroduction,
  encodeIntroduction,
  type PeerHello,
} from "../../src/peer/handshake/handshake.ts";
import {
  encodePeerFrame,
  type PeerFrame,
  PeerFrameReader,
  preamble,
} from "../../src/peer/wire/peer-frame.ts";
import { decodeRequest, encodeAnswer } from "../../src/peer/wire/request-codec.ts";
import { pack, peerIdOf, unpack } from "../../src/replication/entries.ts";
import { listen, portOf } from "./socket-cluster.ts";

export interface FakeLane {
  readonly socket: Socket;
  readonly frames: PeerFrame[];
  lane: ConnectionPurpose | undefined;
}

/** A node's introduction: the directory is made of the name. */
export function helloOf(name: string, address: string, fields: Partial<PeerHello> = {}): PeerHello {
  return {
    name,
    directory: Buffer.from(name.padEnd(16, ".").slice(0, 16)).toString("hex"),
    clusterId: "c1",
    configured: true,
    version: "0.0.0-test",
    address,
    wallMs: Date.now(),
    ...fields,
  };
}

export const numberOf = (hello: PeerHello): number => peerIdOf(Buffer.from(hello.directory, "hex"));

export const memberOf = (
  hello: PeerHello,
): { peer: number; name: string; directory: string; address: string } => ({
  peer: numberOf(hello),
  name: hello.name,
  directory: hello.directory,
  address: hello.address,
});

export class FakePeer implements AsyncDisposable {
  readonly lanes: FakeLane[] = [];
  readonly #server: Server;
  readonly name: string;
  hello: PeerHello;
  /** Stops reading a lane of this kind right after its welcome. */
  stalls: ConnectionPurpose | undefined;
  /** Answers requests with this value; undefined: not at all. */
  answers: unknown;
  /** Takes connections, says nothing. */
  mute = false;
  /** Does not answer pings. */
  deaf = false;

  private constructor(name: string, server: Server) {
    this.name = name;
    this.#server = server;
    this.hello = helloOf(name, `127.0.0.1:${portOf(server)}`);
  }

  static async open(name: string, port = 0): Promise<FakePeer> {
    let peer: FakePeer | undefined;
    const server = await listen(port, (socket) => peer?.take(socket));
    peer = new FakePeer(name, server);
    return peer;
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** The lanes of a kind that were opened to it, the newest last. */
  opened(kind: ConnectionPurpose): FakeLane[] {
    return this.lanes.filter(({ lane }) => lane === kind);
  }

  last(kind: ConnectionPurpose): FakeLane {
    return this.opened(kind).at(-1)!;
  }

  frames(kind: ConnectionPurpose, frame: PeerFrame["kind"]): PeerFrame[] {
    return this.opened(kind).flatMap(({ frames }) => frames.filter((each) => each.kind === frame));
  }

  take(socket: Socket): void {
    socket.on("error", () => undefined);
    const lane: FakeLane = { socket, frames: [], lane: undefined };
    this.lanes.push(lane);
    if (this.mute) return;
    socket.write(preamble);
    const reader = new PeerFrameReader((frame) => this.#received(lane, reader, frame));
    socket.on("data", (chunk) => reader.push(chunk as Uint8Array));
    socket.on("end", () => socket.destroy());
  }

  #received(lane: FakeLane, reader: PeerFrameReader, frame: PeerFrame): void {
    const { socket } = lane;
    lane.frames.push({ ...frame, head: Uint8Array.from(frame.head) });
    if (frame.kind === "hello") {
      lane.lane = decodeIntroduction(frame).lane;
      for (const chunk of encodeIntroduction("welcome", lane.lane, this.hello).chunks) socket.write(chunk);
      reader.greeted();
      if (this.stalls === lane.lane) socket.pause();
    } else if (frame.kind === "ping" && !this.deaf) {
      const [id] = unpack(frame.head) as [number];
      for (const chunk of encodePeerFrame("pong", pack([id, Date.now()])).chunks) socket.write(chunk);
    } else if (frame.kind === "request" && this.answers !== undefined) {
      const { id } = decodeRequest(frame);
      for (const chunk of encodeAnswer(id, this.answers).chunks) socket.write(chunk);
    }
  }

  /** No connection is taken any more; those that are open stay. */
  async stopListening(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    // close() waits for connections: they are not to be touched here.
    void closed;
    await new Promise((resolve) => setImmediate(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const { socket } of this.lanes) socket.destroy();
  }
}

/** A caller made of bytes: sends what it is told, and collects what comes back. */
export class FakeCaller implements Disposable {
  readonly socket: Socket;
  readonly frames: PeerFrame[] = [];
  closed = false;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const reader = new PeerFrameReader((frame) => {
      this.frames.push({ ...frame, head: Uint8Array.from(frame.head) });
      if (frame.kind === "welcome") reader.greeted();
    });
    this.socket.on("data", (chunk) => reader.push(chunk as Uint8Array));
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.closed = true;
    });
    this.socket.on("end", () => this.socket.destroy());
  }

  greet(lane: ConnectionPurpose, hello: PeerHello): void {
    this.send([preamble, ...encodeIntroduction("hello", lane, hello).chunks]);
  }

  send(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) this.socket.write(chunk);
  }

  got(kind: PeerFrame["kind"]): PeerFrame[] {
    return this.frames.filter((frame) => frame.kind === kind);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
