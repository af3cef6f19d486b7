/**
 * The RPCs of log.v1.Tokens: the keys of tokens, and what is revoked. They translate messages; TokenAdmin does the work. The
 * permission table and then the leader check that the caller may do this.
 */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Principal } from "../../../access/mod.ts";
import { Fault } from "../../../fault.ts";
import type { Tokens } from "../../../gen/log/v1/log_pb.js";
import { keyIdOf, sessionIdPrefix, type TokenRequest, type TokenState } from "../../../tokens/mod.ts";
import { signalOf, unlessAborted } from "../../calls/abort.ts";
import { callOf } from "../../calls/call-context.ts";

/** Changes and shows keys and revocations. Rejects with Faults. */
export interface TokenAdmin {
  /** The claim `aud` of the tokens of this cluster. */
  readonly audience: string;
  change(request: TokenRequest, caller: Principal): Promise<void>;
  /** After all changes that were acknowledged before. */
  state(): Promise<TokenState>;
}

export function tokensService(admin: TokenAdmin): ServiceImpl<typeof Tokens> {
  const change = (request: TokenRequest, context: HandlerContext): Promise<void> => {
    const call = callOf(context);
    const work = admin.change(request, call.client.identity);
    return unlessAborted(work, signalOf(call, context.signal), "unknown");
  };
  return {
    async addTokenKey({ publicKey, replaces, retireAfterMs }, context) {
      const x = Buffer.from(publicKey).toString("base64url");
      const request = {
        ...({ kind: "add-key", x } as const),
        ...(replaces === "" ? {} : { replaces }),
        ...(retireAfterMs === undefined ? {} : { retireAfterMs: Number(retireAfterMs) }),
      };
      await change(request, context);
      return { id: keyIdOf(x), audience: admin.audience };
    },

    async removeTokenKey({ id }, context) {
      await change({ kind: "remove-key", id }, context);
      return {};
    },

    async listTokenKeys() {
      const { keys } = await admin.state();
      return {
        audience: admin.audience,
        keys: [...keys.values()].map(({ id, x, addedMs, retiresMs = 0, addedBy }) => ({
          ...{ id, addedBy },
          publicKey: Buffer.from(x, "base64url"),
          addedMs: BigInt(addedMs),
          retiresMs: BigInt(retiresMs),
        })),
      };
    },

    async revokeToken({ what, expiresMs }, context) {
      if (what.case === undefined)
        throw new Fault("bad-request", {
          message: "id or subject is needed: the token, or the subject whose tokens are to be revoked",
          facts: { field: "what" },
        });
      if (what.case === "subject") await change({ kind: "revoke-subject", subject: what.value }, context);
      else {
        const expires = expiresMs === 0n ? {} : { expiresMs: Number(expiresMs) };
        await change({ kind: "revoke", id: what.value, ...expires }, context);
      }
      return {};
    },

    async listRevokedTokens() {
      const { revokedIds, revokedSubjects } = await admin.state();
      return {
        tokens: tokensIn(revokedIds).map(([id, untilMs]) => ({ id, untilMs: BigInt(untilMs) })),
        subjects: [...revokedSubjects].map(([subject, ms]) => ({ subject, issuedUntilMs: BigInt(ms) })),
      };
    },
  };
}

/** Sessions that were logged out are left out: there can be thousands, and no operator has revoked them. */
const tokensIn = (revokedIds: TokenState["revokedIds"]): readonly [id: string, untilMs: number][] =>
  [...revokedIds].filter(([id]) => !id.startsWith(sessionIdPrefix));
