/**
 * TLS of a node: what it presents, whom it believes, who it was that connected, and all of it anew when files change.
 *
 * One port serves clients and peers. A peer asks for the server name `peer.tailrace`, and by that gets the peers'
 * certificate and the peers' CA; everybody else gets the clients'. After the handshake identityOf() checks once
 * more that the issuing CA is the one for the protocol agreed on (ALPN): that, not the name asked for, decides.
 * Sessions are not resumed, so a certificate is looked at on every connection. Reloading touches no open connection.
 *
 * Never: listens, decides what an identity may do.
 */
import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { resolve } from "node:path";
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from "node:tls";
import { anonymousIdentity, type Identity, nodeNamesOf } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { type FileWatch, watchFiles } from "../../lib/file-watch/file-watch.ts";
import { type Logger, type Metrics, noLogger, noMetrics } from "../../lib/telemetry.ts";
import { type Clock, systemClock, type Timer } from "../../lib/time/clock.ts";
import { RateGate } from "../../lib/time/rate-gate.ts";
import { alternativeNames, identityFrom, issuedBy, type Refusal, refusalOf } from "./certificate-identity.ts";
import { readTlsFiles, sameMaterial, type TlsFiles, type TlsMaterial } from "./tls-files.ts";

/** ALPN of the link between nodes. */
export const peerProtocol = "tailrace-raft";
/** The server name a node asks for when it calls a peer. */
const peerServerName = "peer.tailrace";

export interface NodeTlsOptions {
  readonly server: TlsFiles;
  /** Default: the server's. */
  readonly peer?: TlsFiles;
  /** Without a certificate: refused in the handshake, or `anonymous`. Peers always need one. */
  readonly clientAuth: "require" | "optional";
  readonly log?: Logger;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
}

/** A certificate in use, for probes and metrics. */
export interface CertificateInUse {
  readonly use: "server" | "peer";
  readonly subject: string;
  readonly begins: Date;
  readonly expires: Date;
}

const refusalLinesPerSecond = 10;
const dayMs = 24 * 3_600_000;
const expiryWarningMs = 30 * dayMs;

export class NodeTls {
  readonly #options: NodeTlsOptions;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #servers = new Set<Server>();
  readonly #identities = new WeakMap<TLSSocket, Identity>();
  /** By the socket below TLS: once a handshake has failed, nothing else knows who it was. */
  readonly #addresses = new WeakMap<object, string>();
  readonly #refusals = new RateGate(refusalLinesPerSecond);
  readonly #watch: FileWatch;
  readonly #endGauge: () => void;
  #server: TlsMaterial;
  #peer: TlsMaterial;
  #peerContext: SecureContext;
  #nextWarning: Timer | undefined;

