/** Sends a token with each call, in the header Authorization. */
import type { Interceptor } from "@connectrpc/connect";
import { Fault } from "../fault.ts";

/** A token, or a function that returns the one to use now. It is called for each call and each new stream of a tail. */
export type TokenOption = string | (() => string | Promise<string>);

/** Interceptors for the option `token`; none without it. @throws Fault "config" for a value that is not a token */
export function tokenInterceptors(token: TokenOption | undefined): Interceptor[] {
  if (token === undefined) return [];
  if (typeof token === "string") checked(token);
  else if (typeof token !== "function") throw notToken();
  return [
    (next) => async (request) => {
      const now = checked(typeof token === "string" ? token : await token());
      request.header.set("authorization", `Bearer ${now}`);
      return next(request);
    },
  ];
}

function checked(token: unknown): string {
  if (typeof token === "string" && /^[A-Za-z0-9._~+/-]+=*$/.test(token)) return token;
  throw notToken();
}

const notToken = (): Fault =>
  new Fault("config", { message: "the option token must be a token, or a function that returns one" });
