// Bundles src/main.ts into dist/: one small entry and lazily loaded chunks. Native code stays outside.
import { rmSync } from "node:fs";
import { build } from "esbuild";

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
  external: ["ffi-napi"],
  minifySyntax: true,
  legalComments: "none",
  banner: {
    // CommonJS dependencies inside an ES module bundle still say require().
    js: 'import { createRequire as __createRequire } from "node:module";\nconst require = __createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
