/** The tools above the list: where the tail starts, the filter, how values are shown, and the buttons of the panels. */
import { configuring, may, open, producing, showingCursors, showsFound, tail } from "../state/app.ts";
import { FilterBar } from "./filter-bar.tsx";
import { togglePause } from "./keys.ts";
import { FormatPicker, TimePicker } from "./pickers.tsx";
import { StartPicker } from "./start-picker.tsx";

/** Opens this panel or closes it, and closes the others. */
function toggle(panel: typeof producing | typeof showingCursors): void {
  const isOpen = panel.peek();
  producing.value = false;
  showingCursors.value = false;
  configuring.value = false;
  open.value = undefined;
  panel.value = !isOpen;
}

export function TailTools() {
  return (
    <div class="tools">
      {!showsFound.value && <StartPicker />}
      <FilterBar />
      <FormatPicker />
      <TimePicker />
      {!showsFound.value && (
        <button type="button" class="button" aria-pressed={!tail.following.value} onClick={togglePause}>
          {tail.following.value ? "Pause" : "Resume"}
        </button>
      )}
      <button
        type="button"
        class="button"
        aria-pressed={showingCursors.value}
        onClick={() => toggle(showingCursors)}
      >
        Cursors
      </button>
      {may("produce") && (
        <button
          type="button"
          class="button primary"
          aria-pressed={producing.value}
          onClick={() => toggle(producing)}
        >
          Produce
        </button>
      )}
    </div>
  );
}
