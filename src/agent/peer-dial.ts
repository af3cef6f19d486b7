/**
 * Calls another node on its one port: TLS with the peers' certificate and ALPN, or plaintext with the marker in front.
 *
 * Never: retries, reads.
 */
import { connect as connectNet } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { address as addressKind } from "../lib/value-kind.ts";
import { type NodeTls, peerProtocol, raftMarker } from "../server/mod.ts";

/** For PeerNetwork. What goes wrong is an event of the socket. */
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
        socket.destroy(new Error(`${at} does not speak with peers`));
      }
    });
    return socket;
  };
}
