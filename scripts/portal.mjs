// Bundles the portal's page into dist/portal: a script, a style sheet and the page that names them. Names carry a hash
// of what is inside, so that browsers keep them for good; nothing is fetched from anywhere else.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { build } from "esbuild";

const source = "src/service/portal/page";

/** What a browser loads before it shows anything; beyond it, look what came in. */
const largestScript = 250_000;

/** Gives esbuild's metafile. */
export async function buildPortal(directory = "dist/portal") {
  const { metafile } = await build({
    entryPoints: { main: `${source}/main.tsx` },
    outdir: directory,
    entryNames: "[name]-[hash]",
    metafile: true,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: ["chrome120", "firefox121", "safari17"],
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
  });
  const built = Object.entries(metafile.outputs).map(([path, { bytes }]) => ({
    name: basename(path),
    bytes,
  }));
  let page = readFileSync(`${source}/index.html`, "utf8");
  for (const kind of ["js", "css"]) {
    const file = built.find(({ name }) => name.endsWith(`.${kind}`));
    const mention = `/portal/main.${kind}`;
    if (file === undefined || !page.includes(mention)) throw new Error(`the portal's page has no ${mention}`);
    page = page.replace(mention, `/portal/${file.name}`);
  }
  const script = built.find(({ name }) => name.endsWith(".js"));
  if (script.bytes > largestScript) throw new Error(`the portal's script has ${script.bytes} bytes`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/index.html`, page);
  return metafile;
}
