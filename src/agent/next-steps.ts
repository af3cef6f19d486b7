/** The lines below the ready line: first steps for a person. */
import { dirname, join } from "node:path";
import type { Config } from "./config/settings.ts";

/** Two lines: the dashboard's address, and a command that appends a record. */
export function nextSteps(
  url: string,
  config: Pick<Config, "serverTlsCertFile" | "serverTlsCaFile">,
): string {
  return `dashboard: ${url}/ui/\nappend:    ${curl(config)} --data-binary 'hello' ${url}/logs/default`;
}

function curl({
  serverTlsCertFile,
  serverTlsCaFile,
}: Pick<Config, "serverTlsCertFile" | "serverTlsCaFile">): string {
  if (serverTlsCertFile === undefined) return "curl";
  const ca = serverTlsCaFile ?? "ca.pem";
  const beside = (name: string): string => join(dirname(ca), name); // Where `tailrace certs` puts it.
  return `curl --cacert ${ca} --cert ${beside("root-client.pem")} --key ${beside("root-client-key.pem")}`;
}
