/**
 * The TLS configuration of a node: which certificates it presents, which it trusts, and whose connection it is. TLS.md
 * explains the rules. Reloaded files apply to new connections; open ones are not affected.
 */
import { constants } from "node:crypto";
import { resolve } from "node:path";
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from "node:tls";
import { anonymousIdentity, type Identity } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { type FileWatch, watchFiles } from "../../lib/file-watch/file-watch.ts";
import { type Logger, type Metrics, noLogger, noMetrics } from "../../lib/telemetry.ts";
import { type Clock, systemClock } from "../../lib/time/clock.ts";
import { type CertificateRefusal, identityFrom, issuedBy, refusalOfCode } from "./certificate-identity.ts";
import { type CertificateInUse, CertificateValidity, certificateInUse } from "./certificate-validity.ts";
import { checkPeerCertificate, peerProtocol, peerServerName } from "./peer-protocol.ts";
import { RefusalLog } from "./refusal-log.ts";
import { readTlsFiles, sameMaterial, type TlsFiles, type TlsMaterial } from "./tls-files.ts";

export interface NodeTlsOptions {
  /** For clients. */
  readonly server: TlsFiles;
  /** For links between nodes. Default: the files for clients. */
  readonly peer?: TlsFiles;
  /** What happens to clients without a certificate: refused in the handshake, or `anonymous` until they state a token. Peers always need one. */
  readonly clientAuth: "require" | "optional" | "token";
  readonly log?: Logger;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
}

export class NodeTls implements Disposable {
  readonly #options: NodeTlsOptions;
  readonly #log: Logger;
  readonly #servers = new Set<Server>();
  readonly #identities = new WeakMap<TLSSocket, Identity>();
  readonly #refusals: RefusalLog;
  readonly #validity: CertificateValidity;
  readonly #watch: FileWatch;
  #server: TlsMaterial;
  #peer: TlsMaterial;
  #peerContext: SecureContext;

  /**
   * Reads and watches the files.
   * @throws Fault "config" if they are not valid
   */
  constructor(options: NodeTlsOptions) {
    const { log = noLogger, metrics = noMetrics, clock = systemClock } = options;
    this.#options = options;
    this.#log = log;
    this.#server = readTlsFiles(options.server);
    this.#peer = options.peer === undefined ? this.#server : readTlsFiles(options.peer);
    createSecureContext(contextOptions(this.#server));
    this.#peerContext = createSecureContext(contextOptions(this.#peer));
    this.#refusals = new RefusalLog({ log, metrics, clock });
    this.#validity = new CertificateValidity({ log, metrics, clock, inUse: () => this.certificates() });
    this.#validity.report();
    const files = [options.server, ...(options.peer === undefined ? [] : [options.peer])];
    const paths = files.flatMap(({ certFile, keyFile, caFile }) => [certFile, keyFile, caFile]);
    this.#watch = watchFiles(
      paths.map((path) => resolve(path)),
      () => void this.reload(),
      { clock, onError: (err) => log.warn({ err }, "certificates are not watched") },
    );
  }

  /** Options for tls.createServer. The server must be passed to attach(). */
  serverOptions(): TlsOptions {
    return {
      ...contextOptions(this.#server),
      requestCert: true,
      rejectUnauthorized: this.#options.clientAuth === "require",
      ALPNProtocols: ["h2", "http/1.1", peerProtocol],
      SNICallback: (name, done) => done(null, name === peerServerName ? this.#peerContext : undefined),
    };
  }

  /** Keeps the certificates of a server up to date and logs clients that it refuses, until it closes. */
  attach(server: Server): void {
    this.#servers.add(server);
    server.on("close", () => this.#servers.delete(server));
    this.#refusals.watch(server);
  }

  /**
   * Returns the identity of the other side. The result is cached for the socket.
   * @throws Fault "unauthenticated" with the reason, if the connection must not be served
   */
  identityOf(socket: TLSSocket): Identity {
    const known = this.#identities.get(socket);
    if (known !== undefined) return known;
    const found = this.#identify(socket, socket.alpnProtocol === peerProtocol);
    if (typeof found === "object") {
      this.#identities.set(socket, found);
      return found;
    }
    this.#refusals.refused(found, String(socket.authorizationError ?? ""), socket);
    const message =
      found === "missing"
        ? "a client certificate is required"
        : `the client certificate is refused (${found})`;
    throw new Fault("unauthenticated", { message, facts: { reason: found } });
  }

  #identify(socket: TLSSocket, isPeerLink: boolean): Identity | CertificateRefusal {
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) {
      return this.#options.clientAuth !== "require" && !isPeerLink ? anonymousIdentity : "missing";
    }
    if (!socket.authorized) return refusalOfCode(String(socket.authorizationError));
    const trusted = isPeerLink ? this.#peer.authorities : this.#server.authorities;
    if (!issuedBy(leaf, trusted)) return "wrong CA";
    return identityFrom(leaf, this.#peer.authorities);
  }

  /**
   * Options for tls.connect to a peer at `host`. They present the peer certificate, and accept a certificate of the
   * peers' CA that names `nodeName`, or that names no node and is valid for `host`.
   */
  peerConnectOptions(host: string, nodeName?: string): ConnectionOptions {
    return {
      ...contextOptions(this.#peer),
      ALPNProtocols: [peerProtocol],
      servername: peerServerName,
      rejectUnauthorized: true,
      checkServerIdentity: (_name, certificate) => checkPeerCertificate(certificate, host, nodeName),
    };
  }

  /** Reads the files again. Returns true if something changed. Files that are not valid are logged and not used. */
  reload(): boolean {
    this.#watch.follow();
    try {
      const server = readTlsFiles(this.#options.server);
      const peer = this.#options.peer === undefined ? server : readTlsFiles(this.#options.peer);
      if (sameMaterial(server, this.#server) && sameMaterial(peer, this.#peer)) return false;
      const peerContext = createSecureContext(contextOptions(peer));
      for (const listening of this.#servers) listening.setSecureContext(contextOptions(server));
      this.#server = server;
      this.#peer = peer;
      this.#peerContext = peerContext;
      this.#log.info({ certificates: this.certificates() }, "certificates reloaded");
      this.#validity.report();
      return true;
    } catch (err) {
      this.#log.error({ err }, "certificates not reloaded, the ones before stay in use");
      return false;
    }
  }

  /** The certificates that the node presents. */
  certificates(): CertificateInUse[] {
    return [certificateInUse("server", this.#server), certificateInUse("peer", this.#peer)];
  }

  /** Why clients and peers refuse the node's certificate now, if they do. */
  get problem(): string | undefined {
    return this.#validity.problem;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#validity[Symbol.dispose]();
  }
}

function contextOptions({ cert, key, ca }: TlsMaterial): SecureContextOptions {
  // Without tickets every connection presents its certificate. Renegotiation (TLS 1.2) would let a client cause work
  // repeatedly, or change its identity within a connection.
  const secureOptions = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;
  return { cert, key, ca, minVersion: "TLSv1.2", secureOptions };
}
