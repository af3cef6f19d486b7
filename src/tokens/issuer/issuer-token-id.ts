/** The id of a token of another issuer, as it is revoked. Pure. */
import { createHash } from "node:crypto";
import { idCharsMax } from "../limits.ts";
import { isId } from "../token-state.ts";

/** Before each such id. */
const prefix = "oidc.";

/**
 * Returns the id for a token with this claim `jti`: the claim, or a hash for a token without one that can be revoked. The hash is of what is
 * signed: a holder can change the text of the signature, and the signature of an elliptic curve itself, and the token stays valid.
 */
export function issuerTokenId(token: string, jti: unknown): string {
  const id = `${prefix}${String(jti)}`;
  if (typeof jti === "string" && id.length <= idCharsMax && isId(id)) return id;
  const signed = token.slice(0, token.lastIndexOf("."));
  return `${prefix}${createHash("sha256").update(signed).digest("base64url")}`;
}
