/**
 * The rules between settings. Pure: files that settings name are checked where they are opened.
 */
import { Fault } from "../../fault.ts";
import { isLoopback, isWildcard } from "../../lib/value-kind.ts";
import type { Config, SettingName } from "./settings.ts";
import { keyOf } from "./settings.ts";

/** @throws Fault "config" if settings contradict each other */
export function checkConfig(config: Config): void {
  checkTls(config);
  need(
    !isWildcard(config.addr.host) || config.advertiseAddr !== undefined,
    "--advertise-addr is needed when --addr binds all interfaces",
  );
  checkIssuer(config);
  checkGossip(config);
  checkBackup(config);
  need(
    !(config.bootstrap && config.bootstrapExpect !== undefined),
    "--bootstrap and --bootstrap-expect exclude each other",
  );
  need(
    config.recordBytesMax <= config.requestBytesMax,
    "--record-bytes-max must not be larger than --request-bytes-max",
  );
  need(
    config.nodeName === undefined || /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(config.nodeName),
    "--node-name takes at most 128 letters, digits, dots, dashes and underscores, and starts with a letter or digit",
  );
  for (const origin of config.corsOrigins) {
    need(
      /^https?:\/\/[^/*\s]+$/.test(origin),
      `--cors-origins takes origins such as https://example.org, not "${origin}"`,
    );
  }
}

function checkTls(config: Config): void {
  together(config, "serverTlsCertFile", "serverTlsKeyFile");
  together(config, "peerTlsCertFile", "peerTlsKeyFile");
  const secure = config.serverTlsCertFile !== undefined;
  need(
    secure || (config.serverTlsCaFile === undefined && config.peerTlsCertFile === undefined),
    "--server-tls-ca-file and the peer certificate need --server-tls-cert-file and --server-tls-key-file",
  );
  need(
    !secure || config.clientAuth !== "require" || config.serverTlsCaFile !== undefined,
    "TLS needs --server-tls-ca-file to authenticate clients, or --client-auth optional",
  );
  need(
    secure || config.clientAuth !== "token",
    "--client-auth token needs --server-tls-cert-file: others can read a token that is sent in plaintext, and on loopback every client may do everything",
  );
  need(
    secure || isLoopback(config.addr.host) || config.allowPlaintext,
    `--addr ${config.addr.host} is not loopback and would serve plaintext: set the TLS files, or --allow-plaintext`,
  );
}

/** Without a policy, every user of the issuer could do what a certificate can. */
function checkIssuer(config: Config): void {
  const { oidcIssuer, oidcAudience, jwksFile, oidcScopeClaim, aclPolicyFile } = config;
  const { oidcClientId, oidcClientSecretFile, oidcCallbackUrl, serverTlsCertFile } = config;
  const needed = oidcAudience.length > 0 && aclPolicyFile !== undefined;
  need(
    oidcIssuer === undefined || needed,
    "--oidc-issuer needs --oidc-audience and --acl-policy-file: the policy says what its users may do, such as p, oidc:alice, *, consume",
  );
  const others = oidcAudience.length > 0 || (jwksFile ?? oidcScopeClaim) !== undefined;
  need(
    oidcIssuer !== undefined || !others,
    "--oidc-audience, --jwks-file and --oidc-scope-claim need --oidc-issuer",
  );
  need(
    oidcClientId === undefined || oidcAudience.includes(oidcClientId),
    "--oidc-client-id must be one of --oidc-audience: the tokens of a login have it as their audience",
  );
  need(
    oidcClientId !== undefined || (oidcClientSecretFile ?? oidcCallbackUrl) === undefined,
    "--oidc-client-secret-file and --oidc-callback-url need --oidc-client-id",
  );
  need(
    oidcClientId === undefined || serverTlsCertFile !== undefined,
    "--oidc-client-id needs --server-tls-cert-file: in plaintext, every client on the node's machine may do everything without a login, and so may all clients of a proxy there",
  );
  need(
    oidcCallbackUrl === undefined || /^https:.*\/login\/callback$/.test(oidcCallbackUrl),
    "--oidc-callback-url is an https URL that ends with /login/callback",
  );
}

function checkGossip({ addr, gossipAddr, encrypt, advertiseAddr }: Config): void {
  const { host } = gossipAddr ?? addr;
  need(
    encrypt !== undefined || isLoopback(host),
    "--encrypt is needed when gossip is not on loopback; tailrace keygen makes a key",
  );
  need(
    encrypt === undefined || isGossipKey(encrypt),
    "--encrypt takes a key of 16, 24 or 32 bytes in base64; tailrace keygen makes one",
  );
  need(
    gossipAddr === undefined || !isWildcard(host) || advertiseAddr !== undefined,
    "--advertise-addr is needed when --gossip-addr binds all interfaces",
  );
}

function checkBackup(config: Config): void {
  const { restoreFrom, bootstrap, bootstrapExpect, startJoinAddrs, s3Encryption, s3EncryptionKey } = config;
  // Without another node, it would start a cluster from an old backup.
  const joins = startJoinAddrs.length > 0 && !bootstrap && bootstrapExpect !== 1;
  need(
    restoreFrom === undefined || joins,
    "--restore-from is for a node that joins a cluster with --start-join-addrs; use tailrace restore to start a cluster from a backup",
  );
  need(
    s3EncryptionKey === undefined || (s3Encryption !== undefined && s3Encryption !== "AES256"),
    "--s3-encryption-key needs --s3-encryption aws:kms or aws:kms:dsse",
  );
}

function need(holds: boolean, message: string): void {
  if (!holds) throw new Fault("config", { message });
}

/** Two settings of which neither or both are given. */
function together(config: Config, ...names: readonly [SettingName, SettingName]): void {
  const [given, missing] = [
    names.filter((name) => config[name] !== undefined),
    names.filter((name) => config[name] === undefined),
  ];
  const flags = (some: readonly SettingName[]): string =>
    some.map((name) => `--${keyOf(name)}`).join(" and ");
  need(given.length === 0 || missing.length === 0, `${flags(given)} needs ${flags(missing)}`);
}

function isGossipKey(text: string): boolean {
  const key = Buffer.from(text, "base64");
  return [16, 24, 32].includes(key.length) && key.toString("base64") === text;
}
