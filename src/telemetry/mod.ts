/**
 * The telemetry room: what a node tells about itself. See DESIGN.md.
 *
 * Never: imported by the rooms it listens to; they speak through src/lib/telemetry.ts.
 */
export { Instruments, type MetricSnapshot } from "./instruments.ts";
export { createLogger, type LogLevel, logLevels, type NodeLogger } from "./logger.ts";
export { type NodeTelemetry, openTelemetry, type TelemetryOptions } from "./telemetry.ts";
export { formatTraceparent, parseTraceparent, type TraceContext } from "./trace-context.ts";
