// Bundles src/main.ts into dist/: one small entry and lazily loaded chunks. Native code stays outside.
import { chmodSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { build } from "esbuild";

// An ES import of a built-in module makes Node build a namespace of it, and that runs every lazy getter inside:
// `node:http` alone then loads a whole fetch implementation, 40 ms. getBuiltinModule() hands out the plain object.
const plainBuiltins = {
  name: "plain-builtins",
  setup({ onResolve, onLoad }) {
    const names = new Set(builtinModules);
    onResolve({ filter: /.*/ }, ({ path, importer }) => {
      const name = path.replace(/^node:/, "");
      if (!path.startsWith("node:") && !names.has(name)) return undefined;
      // Commander's executable subcommands are not used, and loading child_process costs as much as Commander.
      const unused = name === "child_process" && /[\\/]commander[\\/]/.test(importer);
      return { path: name, namespace: unused ? "unused-builtin" : "builtin" };
    });
    onLoad({ filter: /.*/, namespace: "unused-builtin" }, () => ({ contents: "module.exports = {};" }));
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(`node:${path}`)});`,
    }));
  },
};

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: { main: "src/main.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node22.13",
  chunkNames: "chunk/[name]-[hash]",
  external: ["ffi-napi", "bufferutil", "utf-8-validate"],
  plugins: [plainBuiltins],
  minify: true,
  keepNames: true,
  sourcemap: "linked",
  legalComments: "none",
  logLevel: "warning",
});
chmodSync("dist/main.js", 0o755);
