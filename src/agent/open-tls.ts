/** Opens the node's certificates, as the settings name them. */
import { Fault } from "../fault.ts";
import type { Clock } from "../lib/time/clock.ts";
import { NodeTls } from "../server/mod.ts";
import type { NodeTelemetry } from "../telemetry/mod.ts";
import type { Config } from "./config/settings.ts";

/**
 * Returns undefined if the settings name no certificate: then the node serves plaintext.
 * @throws Fault "config" if a file is invalid, or a certificate is not valid now and --allow-expired-certificates is not set
 */
export function openTls(config: Config, { log, metrics }: NodeTelemetry, clock: Clock): NodeTls | undefined {
  const { serverTlsCertFile, serverTlsKeyFile, serverTlsCaFile } = config;
  if (serverTlsCertFile === undefined || serverTlsKeyFile === undefined) return undefined;
  if (serverTlsCaFile === undefined)
    throw new Fault("config", { message: "--server-tls-ca-file is missing" });
  const server = { certFile: serverTlsCertFile, keyFile: serverTlsKeyFile, caFile: serverTlsCaFile };
  const { peerTlsCertFile, peerTlsKeyFile, peerTlsCaFile } = config;
  const hasPeerFiles = (peerTlsCertFile ?? peerTlsCaFile) !== undefined;
  const peer = {
    certFile: peerTlsCertFile ?? serverTlsCertFile,
    keyFile: peerTlsKeyFile ?? serverTlsKeyFile,
    caFile: peerTlsCaFile ?? serverTlsCaFile,
  };
  const tls = new NodeTls({
    server,
    ...(hasPeerFiles ? { peer } : {}),
    clientAuth: config.clientAuth,
    log,
    metrics,
    clock,
  });
  const { problem } = tls;
  if (problem === undefined || config.allowExpiredCertificates) return tls;
  tls[Symbol.dispose]();
  throw new Fault("config", {
    message: `${problem}, so no client would accept it: renew it, or start with --allow-expired-certificates`,
  });
}
