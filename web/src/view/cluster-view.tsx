/** The nodes as this node sees them, and the history of changes. */
import { type NodeRow, storyMax, toleranceOf } from "../core/cluster-events.ts";
import { grouped, milliseconds, timeOfDay } from "../core/format.ts";
import { zoneMinutesAt } from "../io/timing.ts";
import { cluster, second, timeStyle } from "../state/app.ts";
import { DeniedView } from "./denied-view.tsx";
import { ScrollBox } from "./scroll-box.tsx";

export function ClusterView() {
  const shape = cluster.shape.value;
  if (cluster.link.cursor.value.phase === "stopped") return <DeniedView what="the cluster" />;
  if (shape === undefined) return <p class="waiting">Asking the node…</p>;
  return (
    <div class="page">
      <div class="block">
        <h2 id="nodes-title">
          Nodes <span class="quiet">term {grouped(shape.term)}</span>
        </h2>
        <p class="quiet" data-testid="tolerance">
          {toleranceOf(shape)}
        </p>
        <ScrollBox labelledBy="nodes-title">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Node</th>
                <th scope="col">Role</th>
                <th scope="col" class="num">
                  Last offset
                </th>
                <th scope="col" class="num">
                  Commit index
                </th>
                <th scope="col" class="num">
                  Applied index
                </th>
                <th scope="col" class="num">
                  Lag
                </th>
                <th scope="col" class="num">
                  Last contact
                </th>
                <th scope="col">Version</th>
              </tr>
            </thead>
            <tbody>
              {shape.nodes.map((node) => (
                <Node key={node.id} node={node} leaderId={shape.leaderId} self={shape.nodeId} />
              ))}
            </tbody>
          </table>
        </ScrollBox>
      </div>
      <div class="block">
        <h2 id="story-title">
          What happened <span class="quiet">since this page was opened, newest first</span>
        </h2>
        <Story />
      </div>
    </div>
  );
}

function Node({ node, leaderId, self }: { node: NodeRow; leaderId: string; self: string }) {
  const sinceUpdate = Math.max(0, second.value - cluster.shapeAtMs.value);
  return (
    <tr class={node.healthy ? "" : "is-down"}>
      <th scope="row">
        <span class={`dot ${node.healthy ? "tone-good" : "tone-bad"}`} aria-hidden="true" /> {node.id}
        {node.id === self && <span class="quiet"> (this node)</span>}
        <div class="quiet mono">{node.rpcAddr}</div>
      </th>
      <td>
        {node.id === leaderId ? <span class="badge">♛ leader</span> : node.role}
        {!node.healthy && <div class="bad">{node.id === self ? "not ready" : "does not answer"}</div>}
      </td>
      <td class="num">{grouped(node.lastOffset)}</td>
      <td class="num">{grouped(node.commitIndex)}</td>
      <td class="num">{grouped(node.appliedIndex)}</td>
      <td class={`num ${node.lag > 0 ? "warn" : ""}`}>{grouped(node.lag)}</td>
      <td class="num">
        {node.id === self ? "—" : milliseconds(node.lastContactMs + (node.healthy ? 0 : sinceUpdate))}
      </td>
      <td>{node.version}</td>
    </tr>
  );
}

function Story() {
  const story = cluster.story.value;
  if (story.length === 0) return <p class="quiet">Nothing yet.</p>;
  return (
    <ol class="story" aria-label={`The last ${storyMax} events`}>
      {story.map(({ id, atMs, tone, text }) => (
        <li key={id}>
          <time>{timeOfDay(atMs, timeStyle.value === "utc" ? 0 : zoneMinutesAt(atMs))}</time>
          <span class={`dot tone-${tone === "plain" ? "idle" : tone}`} aria-hidden="true" />
          {text}
        </li>
      ))}
    </ol>
  );
}
