/** Pages of the handbook whose commands need several nodes and minutes. A test of the stage "long" runs them. */
export const longPages: readonly string[] = ["docs/operations.md"];
