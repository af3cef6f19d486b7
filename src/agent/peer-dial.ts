/**
 * Connects to another node's port: with TLS, the peer certificate and ALPN, or in plaintext with a marker byte first.
 */
import { connect as connectNet } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { address as addressKind } from "../lib/value-kind.ts";
import { type NodeTls, peerProtocol, raftMarker } from "../server/mod.ts";

/** Returns the dial function of PeerNetwork. Errors are events of the socket. */
export function peerDial(
  tls: Pick<NodeTls, "peerConnectOptions"> | undefined,
): (address: string, name: string | undefined) => Duplex {
  return (at, name) => {
    const { host, port } = addressKind.parse(at);
    if (tls === undefined) {
      const socket = connectNet({ host, port, noDelay: true, keepAlive: true });
      socket.write(Uint8Array.of(raftMarker));
      return socket;
    }
    const socket = connectTls({ ...tls.peerConnectOptions(host, name), host, port });
    socket.setNoDelay(true);
    socket.once("secureConnect", () => {
      if (socket.alpnProtocol !== peerProtocol) {
        socket.destroy(new Error(`${at} did not accept the peer protocol`));
      }
    });
    return socket;
  };
}
