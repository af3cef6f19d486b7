/** The public suite of the Durable Streams protocol, for Vitest. The variable names the node: see durable-streams.test.ts. */
import { runConformanceTests } from "@durable-streams/server-conformance-tests";

const { DURABLE_STREAMS_URL: baseUrl } = process.env;
if (baseUrl === undefined) throw new Error("DURABLE_STREAMS_URL is the URL of a node");
runConformanceTests({ baseUrl });
