// Disk images, made without mounting anything.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

type Files = Readonly<Record<string, string | Buffer>>;

/** A disk with that label and these files: path → content. Keys are for their owner alone. */
export function writeDisk(file: string, label: string, files: Files = {}): void {
  const root = mkdtempSync(join(tmpdir(), "mooring-disk-"));
  let bytes = 0;
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content, { mode: path.endsWith("key.pem") ? 0o600 : 0o644 });
    bytes += content.length;
  }
  const kibibytes = Math.ceil(bytes / 1024) * 2 + 8192;
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-L", label, "-d", root, file, `${kibibytes}k`]);
  rmSync(root, { recursive: true });
}
