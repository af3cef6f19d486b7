/** How much a tab holds. */
export const ringLimits = { recordsMax: 50_000, bytesMax: 32 << 20 };
/** How much of what a search finds. The rest is counted. */
export const foundLimits = { recordsMax: 10_000, bytesMax: 16 << 20 };
/** A search stops after so many more matches, because each of them is sent to the page, also if it is only counted. */
export const foundBeforeStop = 100_000;
