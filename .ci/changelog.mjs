/** The sections of CHANGELOG.md: each begins with `## VERSION — DATE`, or `## Unreleased`. */

/** Returns the text of a version's section, without its heading, or undefined if it is missing or empty. */
export function sectionOf(changelog, version) {
  const sections = changelog.split(/^## /m).slice(1);
  const found = sections.find((section) => section.split(/\s/, 1)[0] === version);
  const text = found?.slice(found.indexOf("\n")).trim();
  return text === "" ? undefined : text;
}
