/** Shown instead of a panel that the policy hides: the user's identity and the reason. */
import { cluster, identity } from "../state/app.ts";

export function DeniedView({ what }: { what: string }) {
  const who = identity.value;
  return (
    <div class="empty">
      <h2>You may not see {what}</h2>
      {who !== undefined && (
        <p>
          You are <b>{who.subject}</b> and may{" "}
          {who.actions.length === 0 ? "do nothing here" : `only ${who.actions.join(", ")}`}; this needs
          “describe”.
        </p>
      )}
      <p class="quiet">{cluster.link.cursor.value.failure?.message}</p>
      <button type="button" class="button" onClick={() => cluster.link.send({ kind: "open" })}>
        Try again
      </button>
    </div>
  );
}
