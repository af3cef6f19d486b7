/** A row of buttons of which one is pressed. */
interface ModeButtonsProps<T extends string> {
  readonly class: "formats" | "modes";
  /** For screen readers. */
  readonly legend: string;
  /** Each with its label, and a title where the label is a sign. */
  readonly modes: readonly (readonly [mode: T, label: string, title?: string | undefined])[];
  readonly pressed: T;
  readonly onPress: (mode: T) => void;
}

export function ModeButtons<T extends string>(props: ModeButtonsProps<T>) {
  return (
    <fieldset class={props.class}>
      <legend class="sr">{props.legend}</legend>
      {props.modes.map(([mode, label, title]) => (
        <button
          key={mode}
          type="button"
          class="mode"
          aria-pressed={mode === props.pressed}
          aria-label={title}
          title={title}
          onClick={() => props.onPress(mode)}
        >
          {label}
        </button>
      ))}
    </fieldset>
  );
}
