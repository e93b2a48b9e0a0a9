#!/usr/bin/env node
// The `mooring` program: arguments → command → exit code. Everything else loads from here, and only when used.

const oldestNode = [22, 13] as const;

function runtimeIsTooOld(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1]);
}

if (runtimeIsTooOld()) {
  process.stderr.write(
    `mooring: needs Node.js ${oldestNode.join(".")} or later; this is ${process.versions.node}\n`,
  );
  process.exitCode = 69;
} else {
  // Compiled code is kept where systemd says (CacheDirectory=), else beside the bundle; where that cannot be written,
  // starting merely takes longer.
  const cache = process.env["CACHE_DIRECTORY"] ?? `${import.meta.dirname}/.compile-cache`;
  process.getBuiltinModule("node:module").enableCompileCache?.(cache);
  const { run } = await import("./cli/program.ts");
  // Finished is finished: no idle socket or thread of a library keeps the process.
  process.exit(await run(process.argv));
}