  /** Reads and watches the files. Throws Fault "config" when they are not valid. */
  constructor(options: NodeTlsOptions) {
    this.#options = options;
    this.#log = options.log ?? noLogger;
    this.#metrics = options.metrics ?? noMetrics;
    this.#clock = options.clock ?? systemClock;
    this.#server = readTlsFiles(options.server);
    this.#peer = options.peer === undefined ? this.#server : readTlsFiles(options.peer);
    createSecureContext(this.#contextOptions(this.#server));
    this.#peerContext = createSecureContext(this.#contextOptions(this.#peer));
    this.#warnOfExpiry();
    this.#endGauge = this.#metrics.gauge(
      "tailrace.tls.certificate.expiry",
      { description: "Time until the node's own certificate expires", unit: "s" },
      () =>
        this.certificates().map(({ use, expires }) => ({
          value: (expires.getTime() - this.#clock.wallMs()) / 1_000,
          attributes: { use },
        })),
    );
    const files = [options.server, ...(options.peer === undefined ? [] : [options.peer])];
    this.#watch = watchFiles(
      files.flatMap(({ certFile, keyFile, caFile }) =>
        [certFile, keyFile, caFile].map((path) => resolve(path)),
      ),
      () => void this.reload(),
      { clock: this.#clock, onError: (err) => this.#log.warn({ err }, "certificates are not watched") },
    );
  }

  /** For tls.createServer or http2.createSecureServer. Hand the server to adopt() then. */
  serverOptions(): TlsOptions {
    return {
      ...this.#contextOptions(this.#server),
      requestCert: true,
      rejectUnauthorized: this.#options.clientAuth === "require",
      ALPNProtocols: ["h2", "http/1.1", peerProtocol],
      SNICallback: (name, done) => done(null, name === peerServerName ? this.#peerContext : undefined),
    };
  }

  /** Keeps a server's certificates up to date and logs whom it refuses. Ends when the server closes. */
  adopt(server: Server): void {
    this.#servers.add(server);
    server.on("close", () => this.#servers.delete(server));
    server.on("connection", (socket) => this.#addresses.set(socket, addressOf(socket)));
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const code = String(socket.authorizationError ?? error.code ?? "error");
      // A caller that merely goes away, or does not trust us, is not somebody we refused.
      if (code === "ECONNRESET" || /ALERT/.test(code)) {
        this.#log.debug({ code, peer: this.#peerOf(socket) }, "tls handshake failed");
      } else if (code in silent) {
        this.#log.debug({ code, peer: this.#peerOf(socket) }, "not tls");
      } else {
        this.#logRefusal(refusalOf(code), code, socket);
      }
    });
  }

  /**
   * Who is at the other end. Throws Fault "unauthenticated", with the reason, for a caller that must not be served:
   * destroy the socket then. Cheap after the first time.
   */
  identityOf(socket: TLSSocket): Identity {
    const known = this.#identities.get(socket);
    if (known !== undefined) return known;
    const isPeerLink = socket.alpnProtocol === peerProtocol;
    const found = this.#identify(socket, isPeerLink);
    if (typeof found === "object") {
      this.#identities.set(socket, found);
      return found;
    }
    const code = String(socket.authorizationError ?? "");
    this.#logRefusal(found, code, socket);
    throw new Fault("unauthenticated", {
      message:
        found === "missing"
          ? "a client certificate is required"
          : `the client certificate is refused (${found})`,
      facts: { reason: found },
    });
  }

  #identify(socket: TLSSocket, isPeerLink: boolean): Identity | Refusal {
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) {
      return this.#options.clientAuth === "optional" && !isPeerLink ? anonymousIdentity : "missing";
    }
    if (!socket.authorized) return refusalOf(String(socket.authorizationError));
    const trusted = isPeerLink ? this.#peer.authorities : this.#server.authorities;
    if (!issuedBy(leaf, trusted)) return "wrong CA";
    return identityFrom(leaf, this.#peer.authorities);
  }

  /**
   * For tls.connect to the node `nodeName` at `host`: presents the peers' certificate; the other end must show one of
   * the peers' CA that names that node, or, where it names none, that is valid for `host`.
   */
  peerConnectOptions(host: string, nodeName?: string): ConnectionOptions {
    return {
      ...this.#contextOptions(this.#peer),
      ALPNProtocols: [peerProtocol],
      servername: peerServerName,
      rejectUnauthorized: true,
      checkServerIdentity: (_name, certificate) => checkPeer(certificate, host, nodeName),
    };
  }

  /** Reads the files again (SIGHUP). True when something changed; what is not valid is logged and not taken. */
  reload(): boolean {
    this.#watch.follow();
    try {
      const server = readTlsFiles(this.#options.server);
      const peer = this.#options.peer === undefined ? server : readTlsFiles(this.#options.peer);
      if (sameMaterial(server, this.#server) && sameMaterial(peer, this.#peer)) return false;
      const peerContext = createSecureContext(this.#contextOptions(peer));
      for (const listening of this.#servers) listening.setSecureContext(this.#contextOptions(server));
      this.#server = server;
      this.#peer = peer;
      this.#peerContext = peerContext;
      this.#log.info({ certificates: this.certificates() }, "certificates reloaded");
      this.#warnOfExpiry();
      return true;
    } catch (err) {
      this.#log.error({ err }, "certificates not reloaded, the ones before stay in use");
      return false;
    }
  }

  /** What the node presents. */
  certificates(): CertificateInUse[] {
    return [describe("server", this.#server), describe("peer", this.#peer)];
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#nextWarning?.cancel();
    this.#endGauge();
  }

  #contextOptions({ cert, key, ca }: TlsMaterial): SecureContextOptions {
    // Renegotiating (TLS 1.2) would let a caller make us work over and over, or change who it is under way.
    const secureOptions = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;
    return { cert, key, ca, minVersion: "TLSv1.2", secureOptions };
  }

  /** Why callers who look at it will not believe the node, if they will not: its certificate is out of date. */
  get problem(): string | undefined {
    const nowMs = this.#clock.wallMs();
    for (const { use, certificate } of [
      { use: "server", ...this.#server },
      { use: "peer", ...this.#peer },
    ]) {
      const { validFromDate: from, validToDate: to } = certificate;
      if (to.getTime() <= nowMs) return `the ${use} certificate has expired, on ${to.toISOString()}`;
      if (from.getTime() > nowMs)
        return `the ${use} certificate is not valid yet, until ${from.toISOString()}`;
    }
    return undefined;
  }

  /** Now, and every day from now on. */
  #warnOfExpiry(): void {
    this.#nextWarning?.cancel();
    this.#nextWarning = this.#clock.after(dayMs, () => this.#warnOfExpiry());
    for (const inUse of this.certificates()) {
      const leftMs = inUse.expires.getTime() - this.#clock.wallMs();
      if (leftMs <= 0) this.#log.error(inUse, "the node's own certificate has expired");
      else if (inUse.begins.getTime() > this.#clock.wallMs())
        this.#log.error(inUse, "the node's own certificate is not valid yet");
      else if (leftMs < expiryWarningMs) this.#log.warn(inUse, "the node's own certificate expires soon");
    }
  }

  #peerOf(socket: TLSSocket): string {
    if (socket.remoteAddress !== undefined) return addressOf(socket);
    // Node's own name for the socket below; it has no public one. Without it the line lacks the address.
    const below: unknown = Reflect.get(socket, "_parent");
    return (
      (typeof below === "object" && below !== null ? this.#addresses.get(below) : undefined) ?? "unknown"
    );
  }

  #logRefusal(reason: Refusal, code: string, socket: TLSSocket): void {
    this.#metrics
      .counter("tailrace.tls.refused", {
        description: "Client certificates refused",
        unit: "{connection}",
        attributes: { reason },
      })
      .add(1);
    if (!this.#refusals.pass(this.#clock.monotonicMs())) return;
    const leaf = socket.getPeerX509Certificate?.();
    const unlogged = this.#refusals.takeDropped();
    this.#log.warn(
      {
        reason,
        code,
        peer: this.#peerOf(socket),
        ...(leaf === undefined ? {} : { subject: oneLine(leaf.subject), issuer: oneLine(leaf.issuer) }),
        ...(unlogged > 0 ? { unlogged } : {}),
      },
      `client certificate refused: ${reason}`,
    );
  }
}

/** Codes of callers that did not speak TLS as we do; a scanner's daily work. */
const silent: Readonly<Record<string, true>> = {
  ERR_SSL_HTTP_REQUEST: true,
  ERR_SSL_WRONG_VERSION_NUMBER: true,
  ERR_SSL_UNSUPPORTED_PROTOCOL: true,
  ERR_SSL_NO_SHARED_CIPHER: true,
  ERR_TLS_HANDSHAKE_TIMEOUT: true,
};

const addressOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;

const oneLine = (name: string | undefined): string => (name ?? "").replaceAll("\n", ", ");

const describe = (use: "server" | "peer", { certificate }: TlsMaterial): CertificateInUse => ({
  use,
  subject: oneLine(certificate.subject),
  begins: certificate.validFromDate,
  expires: certificate.validToDate,
});

function checkPeer(
  certificate: PeerCertificate,
  host: string,
  nodeName: string | undefined,
): Error | undefined {
  const nodes = nodeNamesOf(alternativeNames(certificate.subjectaltname ?? ""));
  if (nodes.length === 0) return checkServerIdentity(host, certificate);
  if (nodeName === undefined || nodes.includes("*") || nodes.includes(nodeName)) return undefined;
  return new Error(`the certificate is of node ${nodes.join(", ")}, expected ${nodeName}`);
}
