/** Whether tests can have a network and mounts of their own. */
import { spawnSync } from "node:child_process";

/** Options for test(): empty if namespaces can be made and file systems mounted in them, else a reason to skip. */
export function requireNamespaces(): { skip?: string } {
  const { status } = spawnSync("unshare", ["--net", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
  if (status === 0) return {};
  const required = (process.env["TAILRACE_REQUIRE"] ?? "").split(",").includes("namespaces");
  if (required) throw new Error("no namespace can be made, and TAILRACE_REQUIRE asks for it");
  return {
    skip: "no namespace can be made, which needs root (TAILRACE_REQUIRE=namespaces makes this a failure)",
  };
}
