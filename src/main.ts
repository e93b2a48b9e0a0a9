#!/usr/bin/env node
// The `mooring` program: arguments → command → exit code. Everything else loads from here, and only when used.

import { plainOptions } from "./cli/plain-words.ts";

const oldestNode = [22, 15] as const;

function runtimeIsTooOld(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1]);
}

async function obey(): Promise<number> {
  const [command, ...words] = process.argv.slice(2);
  const options = plainOptions(words);
  if (options && (command === "provision" || command === "reprovision"))
    return (await import("./cli/provisioning.ts")).provisionPlainly(command, options);
  if (command === "errand" && words.length === 0)
    return (await import("./cli/provisioning.ts")).errandPlainly();
  if (!options || command !== "run") return (await import("./cli/program.ts")).run(process.argv);
  // Who decides a few times a day has no hot code; V8 then leaves out of memory what would compile it: 2 MiB.
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  for (const flag of ["--no-sparkplug", "--no-maglev", "--no-opt"]) setFlagsFromString(flag);
  return (await import("./cli/resident.ts")).resident(options);
}

if (runtimeIsTooOld()) {
  process.stderr.write(
    `mooring: needs Node.js ${oldestNode.join(".")} or later; this is ${process.versions.node}\n`,
  );
  process.exitCode = 69;
} else {
  // Node opens a debugger at this signal, by which any user of the machine could read keys out of this process.
  process.on("SIGUSR1", () => {});
  // Compiled code is kept where systemd says (CacheDirectory=), else beside the bundle; where that cannot be written,
  // starting merely takes longer.
  const cache = process.env["CACHE_DIRECTORY"] ?? `${import.meta.dirname}/.compile-cache`;
  process.getBuiltinModule("node:module").enableCompileCache?.(cache);
  // Finished is finished: no idle socket or thread of a library keeps the process.
  process.exit(await obey());
}
