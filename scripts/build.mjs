// Bundles src/ into dist/: a small entry, the program, and what only some commands need. Native code stays outside.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { relative, resolve } from "node:path";
import { build } from "esbuild";
import { buildPortal } from "./portal.mjs";
import { bundledFiles } from "./third-party.mjs";

// Many members of Node's built-in modules are lazy: to look at one is to load what is behind it. An ES import of
// `node:http` or `node:util`, and just as much the copy that esbuild makes of a CommonJS module's members, looks at
// all of them, fetch and worker threads included: 40 ms. So the bundle takes each member that it names, and no other.
const builtinMembers = {
  name: "builtin-members",
  setup({ onResolve, onLoad }) {
    const names = new Set(builtinModules);
    onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
      const name = path.replace(/^node:/, "");
      if (!path.startsWith("node:") && !names.has(name)) return undefined;
      // Commander's executable subcommands are not used, and loading child_process costs as much as Commander.
      if (name === "child_process" && /[\\/]commander[\\/]/.test(importer))
        return { path: name, namespace: "unused-builtin" };
      return { path: name, namespace: kind === "require-call" ? "required-builtin" : "builtin" };
    });
    onLoad({ filter: /.*/, namespace: "unused-builtin" }, () => ({ contents: "module.exports = {};" }));
    const builtin = (path) => `process.getBuiltinModule(${JSON.stringify(`node:${path}`)})`;
    onLoad({ filter: /.*/, namespace: "required-builtin" }, ({ path }) => ({
      contents: `module.exports = ${builtin(path)};`,
    }));
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
      const members = Object.keys(process.getBuiltinModule(`node:${path}`)).filter(
        (name) => name !== "default",
      );
      const take = (name) =>
        `const ${name}_ = /* @__PURE__ */ take(${JSON.stringify(name)}); export { ${name}_ as ${name} };`;
      return {
        contents: [
          `const all = /* @__PURE__ */ (() => ${builtin(path)})();`,
          "const take = (name) => all[name];",
          ...members.map(take),
          "export default all;",
        ].join("\n"),
      };
    });
  },
};

// Each of these becomes a file of its own, whole: one file costs less to load than the twenty that esbuild would split
// off, and what is not needed stays out of it. Errors are told apart by class, so there is one copy of that.
const files = {
  main: "src/main.ts",
  program: "src/cli/program.ts",
  errors: "src/errors.ts",
  provisioning: "src/cli/provisioning.ts",
  resident: "src/cli/resident.ts",
  "control-client": "src/agent/control/client.ts",
  journal: "src/cli/journal.ts",
  operator: "src/cli/operator.ts",
  mqtt: "src/registration/mqtt.ts",
  tpm: "src/identity/tpm.ts",
  pkcs12: "src/identity/pkcs12.ts",
  service: "src/service/service.ts",
};

// What most starts run and nothing else, so that it is loaded with the code that earlier starts compiled: a CommonJS
// file, which src/system/warm-code.ts loads for `main`. Others import it as they would anything.
const warm = "provisioning";
const warmed = {
  name: "warmed",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, resolveDir }) =>
      relative(process.cwd(), resolve(resolveDir, path)) === files[warm]
        ? { path: warm, namespace: "warmed" }
        : undefined,
    );
    onLoad({ filter: /./, namespace: "warmed" }, () => ({
      resolveDir: ".",
      contents: `
        import { loadWarm } from "./src/system/warm-code.ts";
        const directory = process.env.CACHE_DIRECTORY ?? \`\${import.meta.dirname}/.compile-cache\`;
        const { exports, keep } = loadWarm(\`\${import.meta.dirname}/${warm}.cjs\`, directory);
        if (!process.env.NODE_DISABLE_COMPILE_CACHE) process.once("exit", keep);
        export const { provisionPlainly, errandPlainly } = exports;`,
    }));
  },
};

// A package that deserves a file of its own, and what is used of it.
const packages = { systeminformation: 'export { system } from "systeminformation";' };

// What packages bring for browsers, for MQTT 5 or for writers of their own in other threads, and load although nobody
// uses it here.
const empty = "module.exports = {};";
const replacements = {
  "readable-stream": 'module.exports = process.getBuiltinModule("node:stream");',
  "worker-timers": empty,
  "lru-cache": empty,
  "sonic-boom": "module.exports = class {};",
  "thread-stream": empty,
  "./transport": empty,
  "./lib/transport": empty,
  "@pinojs/redact": empty,
  worker_threads: "module.exports = { isMainThread: true };",
};
const withoutBallast = {
  name: "without-ballast",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /.*/ }, ({ path, importer }) =>
      Object.hasOwn(replacements, path) && /[\\/](mqtt|mqtt-packet|bl|pino)[\\/]/.test(importer)
        ? { path, namespace: "replacement" }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: "replacement" }, ({ path }) => ({ contents: replacements[path] }));
  },
};

