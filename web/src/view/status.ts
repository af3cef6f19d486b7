/** The state of the connection as text, and its color. */
import { grouped, span } from "../core/format.ts";
import type { Tail } from "../state/tail.ts";

export interface Status {
  readonly tone: "good" | "busy" | "bad" | "idle";
  readonly text: string;
  /** For a screen reader: the same without what ticks. */
  readonly spoken: string;
}

const plain = (tone: Status["tone"], text: string): Status => ({ tone, text, spoken: text });

export function statusOf(tail: Tail, now: number, unread: number): Status {
  const cursor = tail.link.cursor.value;
  switch (cursor.phase) {
    case "connecting":
      return cursor.attempt > 0 ? plain("bad", "Reconnecting…") : plain("busy", "Connecting…");
    case "waiting": {
      const left = Math.max(0, cursor.retryAtMs - now);
      const when = left < 1000 ? "…" : ` in ${span(Math.ceil(left / 1000) * 1000)}`;
      return { tone: "bad", text: `Reconnecting${when}`, spoken: "Reconnecting" };
    }
    case "hidden":
      return plain("idle", "Asleep");
    case "stopped":
      return cursor.failure?.kind === "closed" ? plain("idle", "Closed") : plain("bad", "Stopped");
    default:
      return reading(tail, unread);
  }
}

function reading(tail: Tail, unread: number): Status {
  if (!tail.following.value) return plain("idle", "Paused");
  if (tail.caughtUp.value && unread < 1000) return plain("good", "Live");
  return {
    tone: "busy",
    text: unread > 0 ? `Catching up, ${grouped(unread)} to go` : "Live",
    spoken: "Catching up",
  };
}
