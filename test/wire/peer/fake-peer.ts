/**
 * Listens as a peer would: completes the handshake, records all frames, and can stall, ignore pings or reset sockets in
 * ways that a real peer does not.
 */
import type { Server, Socket } from "node:net";
import { decodeIntroduction, encodeIntroduction } from "../../../src/peer/handshake/handshake-codec.ts";
import type { ConnectionPurpose, PeerHello } from "../../../src/peer/handshake/introduction.ts";
import { encodePeerFrame, type PeerFrame, preamble } from "../../../src/peer/wire/peer-frame.ts";
import { PeerFrameReader } from "../../../src/peer/wire/peer-frame-reader.ts";
import { decodeRequest } from "../../../src/peer/wire/request-codec.ts";
import { encodeResponse } from "../../../src/peer/wire/response-codec.ts";
import { pack, unpack } from "../../../src/replication/storage/msgpack.ts";
import { helloOf } from "../../support/peer/peer-hello.ts";
import { listen, portOf } from "../../support/peer/socket-cluster.ts";

export interface FakeConnection {
  readonly socket: Socket;
  readonly frames: PeerFrame[];
  /** Set by the handshake. */
  purpose: ConnectionPurpose | undefined;
}

export class FakePeer implements AsyncDisposable {
  readonly connections: FakeConnection[] = [];
  readonly #server: Server;
  readonly name: string;
  hello: PeerHello;
  /** Stops reading a connection with this purpose after its welcome. */
  stalls: ConnectionPurpose | undefined;
  /** Responds to each request with this value; undefined: does not respond. */
  result: unknown;
  /** Accepts connections and sends nothing. */
  silent = false;
  ignoresPings = false;

  private constructor(name: string, server: Server) {
    this.name = name;
    this.#server = server;
    this.hello = helloOf(name, `127.0.0.1:${portOf(server)}`);
  }

  static async open(name: string, port = 0): Promise<FakePeer> {
    let peer: FakePeer | undefined;
    const server = await listen(port, (socket) => peer?.accept(socket));
    peer = new FakePeer(name, server);
    return peer;
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** The accepted connections with a purpose, oldest first. */
  opened(purpose: ConnectionPurpose): FakeConnection[] {
    return this.connections.filter((connection) => connection.purpose === purpose);
  }

  last(purpose: ConnectionPurpose): FakeConnection {
    return this.opened(purpose).at(-1)!;
  }

  frames(purpose: ConnectionPurpose, kind: PeerFrame["kind"]): PeerFrame[] {
    return this.opened(purpose).flatMap(({ frames }) => frames.filter((frame) => frame.kind === kind));
  }

  accept(socket: Socket): void {
    socket.on("error", () => undefined);
    const connection: FakeConnection = { socket, frames: [], purpose: undefined };
    this.connections.push(connection);
    if (this.silent) return;
    socket.write(preamble);
    const reader = new PeerFrameReader((frame) => this.#received(connection, reader, frame));
    socket.on("data", (chunk) => reader.push(chunk as Uint8Array));
    socket.on("end", () => socket.destroy());
  }

  #received(connection: FakeConnection, reader: PeerFrameReader, frame: PeerFrame): void {
    const { socket } = connection;
    const send = (chunks: readonly Uint8Array[]): void => {
      for (const chunk of chunks) socket.write(chunk);
    };
    connection.frames.push({ ...frame, head: Uint8Array.from(frame.head) });
    if (frame.kind === "hello") {
      const { purpose } = decodeIntroduction(frame);
      connection.purpose = purpose;
      send(encodeIntroduction("welcome", purpose, this.hello).chunks);
      reader.completeHandshake();
      if (this.stalls === purpose) socket.pause();
    } else if (frame.kind === "ping" && !this.ignoresPings) {
      const [id] = unpack(frame.head) as [number];
      send(encodePeerFrame("pong", pack([id, Date.now()])).chunks);
    } else if (frame.kind === "request" && this.result !== undefined) {
      send(encodeResponse(decodeRequest(frame).id, this.result).chunks);
    }
  }

  /** Accepts no more connections. Open ones stay, so the server's close event is not awaited. */
  stopListening(): void {
    this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const { socket } of this.connections) socket.destroy();
  }
}
