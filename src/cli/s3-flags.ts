/** The flags of commands that use a bucket, and the store that they open. The credentials are the usual variables of AWS. */
import { type Command, Option } from "commander";
import { Fault } from "../fault.ts";
import type { ObjectStore, RetryNotice, S3Flags } from "../objects/mod.ts";
import { encryptions } from "../objects/s3/s3-settings.ts";
import { usageFault } from "./exit-status.ts";

export interface BucketFlags {
  readonly s3Endpoint?: string;
  readonly s3Encryption?: NonNullable<S3Flags["encryption"]>;
  readonly s3EncryptionKey?: string;
}

/** The endpoint is needed to read too, the encryption only to write. */
export function bucketOptions(command: Command, writes: boolean): Command {
  command.option(
    "--s3-endpoint <url>",
    "the URL of the S3 server, if it is not AWS (variables AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL; default: AWS in AWS_REGION)",
  );
  if (!writes) return command;
  return command
    .addOption(
      new Option(
        "--s3-encryption <kind>",
        "the encryption that the S3 server is asked for (default: that of the bucket)",
      ).choices(encryptions),
    )
    .option("--s3-encryption-key <id>", "the key of KMS for --s3-encryption aws:kms");
}

/**
 * Opens the store for a command, which says on standard error what it retries.
 * @throws Fault "config" for a URL or a setting that is not valid
 */
export async function openBucket(command: string, url: string, flags: BucketFlags): Promise<ObjectStore> {
  const { checkStoreUrl, openStore } = await import("../objects/mod.ts");
  const { prng, systemSeed } = await import("../lib/prng.ts");
  const { systemClock } = await import("../lib/time/clock.ts");
  const { printable } = await import("./output/terminal.ts");
  const { s3Endpoint: endpoint, s3Encryption: encryption, s3EncryptionKey: encryptionKey } = flags;
  try {
    checkStoreUrl(url);
  } catch (reason) {
    throw usageFault(Fault.from(reason).message);
  }
  return await openStore(url, {
    flags: { endpoint, encryption, encryptionKey },
    environment: process.env,
    clock: systemClock,
    random: prng(systemSeed()),
    onRetry: (notice) => console.error(`tailrace ${command}: ${printable(retryLine(notice))}`),
  });
}

/** `retrying: PUT backups/1: s3://logs: … failed: SlowDown (attempt 1 of 9, the next in 0.2 s)` */
function retryLine({ request, fault, attempt, attempts, pauseMs }: RetryNotice): string {
  const next = `attempt ${attempt} of ${attempts}, the next in ${(pauseMs / 1000).toFixed(1)} s`;
  return `retrying: ${request}: ${fault.message} (${next})`;
}
