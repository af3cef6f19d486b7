/** What is wrong with an input, announced to screen readers. Nothing if `why` is undefined. */
export function Wrong({ why }: { why: string | undefined }) {
  return why === undefined ? null : (
    <p class="wrong" role="alert">
      {why}
    </p>
  );
}
