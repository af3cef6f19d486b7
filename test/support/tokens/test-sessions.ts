/** Sessions of one node for tests. Changes go through what the leader decides, and through bytes. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { changesFor, decodeChange, encodeChange, requestFrom, Sessions } from "../../../src/tokens/mod.ts";
import { type TestTokens, testAudience } from "./test-tokens.ts";

export const testSessions = (
  tokens: TestTokens,
  options: Partial<ConstructorParameters<typeof Sessions>[0]> = {},
): Sessions =>
  new Sessions({
    source: tokens,
    identify: (token, from) => tokens.verifier.identify(token, from),
    clusterId: () => testAudience,
    isConfirmed: () => true,
    refresh: async () => {
      tokens.refreshes++;
    },
    change: async (request) => {
      const asked = requestFrom(JSON.parse(JSON.stringify(request)));
      for (const change of changesFor(tokens.state, asked, { nowMs: tokens.nowMs(), isTrusted: true }, ""))
        tokens.change(decodeChange(encodeChange(change)));
    },
    random: randomBytes,
    clock: { ...systemClock, wallMs: () => tokens.nowMs() },
    ...options,
  });
