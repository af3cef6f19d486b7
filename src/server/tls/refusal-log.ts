/** Counts refused client certificates, and logs them at a limited rate with the client's address. */
import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import type { Counter, Logger, Metrics } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { RateGate } from "../../lib/time/rate-gate.ts";
import { type CertificateRefusal, certificateRefusals, refusalOfCode } from "./certificate-identity.ts";

const linesPerSecond = 10;

/** Codes of clients without a common TLS version or cipher, such as scanners. They are not refused for a certificate. */
const notTls: ReadonlySet<string> = new Set([
  "ERR_SSL_HTTP_REQUEST",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_UNSUPPORTED_PROTOCOL",
  "ERR_SSL_NO_SHARED_CIPHER",
  "ERR_TLS_HANDSHAKE_TIMEOUT",
]);

export interface RefusalLogOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export class RefusalLog {
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #gate = new RateGate(linesPerSecond);
  /** TCP socket → address. A TLS socket has no address any more after a failed handshake. */
  readonly #addresses = new WeakMap<object, string>();

  constructor({ log, metrics, clock }: RefusalLogOptions) {
    this.#log = log;
    this.#metrics = metrics;
    this.#clock = clock;
    // Each series begins at 0, so that the first refusal counts as an increase.
    for (const reason of certificateRefusals) this.#counter(reason);
  }

  /** Logs the failed handshakes of a server. */
  watch(server: Server): void {
    server.on("connection", (socket) => this.#addresses.set(socket, addressOf(socket)));
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const code = String(socket.authorizationError ?? error.code ?? "error");
      // A client that disconnects or does not trust our certificate was not refused by us.
      if (code === "ECONNRESET" || /ALERT/.test(code)) {
        this.#log.debug({ code, peer: this.#addressOf(socket) }, "tls handshake failed");
      } else if (notTls.has(code)) {
        this.#log.debug({ code, peer: this.#addressOf(socket) }, "not tls");
      } else {
        this.refused(refusalOfCode(code), code, socket);
      }
    });
  }

  /** Counts a refusal, and logs it if the rate allows. */
  refused(reason: CertificateRefusal, code: string, socket: TLSSocket): void {
    this.#counter(reason).add(1);
    if (!this.#gate.pass(this.#clock.monotonicMs())) return;
    const leaf = socket.getPeerX509Certificate?.();
    const unlogged = this.#gate.takeDropped();
    this.#log.warn(
      {
        reason,
        code,
        peer: this.#addressOf(socket),
        ...(leaf === undefined ? {} : { subject: oneLine(leaf.subject), issuer: oneLine(leaf.issuer) }),
        ...(unlogged > 0 ? { unlogged } : {}),
      },
      `client certificate refused: ${reason}`,
    );
  }

  #counter(reason: CertificateRefusal): Counter {
    return this.#metrics.counter("tailrace.tls.refused", {
      description: "Client certificates refused",
      unit: "{connection}",
      attributes: { reason },
    });
  }

  #addressOf(socket: TLSSocket): string {
    if (socket.remoteAddress !== undefined) return addressOf(socket);
    // The TCP socket below has no public name in Node. Without it the line lacks the address.
    const below: unknown = Reflect.get(socket, "_parent");
    const address = typeof below === "object" && below !== null ? this.#addresses.get(below) : undefined;
    return address ?? "unknown";
  }
}

const addressOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;

/** A distinguished name as one line; Node separates its parts by line ends. */
export const oneLine = (name: string | undefined): string => (name ?? "").replaceAll("\n", ", ");
