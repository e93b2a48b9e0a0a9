// An assignment as the content of an output file, and whether one can be published at all.

import * as fs from "node:fs";
import { asMooringError, causeText, MooringError } from "../errors.ts";
import { fileFailure } from "../system/atomic-file.ts";
import type { Assignment } from "./assignment.ts";
import { renderEnv, renderJson, renderTemplate, renderToml } from "./formats.ts";

/** What of an output says how its content comes about. */
export interface Rendered {
  readonly path: string;
  readonly format: "env" | "json" | "toml" | "template";
  /** Path of the template, with `format = "template"`. */
  readonly template?: string;
}

/** Throws ERR_OUTPUT when this assignment does not fit the format, or the template cannot be read or filled. */
export function render({ path, format, template = "" }: Rendered, assignment: Assignment): string {
  switch (format) {
    case "env":
      return renderEnv(assignment);
    case "json":
      return renderJson(assignment);
    case "toml":
      return renderToml(assignment);
    case "template":
      return renderTemplate(readTemplate(template, path), assignment);
  }
}

function readTemplate(template: string, path: string): string {
  try {
    return fs.readFileSync(template, "utf8");
  } catch (error) {
    throw fileFailure("ERR_OUTPUT", `read the template of ${path},`, template, error);
  }
}

/**
 * Whatever `old` is published in, `next` can be as well: programs of the gateway would otherwise go on with the old one
 * while Mooring has the next. An output that neither fits is broken either way, and does not count. Throws ERR_OUTPUT.
 */
export function requirePublishable(outputs: readonly Rendered[], next: Assignment, old: Assignment): void {
  for (const output of outputs) {
    const failure = failureOf(output, next);
    if (!failure || failureOf(output, old)) continue;
    const { path } = output;
    throw new MooringError(
      "ERR_OUTPUT",
      `cannot publish the new assignment in ${path}: ${causeText(failure)}`,
      {
        path,
        hint: "mend the payload in the enrollment, or the output named in [[outputs]]; the assignment stays as it was",
      },
    );
  }
}

function failureOf(output: Rendered, assignment: Assignment): MooringError | undefined {
  try {
    render(output, assignment);
    return undefined;
  } catch (error) {
    return asMooringError(error);
  }
}
