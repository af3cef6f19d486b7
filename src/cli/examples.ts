/** The examples in the help of each command. A test checks that every command has one and that the flags exist. */
import type { Command } from "commander";

export const examples: Readonly<Record<string, readonly string[]>> = {
  serve: ["tailrace serve --data-dir ./data", "tailrace serve --addr 127.0.0.1:8081 --config-file node.yaml"],
  produce: [
    "echo hello | tailrace produce",
    "tailrace produce photo.jpg --key photo --header type=image/jpeg",
    "tailrace produce orders.txt --log orders",
  ],
  consume: [
    "tailrace consume --from start --count 10",
    "tailrace consume --from 2026-01-31T12:00:00Z --format '%o %v\\n'",
    "tailrace consume --ago 1h --until 30m --log orders",
    "tailrace consume --log orders --cursor billing --follow",
    `tailrace consume --filter 'json.level == "error"'`,
  ],
  tail: [
    "tailrace tail --format raw",
    "tailrace tail -n 10",
    "tailrace tail -n 10 -f --log orders",
    "tailrace tail --prefix orders/",
  ],
  describe: ["tailrace describe", "tailrace describe --json --addr 127.0.0.1:8081"],
  trim: ["tailrace trim --before 1000"],
  logs: ["tailrace logs create orders", "tailrace logs list"],
  "logs list": ["tailrace logs list --prefix orders/"],
  "logs create": [
    "tailrace logs create orders",
    "tailrace logs create orders/eu --max-bytes 10GiB --content-type application/json --if-not-exists",
  ],
  "logs update": ["tailrace logs update orders --record-bytes-max 64KiB --unset max-bytes"],
  "logs close": ["tailrace logs close orders"],
  "logs delete": ["tailrace logs delete orders", "tailrace logs delete orders --yes"],
  "logs apply": ["tailrace logs apply -f logs.yaml --dry-run", "tailrace logs apply -f logs.yaml"],
  cursors: ["tailrace cursors list --log orders"],
  "cursors list": ["tailrace cursors list", "tailrace cursors list --log orders"],
  "cursors get": ["tailrace cursors get billing --log orders"],
  "cursors move": [
    "tailrace cursors move billing --log orders --to 1000",
    "tailrace cursors move billing --log orders --to start",
    "tailrace cursors move billing --log orders --to end --if-version 812",
  ],
  "cursors delete": ["tailrace cursors delete billing --log orders"],
  servers: ["tailrace servers", "tailrace servers --json"],
  status: ["tailrace status --addr 127.0.0.1:8081", "tailrace status --json"],
  transfer: ["tailrace transfer node-b"],
  add: ["tailrace add 127.0.0.1:8084 --id node-d"],
  remove: ["tailrace remove node-d"],
  leave: ["tailrace leave --addr 127.0.0.1:8084"],
  members: ["tailrace members --status failed"],
  event: ["tailrace event deploy v42"],
  query: ["tailrace query tailrace-status --timeout 2s", "tailrace query tailrace-status --node node-b"],
  keygen: ["tailrace keygen"],
  token: ["tailrace token keys rotate", "tailrace token issue --subject alice --expires 8h"],
  "token issue": [
    "tailrace token issue --subject alice --scope 'logs=orders/*:produce,consume' --expires 1h",
    "tailrace token issue --subject dashboard --scope 'logs=*:consume,describe' --expires 30d --json",
  ],
  "token revoke": ["tailrace token revoke kq3bT0eJ5mZl2m3T1b7Q0A", "tailrace token revoke --subject alice"],
  "token list": ["tailrace token list"],
  "token keys": ["tailrace token keys rotate", "tailrace token keys list"],
  "token keys rotate": ["tailrace token keys rotate", "tailrace token keys rotate --retire-after 1h"],
  "token keys list": ["tailrace token keys list"],
  "token keys remove": [
    "tailrace token keys remove 0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86z",
  ],
  whoami: [
    "tailrace whoami --tls-ca-file certs/ca.pem --tls-cert-file certs/root-client.pem --tls-key-file certs/root-client-key.pem",
  ],
  bench: ["tailrace bench", "tailrace bench --duration 10"],
  dev: ["tailrace dev --nodes 3", "tailrace dev --nodes 1 --plaintext"],
  config: ["tailrace config print --config-file node.yaml"],
  doctor: [
    "tailrace doctor",
    "tailrace doctor /var/lib/tailrace --json",
    "tailrace doctor --addr 127.0.0.1:8081 --ops-addr 127.0.0.1:9081",
  ],
  "config print": ["tailrace config print --data-dir ./data"],
  verify: [
    "tailrace verify ./data",
    "tailrace verify ./backup",
    "tailrace verify s3://my-bucket/tailrace",
    "tailrace verify --compare a/data b/data",
  ],
  repair: ["tailrace repair ./data", "tailrace repair ./data --yes"],
  backup: ["tailrace backup backups/today", "tailrace backup s3://my-bucket/tailrace --keep 7"],
  backups: ["tailrace backups s3://my-bucket/tailrace"],
  restore: [
    "tailrace restore backups/today --data-dir ./data",
    "tailrace restore s3://my-bucket/tailrace --data-dir ./data",
  ],
  recover: ["tailrace recover --data-dir ./data --force-config"],
  certs: ["tailrace certs --host node-a.example.org", "tailrace certs --issue alice"],
  acl: ["tailrace acl check root '*' produce --acl-policy-file certs/policy.csv"],
  "acl check": ["tailrace acl check root '*' produce --acl-policy-file certs/policy.csv"],
  completion: ["source <(tailrace completion bash)"],
  version: ["tailrace version"],
};

/** Returns the examples for the help of a command; empty if it has none. */
export function examplesText(words: string): string {
  const lines = examples[words] ?? [];
  return lines.length === 0
    ? ""
    : `\n${lines.length === 1 ? "Example" : "Examples"}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

/** Adds the examples to the help of a command and of its subcommands. */
export function addExamples(command: Command, above = ""): void {
  const words = `${above} ${command.name()}`.trim();
  command.addHelpText("after", examplesText(words));
  for (const inner of command.commands) addExamples(inner, words);
}
