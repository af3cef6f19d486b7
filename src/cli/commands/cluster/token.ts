/**
 * `tailrace token issue|revoke|list|keys`: tokens for clients without a certificate. The private key stays in a file of the
 * operator; the cluster gets the public key.
 */
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { Fault } from "../../../fault.ts";
import { ListTokenKeysResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { systemClock } from "../../../lib/time/clock.ts";
import { parseDuration } from "../../../lib/value-kind.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { argumentFault, usageFault } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { table, timeText } from "../../output/table.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";
import {
  defaultKeyFile,
  issuedTokens,
  newKeyFile,
  noteIssued,
  readKey,
  replaceKey,
  writeKey,
} from "../../tokens/key-file.ts";

interface KeyFlags {
  readonly keyFile?: string;
}
interface IssueFlags extends KeyFlags {
  readonly subject: string;
  readonly scope?: string;
  readonly expires: string;
  readonly json?: true;
}
interface RotateFlags extends ConnectFlags, KeyFlags {
  readonly retireAfter?: string;
}
interface RevokeFlags extends ConnectFlags {
  readonly subject?: string;
}

const keyFileHelp = "the file with the private key (default: ~/.config/tailrace/token-key.json)";
const timeoutMs = 15_000;

export function register(program: Command): void {
  const token = program
    .command("token")
    .description("issue and revoke tokens, and rotate the keys that sign them");
  token
    .command("issue")
    .description("print a new token, signed with the key of this user; no node is asked")
    .requiredOption("--subject <name>", "the subject whose rights it gives, as the policy names it")
    .option("--scope <scopes>", "what of these rights it gives: logs=orders/*:produce,consume (default: all)")
    .option("--expires <duration>", "how long it is valid, at most 366d", "1h")
    .option("--key-file <file>", keyFileHelp)
    .option("--json", "JSON on standard output")
    .action((flags: IssueFlags) => runCommand("token issue", () => issue(flags)));
  connectOptions(
    token
      .command("revoke")
      .description(
        "revoke one token, or all tokens of a subject that were issued up to now; their streams end",
      )
      .argument("[token]", "the id of the token, or the token itself"),
  )
    .option("--subject <name>", "revoke all tokens of this subject")
    .action((id: string | undefined, flags: RevokeFlags) =>
      runCommand("token revoke", () => revoke(id, flags), "write"),
    );
  connectOptions(
    token
      .command("list")
      .description("list the tokens that were issued with the key of this user, and what is revoked"),
  )
    .option("--key-file <file>", keyFileHelp)
    .action((flags: ConnectFlags & KeyFlags) => runCommand("token list", () => list(flags)));
  registerKeys(token);
}

function registerKeys(token: Command): void {
  const keys = token.command("keys").description("the keys that sign tokens");
  connectOptions(
    keys.command("rotate").description("make a new key for this user, and add its public key to the cluster"),
  )
    .option("--key-file <file>", keyFileHelp)
    .option(
      "--retire-after <duration>",
      "how long tokens of the key before stay valid (default: until they expire)",
    )
    .action((flags: RotateFlags) => runCommand("token keys rotate", () => rotate(flags), "write"));
  connectOptions(keys.command("list").description("list the keys of the cluster")).action(
    (flags: ConnectFlags) => runCommand("token keys list", () => listKeys(flags)),
  );
  connectOptions(
    keys
      .command("remove")
      .description("remove a key from the cluster: all tokens that it signed are invalid at once")
      .argument("<id>", "the id of the key, as `tailrace token keys list` prints it"),
  ).action((id: string, flags: ConnectFlags) =>
    runCommand("token keys remove", () => removeKey(id, flags), "write"),
  );
}

async function issue({
  subject,
  scope,
  expires,
  keyFile = defaultKeyFile(),
  json,
}: IssueFlags): Promise<undefined> {
  const lifeMs = durationOf("--expires", expires);
  const key = readKey(keyFile);
  if (key === undefined)
    throw usageFault(
      `there is no key in ${keyFile}: tailrace token keys rotate makes one and adds it to the cluster`,
    );
  const { issueToken } = await import("../../../tokens/issue-token.ts");
  const nowMs = systemClock.wallMs();
  const id = randomBytes(16).toString("base64url");
  const token = await issueToken(key, { subject, scope, lifeMs, id, nowMs });
  const expiresMs = (Math.floor(nowMs / 1000) + Math.floor(lifeMs / 1000)) * 1000;
  noteIssued(keyFile, { id, subject, scope, issued_ms: nowMs, expires_ms: expiresMs, key: key.kid });
  if (json)
    await print(
      jsonLine({ token, id, subject, ...(scope === undefined ? {} : { scope }), expires_ms: expiresMs }),
    );
  else {
    console.error(printable(`token ${id} of ${subject}, valid until ${timeText(expiresMs)}`));
    await print(`${token}\n`);
  }
}

async function revoke(id: string | undefined, flags: RevokeFlags): Promise<undefined> {
  const { subject } = flags;
  if ((id === undefined) === (subject === undefined))
    throw usageFault("name one token by its id, or --subject for all tokens of a subject");
  using client = await connect(flags);
  if (subject !== undefined) {
    await client.rpc.tokens.revokeToken({ what: { case: "subject", value: subject } }, { timeoutMs });
    await print(jsonLine({ revoked_subject: subject }));
    return;
  }
  const { value, expiresMs } = await revocationOf(id ?? "");
  await client.rpc.tokens.revokeToken({ what: { case: "id", value }, expiresMs }, { timeoutMs });
  await print(jsonLine({ revoked: value }));
}

/** A token has two dots. Its claims say its id; its signature does not matter. */
async function revocationOf(text: string): Promise<{ value: string; expiresMs: bigint }> {
  if (!/^[^.]+\.[^.]+\.[^.]+$/.test(text) || text.length < 100) return { value: text, expiresMs: 0n };
  const { decodeJwt } = await import("jose");
  const { tokenIssuer } = await import("../../../tokens/token-verifier.ts");
  const { issuerTokenId } = await import("../../../tokens/issuer/issuer-token-id.ts");
  try {
    const { iss, jti, exp = 0 } = decodeJwt(text);
    const expiresMs = BigInt(Math.ceil(exp * 1000));
    if (iss !== tokenIssuer) return { value: issuerTokenId(text, jti), expiresMs };
    if (jti === undefined) throw usageFault("the token has no id (jti)");
    return { value: jti, expiresMs };
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw usageFault("the argument is neither the id of a token nor a token");
  }
}

async function list(flags: ConnectFlags & KeyFlags): Promise<undefined> {
  using client = await connect(flags);
  const { tokens, subjects } = await client.rpc.tokens.listRevokedTokens({}, { timeoutMs });
  const revoked = new Set(tokens.map(({ id }) => id));
  const until = new Map(subjects.map(({ subject, issuedUntilMs }) => [subject, Number(issuedUntilMs)]));
  const nowMs = systemClock.wallMs();
  const issued = issuedTokens(flags.keyFile ?? defaultKeyFile());
  const known = new Set(issued.map(({ id }) => id));
  const rows = [
    ...issued.map(({ id, subject, scope = "", issued_ms, expires_ms }) => {
      const isRevoked = revoked.has(id) || issued_ms <= (until.get(subject) ?? -1);
      return {
        id,
        subject,
        scope,
        expires_ms,
        state: isRevoked ? "revoked" : expires_ms <= nowMs ? "expired" : "valid",
      };
    }),
    ...tokens
      .filter(({ id }) => !known.has(id))
      .map(({ id, untilMs }) => ({
        id,
        subject: "",
        scope: "",
        expires_ms: Number(untilMs),
        state: "revoked",
      })),
  ];
  if (flags.json) {
    for (const row of rows) await print(jsonLine(row));
    return;
  }
  await print(
    table(
      ["id", "subject", "scope", "expires", "state"],
      rows.map(({ id, subject, scope, expires_ms, state }) => [
        id,
        subject,
        scope,
        timeText(expires_ms),
        state,
      ]),
    ),
  );
  for (const [subject, ms] of until)
    await print(printable(`all tokens of ${subject} that were issued up to ${timeText(ms)} are revoked\n`));
}

async function rotate(flags: RotateFlags): Promise<undefined> {
  const { keyFile = defaultKeyFile(), retireAfter } = flags;
  const retireAfterMs =
    retireAfter === undefined ? undefined : BigInt(durationOf("--retire-after", retireAfter));
  const old = readKey(keyFile);
  // A rotation that was interrupted goes on with its key: the cluster may have it already.
  const found = readKey(newKeyFile(keyFile));
  const { makeSigningKey } = await import("../../../tokens/issue-token.ts");
  const key = found ?? (await makeSigningKey());
  if (found === undefined) writeKey(newKeyFile(keyFile), key);
  using client = await connect(flags);
  const { id, audience } = await client.rpc.tokens.addTokenKey(
    {
      publicKey: Buffer.from(key.x, "base64url"),
      replaces: old?.kid ?? "",
      ...(retireAfterMs === undefined ? {} : { retireAfterMs }),
    },
    { timeoutMs },
  );
  writeKey(newKeyFile(keyFile), { ...key, audience });
  replaceKey(keyFile);
  await print(jsonLine({ key: id, ...(old === undefined ? {} : { replaced: old.kid }), key_file: keyFile }));
}

async function listKeys(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const found = await client.rpc.tokens.listTokenKeys({}, { timeoutMs });
  if (flags.json) {
    await print(jsonLine(toPlainJson(ListTokenKeysResponseSchema, found)));
    return;
  }
  const rows = found.keys.map(({ id, addedBy, addedMs, retiresMs }) => [
    id,
    addedBy,
    timeText(Number(addedMs)),
    retiresMs === 0n ? "" : timeText(Number(retiresMs)),
  ]);
  await print(table(["id", "added by", "added", "retires"], rows));
}

async function removeKey(id: string, flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  await client.rpc.tokens.removeTokenKey({ id }, { timeoutMs });
  await print(jsonLine({ removed: id }));
}

function durationOf(flag: string, text: string): number {
  const found = parseDuration(text);
  if (found === undefined) throw argumentFault(`${flag} takes a duration such as 1h or 30d`, text);
  return found;
}
