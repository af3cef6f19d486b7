/** A change in progress, and the server's message if it was refused. */
import { useSignal } from "@preact/signals";

/** `run` takes a change that returns what is wrong. It returns true if the change was made. */
export function useChange() {
  const busy = useSignal(false);
  const refused = useSignal<string | undefined>(undefined);
  const run = async (change: () => Promise<string | undefined>): Promise<boolean> => {
    if (busy.peek()) return false;
    busy.value = true;
    refused.value = await change();
    busy.value = false;
    return refused.peek() === undefined;
  };
  return { busy: busy.value, refused: refused.value, run };
}
