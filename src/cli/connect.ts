/** The flags of all client commands, and the client that they open. */
import type { Command } from "commander";
import type { ClientProtocol, TailraceClient } from "../client/mod.ts";
import { isHostPort } from "../lib/host-port.ts";
import { argumentFault } from "./exit-status.ts";
import { jsonHelp } from "./output/output-rule.ts";
import { readTls } from "./tls-flags.ts";

export interface ConnectFlags {
  readonly addr: string;
  readonly tlsCaFile?: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  readonly json?: boolean;
  /** Only some commands have this flag. */
  readonly protocol?: ClientProtocol;
}

/** Adds --addr, the certificates and --json. */
export function connectOptions(command: Command): Command {
  const { env } = process;
  return command
    .option(
      "--addr <host:port>",
      "the address of the node (variable TAILRACE_ADDR)",
      env["TAILRACE_ADDR"] ?? "127.0.0.1:8080",
    )
    .option(
      "--tls-ca-file <file>",
      "the CA of the node's certificate, PEM (variable TAILRACE_TLS_CA_FILE)",
      env["TAILRACE_TLS_CA_FILE"],
    )
    .option(
      "--tls-cert-file <file>",
      "the client's certificate, PEM (variable TAILRACE_TLS_CERT_FILE)",
      env["TAILRACE_TLS_CERT_FILE"],
    )
    .option(
      "--tls-key-file <file>",
      "the private key of the client's certificate, PEM (variable TAILRACE_TLS_KEY_FILE)",
      env["TAILRACE_TLS_KEY_FILE"],
    )
    .option("--json", jsonHelp);
}

/**
 * Opens a client for these flags.
 * @throws Fault "config" for an invalid flag or a file that cannot be read
 */
export async function connect(flags: ConnectFlags): Promise<TailraceClient> {
  const { tlsCaFile, tlsCertFile, tlsKeyFile } = flags;
  if (!isHostPort(flags.addr)) throw argumentFault("--addr must be HOST:PORT", flags.addr);
  const secure = (tlsCaFile ?? tlsCertFile ?? tlsKeyFile) !== undefined;
  const tls = secure ? readTls(flags) : undefined;
  const { openClient } = await import("../client/mod.ts");
  const { protocol = "grpc" } = flags;
  // Only this node, without retries: a call fails at once. A tail still continues after a lost connection.
  return openClient({ addr: flags.addr, tls, protocol, discover: false, limits: { attemptsMax: 1 } });
}
