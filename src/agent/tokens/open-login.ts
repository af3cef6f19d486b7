/** Sessions of browsers, and the provider with which users log in. */
import { randomBytes } from "node:crypto";
import type { Identity } from "../../access/mod.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { Sessions } from "../../tokens/mod.ts";
import type { OpenedCluster } from "../cluster/open-cluster.ts";
import type { Config } from "../config/settings.ts";
import { OpenIdLogin } from "./login-provider.ts";

export interface OpenLoginOptions {
  readonly config: Config;
  readonly cluster: Pick<OpenedCluster, "replica" | "tokens" | "tokenAdmin">;
  /** Verifies tokens. */
  readonly identify: (token: string, peer: string | undefined) => Promise<Identity>;
  readonly clock: Clock;
}

/** A change about sessions needs no right. */
const noOperator = { subject: "", isPeer: false } as const;

export function openLogin({ config, cluster, identify, clock }: OpenLoginOptions) {
  const { replica, tokens, tokenAdmin } = cluster;
  const { oidcIssuer: issuer, oidcClientId: clientId, oidcClientSecretFile, oidcLoginScopes } = config;
  const sessions = new Sessions({
    source: tokens,
    identify,
    clusterId: () => replica.state.clusterId,
    isConfirmed: () => tokens.isConfirmed,
    refresh: () => tokens.refresh(),
    change: (request) => tokenAdmin.change(request, noOperator),
    random: randomBytes,
    clock,
  });
  const provider =
    issuer === undefined || clientId === undefined
      ? undefined
      : new OpenIdLogin({
          ...{ issuer, clientId, clock },
          clientSecretFile: oidcClientSecretFile,
          scopes: oidcLoginScopes,
        });
  return { sessions, provider, callbackUrl: config.oidcCallbackUrl };
}
