/**
 * The telemetry room: what a node tells about itself. See DESIGN.md.
 *
 * Never: imported by the rooms it listens to; they speak through src/lib/telemetry.ts.
 */
export { type NodeTelemetry, openTelemetry } from "./telemetry.ts";
