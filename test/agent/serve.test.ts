// Publishing beside other processes: whoever is slow must not have the last word about an older assignment.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { serve, withdraw } from "../../src/agent/serve.ts";
import {
  type Generation,
  loadCurrent,
  prepareState,
  promote,
  stage,
} from "../../src/assignment/generations.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { systemClock } from "../../src/system/clock.ts";
import { anAssignment } from "../support/assignments.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const tools = { clock: systemClock, log: recordingLog(), signal: new AbortController().signal };
const disenrolled = { trigger: "disenrolled", because: "the enrollment is gone" } as const;

let directory: string;
let config: Config;
/** The first command of the first output makes it and waits in it until it is opened and closed; later ones do not. */
let gate: string;

beforeEach(() => {
  directory = temporaryDirectory();
  gate = join(directory, "gate");
  writeFileSync(
    join(directory, "config.toml"),
    `[provisioning]
id_scope = "0ne0000AAAA"
[state]
directory = "state"
[reprovision]
on_disenrolled = "withdraw"
[[outputs]]
path = "first.env"
on_change = ["sh", "-c", "! mkfifo ${gate} || cat ${gate}"]
[[outputs]]
path = "second.env"
`,
  );
  config = loadConfig(join(directory, "config.toml"));
  prepareState(config.state.directory);
});

const assign = (assignedHub: string): Generation =>
  promote(
    config.state.directory,
    stage(config.state.directory, { assignment: anAssignment({ assignedHub }) }),
  );

/** Resolves once the command waits; that goes on when what it resolves with is closed. */
async function waiting(): Promise<FileHandle> {
  await expect.poll(() => existsSync(gate)).toBe(true);
  return open(gate, "w");
}

const published = (name: string): string => readFileSync(join(directory, name), "utf8");

it("leaves every output at the newest assignment, however long a command of an older one took", async () => {
  const slow = serve(config, assign("hub-1.example"), tools);
  await using command = await waiting();
  await serve(config, assign("hub-2.example"), tools);
  await command.close();
  expect((await slow).assignment.assignedHub).toBe("hub-2.example");
  expect(published("first.env")).toContain("hub-2.example");
  expect(published("second.env")).toContain("hub-2.example");
});

it("publishes nothing more of an assignment that was withdrawn meanwhile", async () => {
  const generation = assign("hub-1.example");
  const slow = serve(config, generation, tools);
  await using command = await waiting();
  await withdraw(config, generation, disenrolled, tools);
  await command.close();
  await slow;
  expect(existsSync(join(directory, "first.env"))).toBe(false);
  expect(existsSync(join(directory, "second.env"))).toBe(false);
});

it("takes nothing back of an assignment that came while an older one was to be withdrawn", async () => {
  const older = assign("hub-1.example");
  const newer = assign("hub-2.example");
  writeFileSync(gate, "");
  await serve(config, newer, tools);
  expect((await withdraw(config, older, disenrolled, tools)).assignment.assignedHub).toBe("hub-2.example");
  expect(published("first.env")).toContain("hub-2.example");
  expect(loadCurrent(config.state.directory, tools)?.number).toBe(newer.number);
  expect(existsSync(join(newer.directory, "withdrawn"))).toBe(false);
});
