/**
 * A regular expression in the syntax of RE2, whose time is linear in the text. The engine of @bufbuild/re2 reads the text through
 * an object of ours, which counts each character, and each state that it builds is counted too. So a long text or a hostile
 * pattern ends the evaluation, and does not hold the event loop.
 */
import { RE2JS } from "@bufbuild/re2";
import { searchUnits } from "./search-units.ts";
import { meter } from "./work-meter.ts";

/** Longest pattern, in UTF-16 code units, and largest program. */
const patternLengthMax = 500;
const patternInstructionsMax = 500;

/** States and transitions of one automaton, before it begins again. About 1 MB. */
const statesMax = 256;
const transitionsMax = 8_192;
/** Patterns of the process that keep their states. */
const warmMax = 32;
const warm = new Set<Pattern>();

const unanchored = 0;
/** Units for one character. */
const characterUnits = 3;

type Engine = ReturnType<RE2JS["re2"]>;
type Input = Parameters<Engine["executeEngine"]>[0];

export class Pattern {
  readonly #engine: Engine;
  readonly #stateUnits: number;
  #transitions = 0;

  /** @throws Error that says what is wrong with the pattern */
  constructor(pattern: string) {
    if (pattern.length > patternLengthMax)
      throw new Error(`a regular expression has at most ${patternLengthMax} characters`);
    this.#engine = RE2JS.compile(pattern).re2();
    const instructions = this.#engine.prog.numInst();
    if (instructions > patternInstructionsMax)
      throw new Error(
        `the regular expression is too large: ${instructions} instructions, the limit is ${patternInstructionsMax}`,
      );
    this.#stateUnits = 200 + 8 * instructions;
    this.#countStates();
  }

  /** Returns true if a part of the text matches. @throws the error of the meter */
  test(text: string): boolean {
    warm.delete(this);
    warm.add(this);
    if (warm.size > warmMax)
      for (const oldest of warm) {
        oldest.#forget();
        break;
      }
    if (this.#transitions > transitionsMax) this.#forget();
    try {
      return this.#search(text);
    } catch (reason) {
      if (reason !== automatonIsFull) throw reason;
    }
    // The states of other texts are in the way.
    this.#forget();
    return this.#search(text);
  }

  #search(text: string): boolean {
    return this.#engine.executeEngine(new CountedText(text), 0, unanchored, 0) !== null;
  }

  #countStates(): void {
    const engine = this.#engine;
    const { dfa } = engine;
    dfa.stateLimit = statesMax;
    const getState = dfa.getState.bind(dfa);
    dfa.getState = (instructions) => {
      meter.charge(this.#stateUnits);
      this.#transitions++;
      return getState(instructions);
    };
    const resolve = dfa.resolveEmptyWidth.bind(dfa);
    dfa.resolveEmptyWidth = (states, context) => {
      meter.charge(40 + 5 * states.length);
      return resolve(states, context);
    };
    // It takes time for each instruction and character.
    engine._nfaFallback = () => {
      throw automatonIsFull;
    };
  }

  #forget(): void {
    const { dfa } = this.#engine;
    dfa.stateCache.clear();
    dfa.stateCount = 0;
    dfa.startState = null;
    dfa.cacheClears = 0;
    dfa.failed = false;
    this.#transitions = 0;
    warm.delete(this);
  }
}

const automatonIsFull = new Error("the regular expression needs too many states for this text");

const [firstHigh, lastHigh, firstLow, lastLow] = [0xd800, 0xdbff, 0xdc00, 0xdfff];
const supplementary = 0x1_0000;
const endOfText = -8;

/** The text as the engine reads it: step() returns a code point, times 8, plus its length in code units. */
class CountedText implements Input {
  readonly charSequence: string;
  readonly start = 0;
  readonly end: number;

  constructor(text: string) {
    this.charSequence = text;
    this.end = text.length;
  }

  endPos(): number {
    return this.end;
  }

  step(position: number): number {
    meter.charge(characterUnits);
    if (position >= this.end) return endOfText;
    const high = this.charSequence.charCodeAt(position);
    if (high < firstHigh || high > lastHigh || position + 1 >= this.end) return (high << 3) | 1;
    const low = this.charSequence.charCodeAt(position + 1);
    if (low < firstLow || low > lastLow) return (high << 3) | 1;
    return (((high - firstHigh) * 0x400 + (low - firstLow) + supplementary) << 3) | 2;
  }

  hasString({ str }: Parameters<Input["hasString"]>[0], position: number): boolean {
    meter.charge(searchUnits(this.end, str.length));
    return this.charSequence.includes(str, position);
  }

  index({ prefix }: Parameters<Input["index"]>[0], position: number): number {
    meter.charge(searchUnits(this.end, prefix.length));
    const at = this.charSequence.indexOf(prefix, position);
    return at < 0 ? at : at - position;
  }

  prefixLength({ prefix }: Parameters<Input["prefixLength"]>[0]): number {
    return prefix.length;
  }

  context(): number {
    return 0;
  }
}
