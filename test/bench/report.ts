/** Prints a figure: its name, the value, the target, and the ratio to a limit of the same run. */

const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly bar?: string;
  readonly ratio?: { readonly to: string; readonly value: number };
  readonly note?: string;
}

export function report({ name, value, unit, bar, ratio, note }: Figure): void {
  const shown = value >= 100 ? count.format(value) : value.toFixed(2);
  const parts = [name.padEnd(52), `${shown} ${unit}`.padStart(16)];
  if (bar !== undefined) parts.push(`bar ${bar}`);
  if (ratio !== undefined) parts.push(`${(ratio.value).toFixed(2)} of ${ratio.to}`);
  if (note !== undefined) parts.push(note);
  console.log(parts.join("  "));
}

/** Returns the median of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] as number;
}
