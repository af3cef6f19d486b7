/**
 * `tailrace acl check SUBJECT OBJECT ACTION`: what the access rules of a node started with the same files would
 * decide, and why. It needs no running node.
 *
 * Never: changes a rule.
 */
import type { Command } from "commander";
import type { Action, Decision } from "../../../access/mod.ts";

/** Exit statuses, as in every command. */
const failed = 1;
const usage = 2;
const denied = 4;

export function register(program: Command): void {
  const acl = program.command("acl").description("explain the access rules");
  acl
    .command("check")
    .description("say whether SUBJECT may do ACTION to OBJECT, and which rule says so (exit 0 yes, 4 no)")
    .argument("<subject>", "common name of a certificate, or local, or anonymous")
    .argument("<object>", "the log: *")
    .argument("<action>", "produce, consume, describe, trim, admin or peer")
    .option("--acl-model-file <file>", "Casbin model", process.env["TAILRACE_ACL_MODEL_FILE"])
    .option("--acl-policy-file <file>", "Casbin policy", process.env["TAILRACE_ACL_POLICY_FILE"])
    .option("--node-certificate", "the subject's certificate names a node")
    .option("--json", "one JSON object")
    .action(async (subject: string, object: string, action: string, flags: Flags) => {
      const { actions, isAction } = await import("../../../access/mod.ts");
      if (!isAction(action)) {
        console.error(`tailrace acl: no action ${action}; there are ${actions.join(", ")}`);
        process.exitCode = usage;
        return;
      }
      const { Fault } = await import("../../../fault.ts");
      try {
        const decision = await decide(subject, object, action, flags);
        const answer = decision.allowed ? "allowed" : "denied";
        console.log(
          flags.json
            ? JSON.stringify({ subject, object, action, ...decision })
            : `${answer}: "${subject}" ${action} "${object}": ${decision.because}`,
        );
        if (!decision.allowed) process.exitCode = denied;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        console.error(`tailrace acl: ${error.message}`);
        process.exitCode = failed;
      }
    });
}

async function decide(subject: string, object: string, action: Action, flags: Flags): Promise<Decision> {
  const { readAccessFiles } = await import("../../../agent/access-files.ts");
  const { AccessControl, namedIdentity } = await import("../../../access/mod.ts");
  const source = readAccessFiles({ modelFile: flags.aclModelFile, policyFile: flags.aclPolicyFile });
  const access = await AccessControl.open(source);
  return access.explain(namedIdentity(subject, flags.nodeCertificate), object, action);
}

interface Flags {
  readonly aclModelFile?: string;
  readonly aclPolicyFile?: string;
  readonly nodeCertificate?: boolean;
  readonly json?: boolean;
}
