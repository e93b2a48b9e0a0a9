import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { requirePublishable } from "../../src/assignment/render.ts";
import { anAssignment } from "../support/assignments.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const old = anAssignment();
const bell = anAssignment({ payload: "a\u0007b" });
const json = { path: "/run/hub.json", format: "json" } as const;
const env = { path: "/run/hub.env", format: "env" } as const;

describe("a new assignment", () => {
  it("is refused when an output that holds the old one cannot hold it", async () => {
    const error = await thrownBy(() => requirePublishable([json, env], bell, old));
    expect(error).toMatchObject({ code: "ERR_OUTPUT", details: { path: "/run/hub.env" } });
    expect(error.message).toMatch(/in \/run\/hub\.env: .*DPS_PAYLOAD.*control character/);
  });

  it("is refused when it lacks what a template has of the old one", async () => {
    const template = join(temporaryDirectory(), "hub.in");
    writeFileSync(template, "{{ payload.site }}");
    const output = { path: "/run/hub.conf", format: "template", template } as const;
    const site = anAssignment({ payload: { site: "a" } });
    expect((await thrownBy(() => requirePublishable([output], old, site))).code).toBe("ERR_OUTPUT");
    requirePublishable([output], site, old);
  });

  it("is not refused over an output that is broken anyway, nor where all can hold it", () => {
    const missing = { path: "/run/hub.conf", format: "template", template: "/no/such/template" } as const;
    requirePublishable([missing], bell, old);
    requirePublishable([env], bell, bell);
    requirePublishable([json], bell, old);
  });
});
