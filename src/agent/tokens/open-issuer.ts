/**
 * The other issuer whose tokens the node takes, from `--oidc-issuer`. Its keys come from `--jwks-file`, or from the issuer: its
 * configuration (OpenID Connect Discovery §4) names the URL of its keys. The issuer is not asked before the first of its tokens.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Fault } from "../../fault.ts";
import { errorText } from "../../lib/disk/disk.ts";
import { watchFiles } from "../../lib/file-watch/file-watch.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { IssuerKeys, IssuerTokens } from "../../tokens/mod.ts";
import type { Config } from "../config/settings.ts";
import { fetchText } from "./bounded-fetch.ts";

export interface OpenIssuerOptions {
  readonly config: Pick<
    Config,
    "oidcIssuer" | "oidcAudience" | "jwksFile" | "oidcSubjectClaim" | "oidcScopeClaim"
  >;
  /** Called when keys have changed. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface OpenIssuer extends Disposable {
  /** Undefined: only tokens of the cluster are taken. */
  readonly tokens: IssuerTokens | undefined;
  /** Reads `--jwks-file` again, or asks the issuer. A failure is logged. */
  reload(): void;
}

/** @throws Fault "config" if --jwks-file cannot be used */
export async function openIssuer(options: OpenIssuerOptions): Promise<OpenIssuer> {
  const { config, onChange, clock, logger } = options;
  const { oidcIssuer: issuer, oidcAudience, jwksFile, oidcSubjectClaim, oidcScopeClaim } = config;
  if (issuer === undefined) return { tokens: undefined, reload: () => {}, [Symbol.dispose]: () => {} };
  using opening = new DisposableStack();
  const load = jwksFile === undefined ? () => keysOf(issuer) : () => readKeys(jwksFile);
  const keys = opening.use(new IssuerKeys({ load, onChange, clock, logger }));
  const tokens = new IssuerTokens({
    issuer,
    audiences: oidcAudience,
    subjectClaim: oidcSubjectClaim,
    scopeClaim: oidcScopeClaim,
    keys,
  });
  if (jwksFile !== undefined) {
    await keys.reload();
    if (keys.failure !== undefined)
      throw new Fault("config", {
        message: `--jwks-file ${jwksFile}: ${keys.failure.message}`,
        cause: keys.failure,
      });
    const watch = watchFiles([resolve(jwksFile)], () => void keys.reload(), {
      onError: (err) => logger.warn({ err }, "--jwks-file cannot be watched, send SIGHUP to reload it"),
    });
    opening.use(watch);
  }
  const owned = opening.move();
  return { tokens, reload: () => void keys.reload(), [Symbol.dispose]: () => owned.dispose() };
}

async function readKeys(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Fault("config", { message: errorText(cause), cause });
  }
}

async function keysOf(issuer: string): Promise<string> {
  const text = await fetchText(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  let found: { readonly issuer?: unknown; readonly jwks_uri?: unknown };
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new Fault("unavailable", { message: `the configuration of ${issuer} is not JSON`, cause });
  }
  if (found?.issuer !== issuer)
    throw new Fault("unavailable", {
      message: `the configuration of ${issuer} is that of another issuer, ${JSON.stringify(found?.issuer)?.slice(0, 100)}`,
    });
  const url = typeof found.jwks_uri === "string" ? URL.parse(found.jwks_uri) : null;
  // A secure issuer must not lead to keys that are not.
  if (url === null || !(url.protocol === "https:" || url.protocol === new URL(issuer).protocol))
    throw new Fault("unavailable", { message: `the configuration of ${issuer} names no URL of keys` });
  return fetchText(url.href);
}
