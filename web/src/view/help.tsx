/** The keys, and the way to the handbook, in a dialog. */
import { useEffect, useRef } from "preact/hooks";
import { grouped, size } from "../core/format.ts";
import { ringLimits } from "../core/limits.ts";
import { helping, identity } from "../state/app.ts";
import { mayText, sessionEndText } from "./session-text.ts";

const keys: readonly (readonly [string, string])[] = [
  ["Space", "pause, or resume; in a search of the whole log: stop, or go on"],
  ["/", "filter, or search for a log"],
  ["g", "the start of the log"],
  ["G", "the live end"],
  ["j  k", "next, previous record or log"],
  ["Enter", "open the record or log"],
  ["c", "copy its value"],
  ["p", "produce"],
  ["n", "in Logs: create a log"],
  ["d", "in Logs: describe the log"],
  ["Esc", "close, leave a field, resume"],
  ["?", "this page"],
];

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const close = (): void => {
    helping.value = false;
  };
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <Who />
      <h2 id="help-title">Keys</h2>
      <dl class="keys">
        {keys.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              {key.split("  ").map((one) => (
                <kbd key={one}>{one}</kbd>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet">
        The page holds the last {grouped(ringLimits.recordsMax)} records or {size(ringLimits.bytesMax)},
        whichever is less, and says how many have left. The filter runs here, over what is held. Text queries
        ignore case unless they contain a capital; a regular expression may be written /body/flags; a path
        looks like <code>$.user.id = 7</code>.
      </p>
      <p class="quiet">
        The <a href="/docs/">handbook</a> describes the log, its commands and its errors.
      </p>
      <button type="button" class="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}

/** Also for a narrow window, whose bar has no room for it. */
function Who() {
  const who = identity.value;
  const until = sessionEndText();
  if (who === undefined) return null;
  return (
    <p>
      You are <b>{who.subject}</b>. {mayText(who.actions)}.
      {until !== undefined && ` Your session ends at ${until}.`}
    </p>
  );
}
