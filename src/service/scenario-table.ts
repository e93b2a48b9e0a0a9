// Scenarios as the store keeps them: one for the service, one for each enrollment or group that has one; and the
// operations that are held back because of them.

import type { DatabaseSync } from "node:sqlite";
import { announced, type Changes } from "./changes.ts";
import type { Scenario } from "./scenario.ts";
import { keyOf, smallTable } from "./tables.ts";

/** For whom a scenario is meant. */
export type ScenarioTarget = "service" | `enrollments/${string}` | `enrollmentGroups/${string}`;

export interface TargetedScenario {
  readonly target: ScenarioTarget;
  readonly scenario: Scenario;
}

export interface ScenarioTable {
  all(): readonly TargetedScenario[];
  get(target: ScenarioTarget): TargetedScenario | undefined;
  /** In place of the one before, whose operations are let go. */
  put(scenario: TargetedScenario): void;
  /** Whether there was one; its operations are let go. */
  delete(target: ScenarioTarget): boolean;
  /** Counts a use, and ends the scenario with its last. How many are left, if it counts them. */
  use(targeted: TargetedScenario): number | undefined;

  /** Keeps a known operation `assigning` for so many polls, or for ever with Infinity. */
  hold(operationId: string, target: ScenarioTarget, polls: number): void;
  /** One poll of an operation: whose scenario holds it back, if one still does. */
  pollHeld(operationId: string): ScenarioTarget | undefined;

  /** To be called when a transaction was rolled back. */
  forget(): void;
}

export function scenarioTable(db: DatabaseSync, changes: Changes): ScenarioTable {
  const targetOf = ({ target }: TargetedScenario): string => target;
  const rows = announced(
    changes,
    "scenario",
    smallTable<TargetedScenario>(db, "scenario", targetOf),
    targetOf,
  );
  const hold = db.prepare("INSERT INTO held_operation (operation_id, target, polls) VALUES (?, ?, ?)");
  const held = db.prepare("SELECT target, polls FROM held_operation WHERE operation_id = ?");
  const countDown = db.prepare("UPDATE held_operation SET polls = polls - 1 WHERE operation_id = ?");
  const letGo = db.prepare("DELETE FROM held_operation WHERE operation_id = ?");
  const letAllGo = db.prepare("DELETE FROM held_operation WHERE target = ?");
  const get = (target: ScenarioTarget): TargetedScenario | undefined =>
    rows.all().find((each) => keyOf(each.target) === keyOf(target));
  return {
    all: rows.all,
    get,
    forget: rows.forget,
    put(targeted) {
      letAllGo.run(keyOf(targeted.target));
      rows.put(targeted);
    },
    delete(target) {
      letAllGo.run(keyOf(target));
      return rows.delete(target);
    },
    use({ target }) {
      const { scenario } = get(target) ?? {};
      if (scenario?.times === undefined) return undefined;
      const times = scenario.times - 1;
      if (times > 0) rows.put({ target, scenario: { ...scenario, times } });
      else rows.delete(target);
      return times;
    },
    hold: (operationId, target, polls) =>
      void hold.run(operationId, keyOf(target), Number.isFinite(polls) ? polls : null),
    pollHeld(operationId) {
      const found = held.get(operationId) as { target: ScenarioTarget; polls: number | null } | undefined;
      if (found?.polls === 1) letGo.run(operationId);
      else if (found?.polls) countDown.run(operationId);
      return found?.target;
    },
  };
}
