/** The bar at the top: name, views, connection state, and the user's identity. */
import { ago, grouped } from "../core/format.ts";
import type { View } from "../core/url-state.ts";
import { logOut } from "../io/session.ts";
import {
  cluster,
  helping,
  identity,
  loggingIn,
  needsLogin,
  second,
  tail,
  theme,
  unread,
  view,
} from "../state/app.ts";
import { mayText, sessionEndText } from "./session-text.ts";
import { statusOf } from "./status.ts";

const views: readonly (readonly [View, string])[] = [
  ["tail", "Tail"],
  ["logs", "Logs"],
  ["cluster", "Cluster"],
  ["segments", "Segments"],
];

export function Bar() {
  return (
    <header class="bar">
      <h1 class="brand">
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M5 9h15a4.5 4.5 0 0 1 0 9H8M5 24h19" />
        </svg>
        Tailrace
      </h1>
      <nav class="tabs" aria-label="Views">
        {views.map(([name, label]) => (
          <button
            key={name}
            type="button"
            class="tab"
            aria-current={view.value === name ? "page" : undefined}
            onClick={() => {
              view.value = name;
            }}
          >
            {label}
          </button>
        ))}
      </nav>
      <Status />
      <div class="bar-end">
        <Who />
        <Session />
        <button
          type="button"
          class="icon"
          onClick={nextTheme}
          aria-label={`Theme: ${theme.value}`}
          title={`Theme: ${theme.value}`}
        >
          {theme.value === "system" ? "◐" : theme.value === "light" ? "○" : "●"}
        </button>
        <button
          type="button"
          class="icon"
          aria-label="Help and keys"
          title="Help and keys (?)"
          onClick={() => {
            helping.value = true;
          }}
        >
          ?
        </button>
      </div>
    </header>
  );
}

function nextTheme(): void {
  theme.value = theme.peek() === "system" ? "light" : theme.peek() === "light" ? "dark" : "system";
}

function Status() {
  const status = statusOf(tail, second.value, unread.value);
  return (
    <div class={`status tone-${status.tone}`}>
      <span class="dot" aria-hidden="true" />
      <span class="status-text" data-testid="status">
        {status.text}
      </span>
      <span class="sr" role="status">
        {status.spoken}
      </span>
    </div>
  );
}

/** Logs out; or in, for a user without any credential. A process on the machine of the node needs none. */
function Session() {
  const who = identity.value;
  if (who?.credential === "session")
    return (
      <button type="button" class="small" onClick={() => void logOutOrSay()}>
        Log out
      </button>
    );
  if (who?.credential !== "none" || who.subject === "local" || needsLogin.value) return null;
  return (
    <button
      type="button"
      class="small"
      onClick={() => {
        loggingIn.value = true;
      }}
    >
      Log in
    </button>
  );
}

async function logOutOrSay(): Promise<void> {
  if (!(await logOut())) tail.showNotice("The logout failed. You are still logged in; try again.");
}

function Who() {
  const who = identity.value;
  const node = cluster.extent.value?.nodeId ?? cluster.shape.value?.nodeId;
  const until = sessionEndText();
  const samples = cluster.samples.value;
  const seen =
    samples.length === 0
      ? ""
      : `, last heard ${ago((samples.at(-1) as { atMs: number }).atMs, second.value)}`;
  return (
    <span class="who" title={`${who === undefined ? "" : mayText(who.actions)}${seen}`}>
      {who !== undefined && <b>{who.subject}</b>}
      {until !== undefined && <span data-testid="until"> until {until}</span>}
      {node !== undefined && <span class="who-node"> at {node}</span>}
      {cluster.tails.value > 1 && <span class="who-tails"> · {grouped(cluster.tails.value)} tails</span>}
    </span>
  );
}
