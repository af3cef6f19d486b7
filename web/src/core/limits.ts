/** How much a tab holds. */
export const ringLimits = { recordsMax: 50_000, bytesMax: 32 << 20 };