/** An import of another file of the bundle stays an import. */
const seams = (own) => ({
  name: "seams",
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\/.*\.ts$|^systeminformation$/ }, ({ path, resolveDir }) => {
      const file = relative(process.cwd(), resolve(resolveDir, path));
      const name = path in packages ? path : Object.keys(files).find((key) => files[key] === file);
      const extension = name === warm ? "cjs" : "js";
      return name === undefined || name === own
        ? undefined
        : { path: `./${name}.${extension}`, external: true };
    });
  },
});

/** What is a file of its own for being heavy must not be dragged in at once by those that every command loads. */
function refuseEagerImports({ outputs }) {
  for (const output of ["dist/main.js", "dist/program.js", "dist/provisioning.cjs", "dist/resident.js"]) {
    const eager = outputs[output]?.imports.filter(({ kind }) => kind === "import-statement") ?? [];
    const wrong = eager.map(({ path }) => path).filter((path) => path !== "./errors.js");
    if (wrong.length > 0)
      throw new Error(`${output} imports ${wrong.join(", ")} at once; import() it where it is used`);
  }
}

/** For who has no clock to trust: the commit's time where there is one, so that building twice gives the same bytes. */
function builtAt() {
  const { SOURCE_DATE_EPOCH } = process.env;
  if (SOURCE_DATE_EPOCH) return Number(SOURCE_DATE_EPOCH) * 1000;
  const { stdout, status } = spawnSync("git", ["log", "-1", "--format=%ct"], { encoding: "utf8" });
  return status === 0 ? Number(stdout) * 1000 : Date.now();
}

rmSync("dist", { recursive: true, force: true });
const metafiles = [];
const entries = [
  ...Object.entries(files).map(([name, source]) => [
    name,
    { entryPoints: { [name]: source }, outdir: "dist" },
  ]),
  ...Object.entries(packages).map(([name, contents]) => [
    name,
    { stdin: { contents, resolveDir: "." }, outfile: `dist/${name}.js` },
  ]),
];
for (const [name, entry] of entries) {
  const isWarm = name === warm;
  const { metafile } = await build({
    ...entry,
    metafile: true,
    bundle: true,
    format: isWarm ? "cjs" : "esm",
    ...(isWarm && { outExtension: { ".js": ".cjs" }, supported: { "dynamic-import": false } }),
    platform: "node",
    target: "node22.15",
    external: ["ffi-napi", "bufferutil", "utf-8-validate"],
    define: {
      MOORING_BUILT_AT: String(builtAt()),
      ...(isWarm && { "import.meta.dirname": "__dirname" }),
    },
    plugins: [...(name === "main" ? [warmed] : []), seams(name), withoutBallast, builtinMembers],
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: "linked",
    legalComments: "none",
    logLevel: "warning",
  });
  refuseEagerImports(metafile);
  metafiles.push(metafile);
}

metafiles.push(await buildPortal());

// The FFI is found by its name when a TPM is opened. In one file, and with its compiled parts named instead of
// searched for, it loads in half the time; its debug lines, which cost a terminal's set-up, go nowhere.
const compiled = { "ffi-napi": "ffi_bindings.node", "@2060.io/ref-napi": "binding.node" };
const compiledParts = {
  name: "compiled-parts",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^debug$/ }, () => ({ path: "debug", namespace: "silence" }));
    onLoad({ filter: /.*/, namespace: "silence" }, () => ({ contents: "module.exports = () => () => {};" }));
    onLoad({ filter: /[\\/](ffi-napi[\\/]lib[\\/]bindings|ref-napi[\\/]lib[\\/]ref)\.js$/ }, ({ path }) => {
      const [, owner] = Object.entries(compiled).find(([name]) => path.includes(`/${name}/`)) ?? [];
      const search = "require('node-gyp-build')(path.join(__dirname, '..'))";
      const source = readFileSync(path, "utf8");
      if (!source.includes(search))
        throw new Error(`${path} finds its compiled part in another way than it did`);
      return { contents: source.replace(search, `require("../build/Release/${owner}")`) };
    });
  },
};
const { metafile: ffi } = await build({
  entryPoints: { index: "ffi-napi" },
  outdir: "dist/node_modules/ffi-napi",
  metafile: true,
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node22.15",
  loader: { ".node": "copy" },
  assetNames: "[name]",
  plugins: [compiledParts, builtinMembers],
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "none",
  logLevel: "warning",
});
metafiles.push(ffi);
chmodSync("dist/main.js", 0o755);
// What units run beside the program.
for (const name of ["announce-again", "follow-assignment"]) {
  cpSync(`systemd/${name}.sh`, `dist/${name}`);
  chmodSync(`dist/${name}`, 0o755);
}

// For scripts/package.mjs, which ships it and so has to say whose it is.
const theirs = [...new Set(metafiles.flatMap(bundledFiles))].sort();
writeFileSync("dist/third-party.json", `${JSON.stringify(theirs, null, 1)}\n`);
