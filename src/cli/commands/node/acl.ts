/**
 * `tailrace acl check SUBJECT OBJECT ACTION`: what the access rules of a node with the same files decide, and why. It needs
 * no running node.
 */
import type { Command } from "commander";
import type { Action, Decision } from "../../../access/mod.ts";
import { argumentFault, exitStatus } from "../../exit-status.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  const acl = program.command("acl").description("explain the access rules");
  acl
    .command("check")
    .description(
      "print whether SUBJECT may do ACTION on OBJECT, and which rule decides (exit status 0 if allowed, 4 if denied)",
    )
    .argument("<subject>", "the common name of a certificate, or local, or anonymous")
    .argument("<object>", "the name of a log, or * for every log and for default")
    .argument("<action>", "produce, consume, describe, trim, create, delete, configure, admin or peer")
    .option("--acl-model-file <file>", "Casbin model", process.env["TAILRACE_ACL_MODEL_FILE"])
    .option("--acl-policy-file <file>", "Casbin policy", process.env["TAILRACE_ACL_POLICY_FILE"])
    .option("--node-certificate", "the certificate of the subject is one of a node")
    .option("--json", "JSON on standard output")
    .action((subject: string, object: string, action: string, flags: Flags) =>
      runCommand("acl", () => check(subject, object, action, flags)),
    );
}

async function check(subject: string, object: string, action: string, flags: Flags): Promise<number> {
  const { actions, isAction } = await import("../../../access/mod.ts");
  if (!isAction(action)) throw argumentFault(`the action must be one of ${actions.join(", ")}`, action);
  const decision = await decide(subject, object, action, flags);
  const answer = decision.allowed ? "allowed" : "denied";
  console.log(
    flags.json
      ? JSON.stringify({ subject, object, action, ...decision })
      : `${answer}: "${subject}" ${action} "${object}": ${decision.because}`,
  );
  return decision.allowed ? exitStatus.done : exitStatus.permission;
}

async function decide(subject: string, object: string, action: Action, flags: Flags): Promise<Decision> {
  const { readAccessFiles } = await import("../../../agent/access-files.ts");
  const { AccessControl, logObject, namedIdentity } = await import("../../../access/mod.ts");
  const source = readAccessFiles({ modelFile: flags.aclModelFile, policyFile: flags.aclPolicyFile });
  const access = await AccessControl.open(source);
  const asked = object === "default" ? logObject : object;
  return access.explain(namedIdentity(subject, flags.nodeCertificate), asked, action);
}

interface Flags {
  readonly aclModelFile?: string;
  readonly aclPolicyFile?: string;
  readonly nodeCertificate?: boolean;
  readonly json?: boolean;
}
