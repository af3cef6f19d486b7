/** The three plots over all views: records, bytes, append latency. */
import { compact, milliseconds, size } from "../core/format.ts";
import { niceBytes, type Sample } from "../core/series.ts";
import { cluster } from "../state/app.ts";
import { Plot } from "./plot.tsx";

const recordsIn = (sample: Sample): number => sample.recordsIn;
const recordsOut = (sample: Sample): number => sample.recordsOut;
const bytesIn = (sample: Sample): number => sample.bytesIn;
const bytesOut = (sample: Sample): number => sample.bytesOut;
const p50 = (sample: Sample): number | undefined => sample.p50Ms;
const p99 = (sample: Sample): number | undefined => sample.p99Ms;
const perSecond = (text: string): string => `${text}/s`;

export function Strip() {
  if (cluster.link.cursor.value.phase === "stopped") return null;
  return (
    <section class="strip" aria-label="Throughput of this node over the last five minutes">
      <Plot
        title="Records"
        lines={[
          { name: "in", pick: recordsIn, kind: "area" },
          { name: "out", pick: recordsOut, kind: "line" },
        ]}
        format={(value) => perSecond(compact(value))}
        least={10}
      />
      <Plot
        title="Bytes"
        lines={[
          { name: "in", pick: bytesIn, kind: "area" },
          { name: "out", pick: bytesOut, kind: "line" },
        ]}
        format={(value) => perSecond(size(value))}
        least={1024}
        nice={niceBytes}
      />
      <Plot
        title="Append"
        lines={[
          { name: "p50", pick: p50, kind: "area" },
          { name: "p99", pick: p99, kind: "line" },
        ]}
        format={milliseconds}
        least={1}
      />
    </section>
  );
}
