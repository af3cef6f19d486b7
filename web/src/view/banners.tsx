/** Banners: problems, and what the user can do about them. */
import type { ComponentChildren } from "preact";
import type { StreamFailure } from "../core/failure.ts";
import { grouped } from "../core/format.ts";
import { providerPage } from "../io/session.ts";
import {
  cluster,
  goTo,
  identity,
  linkOn,
  loggingIn,
  openLog,
  second,
  sessionEnd,
  tail,
  view,
} from "../state/app.ts";
import { sessionEndText } from "./session-text.ts";

/** Failures in a row before a reconnect becomes a banner. */
const quietTries = 2;

export function Banners() {
  const shape = cluster.shape.value;
  return (
    <div class="banners">
      {shape !== undefined && !shape.hasQuorum && (
        <Banner tone="bad" title="Quorum is lost">
          {shape.nodes.filter((node) => node.healthy).length} of {shape.nodes.length} nodes answer. Reads go
          on with what is committed; nothing can be appended until a majority is back.
        </Banner>
      )}
      {sessionEnd.isNear.value && <SessionEnds />}
      {!troubleFillsView() && <Trouble />}
      {tail.notices.value.map((notice) => (
        <Banner key={notice.id} tone="plain" title={notice.text}>
          {notice.goTo !== undefined && (
            <button
              type="button"
              class="small"
              onClick={() => goTo(notice.goTo as NonNullable<typeof notice.goTo>)}
            >
              Go back there
            </button>
          )}
          <button type="button" class="small" onClick={() => tail.dismiss(notice.id)}>
            Dismiss
          </button>
        </Banner>
      ))}
    </div>
  );
}

/** A login before the end. The provider's page leads back to the address, so it is read again each second. */
function SessionEnds() {
  second.value;
  // The provider would log in another subject where the session is by a token of the cluster.
  const byProvider =
    sessionEnd.options.value?.provider !== undefined && identity.value?.subject.startsWith("oidc:") === true;
  return (
    <Banner tone="plain" title={`Your session ends at ${sessionEndText()}`}>
      {byProvider ? (
        <a class="small" href={providerPage()}>
          Log in again
        </a>
      ) : (
        <button
          type="button"
          class="small"
          onClick={() => {
            loggingIn.value = true;
          }}
        >
          Log in again
        </button>
      )}
    </Banner>
  );
}

/** A tail that was stopped before it showed anything shows the reason in its whole view. */
export function troubleFillsView(): boolean {
  tail.version.value;
  const { phase, failure } = tail.link.cursor.value;
  return view.value === "tail" && tail.ring.count === 0 && (phase === "stopped" || isBeyond(failure));
}

/** A page that has read nothing asked for a place after the end. It keeps asking, since a node can be behind. */
const isBeyond = (failure: StreamFailure | undefined): boolean =>
  failure?.kind === "beyond" && !tail.anchored;

