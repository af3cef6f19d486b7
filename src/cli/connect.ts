/**
 * The flags of all client commands, and the client that they open. In this order: the flag, the profile of --profile, the
 * variable, the profile that is used without --profile.
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { ClientProtocol, TailraceClient } from "../client/mod.ts";
import { errorText } from "../lib/disk/disk.ts";
import { isHostPort } from "../lib/host-port.ts";
import { argumentFault, usageFault } from "./exit-status.ts";
import { jsonHelp } from "./output/output-rule.ts";
import type { Profile } from "./profiles/profile-file.ts";
import { type SelectedProfile, selectProfile } from "./profiles/select-profile.ts";
import { readTls, type TlsFlags, type TlsTexts } from "./tls-flags.ts";

export interface ConnectFlags extends TlsFlags {
  readonly addr?: string;
  readonly profile?: string;
  readonly json?: boolean;
  readonly token?: string;
  readonly tokenFile?: string;
  /** Only some commands have this flag. */
  readonly protocol?: ClientProtocol;
}

/** Adds --addr, the certificates, the token, --profile and --json. */
export function connectOptions(command: Command): Command {
  return command
    .option(
      "--addr <host:port>",
      "the address of the node (variable TAILRACE_ADDR; default: that of the profile, or 127.0.0.1:8080)",
    )
    .option("--tls-ca-file <file>", "the CA of the node's certificate, PEM (variable TAILRACE_TLS_CA_FILE)")
    .option("--tls-cert-file <file>", "the client's certificate, PEM (variable TAILRACE_TLS_CERT_FILE)")
    .option(
      "--tls-key-file <file>",
      "the private key of the client's certificate, PEM (variable TAILRACE_TLS_KEY_FILE)",
    )
    .option(
      "--token <token>",
      "a token; others on this machine can see it, so prefer --token-file (variable TAILRACE_TOKEN)",
    )
    .option("--token-file <file>", "a file that holds a token (variable TAILRACE_TOKEN_FILE)")
    .option(
      "--profile <name>",
      "the profile of ~/.config/tailrace/config.yaml with address and certificates, the path of another such file, or none (variable TAILRACE_PROFILE)",
    )
    .option("--json", jsonHelp);
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a command connects to, and with which certificates. */
export interface Target extends TlsFlags {
  readonly addr: string;
  /** Where the address is from. */
  readonly source: "flag" | "environment" | "profile" | "default";
  /** Undefined also if the address is another one than the profile's own. */
  readonly profile: SelectedProfile | undefined;
  /** A token, or the file that holds one. */
  readonly token?: TokenPlace;
}

/** Where the token is from. */
export type TokenPlace = { readonly token: string } | { readonly file: string };

/**
 * Returns the target of these flags. A profile gives a certificate and its key together, and only for its own address.
 * @throws Fault "config" for an address that is not HOST:PORT, and for a profile that cannot be used
 */
export async function targetOf(flags: ConnectFlags, environment: Environment = process.env): Promise<Target> {
  const selected = await selectProfile(flags.profile, environment);
  const { addr, source } = addressOf(flags, selected, environment);
  const isOther = selected?.addr !== undefined && selected.addr !== addr;
  if (isOther && flags.profile !== undefined && hasCertificates(selected))
    throw usageFault(
      `--addr ${addr} is not the address of the profile "${selected.name}" (${selected.addr}), whose certificates and token are only for that: leave out --addr or --profile`,
    );
  const profile = isOther ? undefined : selected;
  const token = tokenOf(flags, profile, environment);
  const credentials = certificatesOf(flags, profile, environment);
  return { addr, source, profile, ...(token === undefined ? {} : { token }), ...credentials };
}

/** A profile's token is not used beside a certificate that is stated: the token would count, and not the certificate. */
function tokenOf(
  flags: ConnectFlags,
  profile: SelectedProfile | undefined,
  environment: Environment,
): TokenPlace | undefined {
  if (flags.token !== undefined && flags.tokenFile !== undefined)
    throw usageFault("--token and --token-file exclude each other");
  const stated = placeOf(flags.token, flags.tokenFile);
  const variable = placeOf(
    environment["TAILRACE_TOKEN"] || undefined,
    environment["TAILRACE_TOKEN_FILE"] || undefined,
  );
  const own = hasPair(flags) ? undefined : placeOf(undefined, profile?.tokenFile);
  return stated ?? (flags.profile === undefined ? (variable ?? own) : (own ?? variable));
}

const placeOf = (token: string | undefined, file: string | undefined): TokenPlace | undefined =>
  token !== undefined ? { token } : file !== undefined ? { file } : undefined;

/** Reads the token of the target. @throws Fault "config" for a file that cannot be read, or that holds no token */
export function readToken({ token }: Target): string | undefined {
  if (token === undefined) return undefined;
  const isFile = "file" in token;
  let text: string;
  try {
    text = (isFile ? readFileSync(token.file, "utf8") : token.token).trim();
  } catch (cause) {
    throw usageFault(`the token cannot be read: ${errorText(cause)}`);
  }
  if (/^[A-Za-z0-9._~+/-]+=*$/.test(text)) return text;
  throw usageFault(
    isFile ? `${token.file} does not hold a token` : "--token (TAILRACE_TOKEN) is not a token",
  );
}

function addressOf(
  flags: ConnectFlags,
  profile: SelectedProfile | undefined,
  environment: Environment,
): Pick<Target, "addr" | "source"> {
  const variable = ["environment", environment["TAILRACE_ADDR"]] as const;
  const own = ["profile", profile?.addr] as const;
  const places = flags.profile === undefined ? [variable, own] : [own, variable];
  for (const [source, addr] of [["flag", flags.addr] as const, ...places]) {
    if (addr === undefined) continue;
    const name = source === "environment" ? "TAILRACE_ADDR" : "--addr";
    if (!isHostPort(addr)) throw argumentFault(`${name} must be HOST:PORT`, addr);
    return { addr, source };
  }
  return { addr: "127.0.0.1:8080", source: "default" };
}

type FilesOf = { readonly [Field in keyof TlsFlags]: string | undefined };
const tlsFields = ["tlsCaFile", "tlsCertFile", "tlsKeyFile"] as const;
const hasCertificates = (profile: Profile): boolean =>
  "tokenFile" in profile || tlsFields.some((field) => field in profile);
const hasPair = ({ tlsCertFile, tlsKeyFile }: FilesOf): boolean => (tlsCertFile ?? tlsKeyFile) !== undefined;

function certificatesOf(
  flags: ConnectFlags,
  profile: TlsFlags | undefined,
  environment: Environment,
): TlsFlags {
  const variables: FilesOf = {
    tlsCaFile: environment["TAILRACE_TLS_CA_FILE"],
    tlsCertFile: environment["TAILRACE_TLS_CERT_FILE"],
    tlsKeyFile: environment["TAILRACE_TLS_KEY_FILE"],
  };
  const isNamed = flags.profile !== undefined;
  const isStated = hasPair(flags) || (!isNamed && hasPair(variables));
  const own: FilesOf = isStated ? { tlsCaFile: profile?.tlsCaFile } : { ...profile };
  const places: readonly FilesOf[] = isNamed ? [flags, own, variables] : [flags, variables, own];
  const files = tlsFields.flatMap((field) => {
    const file = places.map((place) => place[field]).find((found) => found !== undefined);
    return file === undefined ? [] : [[field, file] as const];
  });
  return Object.fromEntries(files);
}

/**
 * Opens a client for these flags.
 * @throws Fault "config" for an invalid flag, or a profile or a file that cannot be read
 */
export async function connect(flags: ConnectFlags): Promise<TailraceClient> {
  return openTarget(await targetOf(flags), flags.protocol);
}

/** The certificates of the target; undefined for plaintext. @throws Fault "config" for a file that cannot be read */
export function tlsOf(target: Target): TlsTexts | undefined {
  const { tlsCaFile, tlsCertFile, tlsKeyFile } = target;
  return (tlsCaFile ?? tlsCertFile ?? tlsKeyFile) === undefined ? undefined : readTls(target);
}

/** Opens a client. @throws Fault "config" for a file that cannot be read */
export async function openTarget(target: Target, protocol: ClientProtocol = "grpc"): Promise<TailraceClient> {
  const { addr } = target;
  const tls = tlsOf(target);
  const token = readToken(target);
  const { openClient } = await import("../client/mod.ts");
  // Only this node, without retries: a call fails at once. A tail still continues after a lost connection.
  return openClient({ addr, tls, token, protocol, discover: false, limits: { attemptsMax: 1 } });
}
