/** Telemetry of a node: log, metrics and traces. Other modules use the port src/lib/telemetry.ts. See DESIGN.md. */
export { type NodeTelemetry, openTelemetry } from "./telemetry.ts";