/** Returns the server's message as a sentence. */
const sentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1).replace(/\.$/, "")}`;

export function Trouble() {
  const { phase, attempt, failure, nodes } = tail.link.cursor.value;
  if (failure === undefined) return null;
  if (phase === "stopped" || isBeyond(failure)) return <Stopped failure={failure} />;
  if (attempt <= quietTries) return null;
  const others = nodes.filter((node) => node !== nodes[0]);
  return (
    <Banner tone="bad" title={failure.kind === "network" ? "No node answers" : "The log is not available"}>
      {sentence(failure.message)}
      <Facts failure={failure} />. Tried {attempt} times; the page goes on where it stopped as soon as a node
      answers.
      <button type="button" class="small" onClick={() => tail.link.send({ kind: "online" })}>
        Try now
      </button>
      {others.map((node) => (
        <a key={node} class="small" href={linkOn(node)}>
          Open on {new URL(node).host}
        </a>
      ))}
    </Banner>
  );
}

function Stopped({ failure }: { failure: StreamFailure }) {
  const { lowest, next } = failure;
  const reading = tail.anchored ? tail.ring.next : undefined;
  if (failure.kind === "denied" || failure.kind === "unauthenticated") return <Denied failure={failure} />;
  if (failure.kind === "trimmed" && lowest !== undefined) {
    const from = reading ?? askedFor();
    return (
      <Banner
        tone="bad"
        title={reading === undefined ? "That part of the log is gone" : "The log was trimmed under this tail"}
      >
        {from === undefined
          ? ""
          : `Records ${grouped(from)}–${grouped(lowest - 1)} were removed before they were read here. `}
        The log now begins at {grouped(lowest)}.
        <button type="button" class="small" onClick={() => goTo({ kind: "offset", offset: lowest })}>
          Read on at {grouped(lowest)}
        </button>
      </Banner>
    );
  }
  if (failure.kind === "beyond" && next !== undefined) {
    return (
      <Banner tone="bad" title="The log ends before this place">
        It ends at {grouped(next)}
        {reading === undefined
          ? ""
          : `, and this page has read up to ${grouped(reading)}: this is another log, or one that was put back`}
        .
        <button type="button" class="small" onClick={() => goTo({ kind: "last", count: 200 })}>
          Go to its end
        </button>
      </Banner>
    );
  }
  if (failure.kind === "closed") {
    // The list and the status say it otherwise.
    return tail.ring.count > 0 ? null : (
      <Banner tone="plain" title="The log is closed">
        It takes no more records, and there is none to show from here.
        <button type="button" class="small" onClick={() => goTo({ kind: "start" })}>
          Go to its beginning
        </button>
      </Banner>
    );
  }
  if (tail.log.value !== "" && (failure.kind === "absent" || failure.kind === "replaced")) {
    return <Gone failure={failure} />;
  }
  return (
    <Banner tone="bad" title="The node refused">
      {sentence(failure.message)}
      <Facts failure={failure} />.
      <button type="button" class="small" onClick={() => tail.link.send({ kind: "open" })}>
        Try again
      </button>
    </Banner>
  );
}

/** The log does not exist, or another log has its name now. */
function Gone({ failure }: { failure: StreamFailure }) {
  const name = tail.log.value;
  const isReplaced = failure.kind === "replaced";
  return (
    <Banner tone="bad" title={isReplaced ? "Another log has this name now" : "There is no such log"}>
      {sentence(failure.message)}
      <Facts failure={failure} />.
      <button type="button" class="small" onClick={() => openLog(name)}>
        {isReplaced ? "Show the new log" : "Try again"}
      </button>
      <button
        type="button"
        class="small"
        onClick={() => {
          view.value = "logs";
        }}
      >
        All logs
      </button>
    </Banner>
  );
}

const askedFor = (): number | undefined => {
  const from = tail.from.value;
  return from.kind === "offset" ? from.offset : undefined;
};

const credentialText = (credential: string): string =>
  credential === "session"
    ? "your login"
    : location.protocol === "https:"
      ? "your client certificate"
      : "this plaintext connection";

function Denied({ failure }: { failure: StreamFailure }) {
  const who = identity.value;
  return (
    <Banner
      tone="bad"
      title={failure.kind === "denied" ? "You may not read this log" : "The node does not know you"}
    >
      {who === undefined ? (
        <>The page could not find out who you are. </>
      ) : (
        <>
          You are <b data-testid="subject">{who.subject}</b>, by {credentialText(who.credential)}, and may{" "}
          {who.actions.length === 0 ? "do nothing here" : `only ${who.actions.join(", ")}`}.{" "}
        </>
      )}
      The node said: {failure.message}
      <Facts failure={failure} />.
      <button type="button" class="small" onClick={() => tail.link.send({ kind: "open" })}>
        Try again
      </button>
    </Banner>
  );
}

function Facts({ failure }: { failure: StreamFailure }) {
  const facts = [failure.code, failure.requestId === undefined ? "" : `request ${failure.requestId}`];
  const text = facts.filter((fact) => fact !== "").join(", ");
  return text === "" ? null : <span class="quiet"> ({text})</span>;
}

interface BannerProps {
  readonly tone: "bad" | "plain";
  readonly title: string;
  readonly children: ComponentChildren;
}

function Banner({ tone, title, children }: BannerProps) {
  return (
    <div class={`banner banner-${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <strong>{title}</strong>
      <span class="banner-body">{children}</span>
    </div>
  );
}
