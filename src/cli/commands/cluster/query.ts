/** `tailrace query NAME [PAYLOAD]`: sends a query to the members and prints the answers as they arrive. */
import { type Command, InvalidArgumentError } from "commander";
import { QueryResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { parseDuration } from "../../../lib/value-kind.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

interface QueryFlags extends ConnectFlags {
  /** In milliseconds. */
  readonly timeout?: number;
  readonly node: readonly string[];
  /** The regular expression of each tag. */
  readonly tag: Readonly<Record<string, string>>;
}

const addNode = (name: string, before: readonly string[]): readonly string[] => [...before, name];

export function register(program: Command): void {
  connectOptions(program.command("query").description("send a query to the members and print their answers"))
    .argument(
      "<name>",
      "the name of the query; nodes answer tailrace-status, Serf agents can answer other names",
    )
    .argument("[payload]", "the payload; name, payload and filters have at most 1024 bytes", "")
    .option("--timeout <duration>", "how long to wait for answers, such as 2s", timeoutOf)
    .option("--node <name>", "only this member (repeatable)", addNode, [])
    .option("--tag <name=regexp>", "only members with a matching tag (repeatable)", addTag, {})
    .action((name: string, payload: string, flags: QueryFlags) =>
      runCommand("query", () => query(name, payload, flags)),
    );
}

async function query(name: string, payload: string, flags: QueryFlags): Promise<undefined> {
  const request = {
    name,
    payload: Buffer.from(payload),
    timeoutMs: flags.timeout ?? 0,
    filterNodes: [...flags.node],
    filterTags: { ...flags.tag },
  };
  using client = await connect(flags);
  let answers = 0;
  let acks = 0;
  for await (const answer of client.rpc.cluster.query(request)) {
    if (answer.ack) acks++;
    else answers++;
    if (flags.json) await print(jsonLine(toPlainJson(QueryResponseSchema, answer)));
    else if (!answer.ack) {
      const text = Buffer.from(answer.payload).toString("utf8");
      await print(`${printable(answer.from)}: ${printable(text)}\n`);
    }
  }
  console.error(`received by ${acks}, answered by ${answers}`);
}

function timeoutOf(text: string): number {
  const timeoutMs = parseDuration(text);
  if (timeoutMs === undefined) throw new InvalidArgumentError("It must be a duration such as 2s.");
  return timeoutMs;
}

function addTag(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must be NAME=REGEXP.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
