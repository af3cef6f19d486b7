/**
 * A load balancer for tests: it passes the bytes of a connection on to one of the nodes, which it takes in turn. It does not end TLS. A test
 * can say which node is next.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class Balancer implements AsyncDisposable {
  /** `host:port` of the nodes. */
  targets: readonly string[] = [];
  /** All connections go here. Undefined: to one target after the other. */
  only: string | undefined;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #turn = 0;

  private constructor() {
    this.#server = createServer((client) => this.#pass(client));
  }

  static async open(): Promise<Balancer> {
    const balancer = new Balancer();
    await new Promise<void>((done) => balancer.#server.listen(0, "127.0.0.1", done));
    return balancer;
  }

  /** Its address, `host:port`. */
  get addr(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #pass(client: Socket): void {
    const target = this.only ?? this.targets[this.#turn++ % this.targets.length];
    const node = connect(Number(target?.split(":")[1]), "127.0.0.1");
    client.pipe(node).pipe(client);
    for (const [socket, other] of [
      [client, node],
      [node, client],
    ] as const) {
      this.#open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#open.delete(socket);
        other.destroy();
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }
}
