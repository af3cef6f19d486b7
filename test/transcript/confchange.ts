/**
 * The commands of configuration transcripts: `simple`, `enter-joint` and `leave-joint`, on one configuration and its
 * progress. The log grows by one entry per command, so `next` shows when a peer was added.
 */
import {
  type Configuration,
  type ConfRefusal,
  enterJoint,
  leaveJoint,
  simple,
} from "../../src/raft/core/mod.ts";
import { Tracker } from "../../src/raft/core/tracker.ts";
import { type Command, oneValue } from "./datadriven.ts";
import { configurationText, parseChanges, progressMapText } from "./render.ts";

const refusals: Readonly<Record<ConfRefusal, string>> = {
  "already-joint": "config is already joint",
  "not-joint": "can't leave a non-joint config",
  "zero-voters-joint": "can't make a zero-voter config joint",
  "simple-in-joint": "can't apply simple config change in joint config",
  "more-than-one-voter": "more than one voter changed without entering joint config",
  "all-voters-removed": "removed all voters",
};

export const confchangeCommands: ReadonlySet<string> = new Set(["simple", "enter-joint", "leave-joint"]);

export function confchange(): (command: Command) => string {
  const tracker = new Tracker(10, 0);
  let lastIndex = 0;
  const change = (command: Command): Configuration | ConfRefusal => {
    const changes = parseChanges(command.input);
    switch (command.name) {
      case "simple":
        return simple(tracker.configuration, changes);
      case "enter-joint":
        return enterJoint(tracker.configuration, oneValue(command, "autoleave") === "true", changes);
      case "leave-joint":
        if (changes.length > 0) throw new Error("this command takes no input");
        return leaveJoint(tracker.configuration);
      default:
        throw new Error("unknown command");
    }
  };
  return (command) => {
    try {
      const next = change(command);
      if (typeof next === "string") return refusals[next];
      tracker.switchTo(next, lastIndex);
      return `${configurationText(next)}\n${progressMapText(tracker.progress)}`;
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : String(thrown);
    } finally {
      lastIndex++;
    }
  };
}
