// The process that does the work, as the daemon sees it: however it ends, the daemon lives to hear of it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { sendOnErrand } from "../../src/agent/errand.ts";
import { loadConfig } from "../../src/config/load.ts";
import { nodeCommand, source } from "../support/children.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function configuration(directory: string, padding: string) {
  const path = join(directory, "config.toml");
  writeFileSync(path, `[provisioning]\nid_scope = "0ne0000AAAA"\n[provisioning.payload]\nx = "${padding}"\n`);
  return loadConfig(path);
}

function send(program: string, { padding = "", log = recordingLog() } = {}) {
  const directory = temporaryDirectory();
  const path = join(directory, "program.js");
  writeFileSync(path, program);
  const errand = { config: configuration(directory, padding), work: { do: "roll-back" } } as const;
  return sendOnErrand(errand, { program: path, log, signal: new AbortController().signal });
}

it("that dies before it has read what to do is an error, and no broken pipe of the daemon's", async () => {
  const died = { code: "ERR_INTERNAL", message: expect.stringContaining("SIGKILL") };
  await expect(
    send('process.kill(process.pid, "SIGKILL")', { padding: "y".repeat(60_000) }),
  ).rejects.toMatchObject(died);
});

it("that cannot be started is an error, and no broken pipe of the daemon's", async () => {
  const { execPath } = process;
  process.execPath = "/nonexistent/node";
  try {
    await expect(send("")).rejects.toMatchObject({
      code: "ERR_INTERNAL",
      hint: expect.stringContaining("systemctl restart"),
    });
  } finally {
    process.execPath = execPath;
  }
});

it("is heard to its last word, however quickly it goes", async () => {
  const log = recordingLog();
  const chatter = `const tell = (told) => process.send(JSON.stringify(told));
    for (let count = 0; count < 500; count++) tell({ event: "x", level: "debug", fields: { text: "z".repeat(1000) } });
    process.send('{"done":null}', undefined, {}, () => process.exit(0));`;
  expect(await send(chatter, { log })).toBeNull();
  expect(log.named("debug")).toHaveLength(500);
});

it("that is stopped before it knows what to do was stopped, and found no bug", async () => {
  const [command = "", ...args] = nodeCommand(`
    import { goOnErrand } from ${source("agent/errand.ts")};
    import { MooringError } from ${source("errors.ts")};
    const stop = new AbortController();
    const going = goOnErrand(async () => null, { signal: stop.signal });
    stop.abort(new MooringError("ERR_CANCELLED", "stopped by SIGTERM"));
    await going.catch((error) => process.send(error.message));
    process.exit();`);
  const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  expect(await once(child, "message")).toEqual(["stopped by SIGTERM", undefined]);
});
