// The files of the page, read once into memory: what is not among them cannot be asked for.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { systemCode } from "../../errors.ts";

export interface Page {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>> & { readonly etag: string };
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

/** Beside the bundle; there is none when the service runs from its sources. */
const builtPages = join(import.meta.dirname, "portal");

/** By file name; empty when nothing was built. */
export function readPages(directory: string = builtPages): ReadonlyMap<string, Page> {
  const names = filesIn(directory);
  return new Map(names.map((name) => [name, readPage(name, readFileSync(join(directory, name)))]));
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? entry.name : [],
    );
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

function readPage(name: string, body: Buffer): Page {
  const hasHash = /-[A-Z0-9]{8}\.[a-z]+$/.test(name);
  return {
    body,
    headers: {
      "content-type": types[extname(name)] ?? "application/octet-stream",
      "cache-control": hasHash ? "public, max-age=31536000, immutable" : "no-cache",
      etag: `"${createHash("sha256").update(body).digest("base64url")}"`,
    },
  };
}
