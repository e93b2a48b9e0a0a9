import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startService } from "../support/local-service.ts";
import { type Started, startMooring, succeed } from "../support/mooring.ts";
import { type HandedOn, serviceLine } from "../support/service-line.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const rows = 2000;
const ids = Array.from({ length: rows }, (_, n) => `gw-${String(n).padStart(4, "0")}`);

/** How many of a bulk request's items the service took. */
function taken(request: { body: string }, answer: HandedOn): number {
  const sent = (JSON.parse(request.body) as { enrollments: unknown[] }).enrollments.length;
  return answer.status === 200 ? sent - (JSON.parse(answer.body) as { errors: unknown[] }).errors.length : 0;
}

describe("an import of 2,000 rows", () => {
  it("does nothing twice and leaves nothing out, throttled, cut off and killed", async () => {
    const directory = temporaryDirectory();
    const file = join(directory, "batch.csv");
    const lines = ids.map((id, n) => `${id},symmetricKey,device-${n},"{""tags"":{""n"":${n}}}"`);
    writeFileSync(file, ["registration_id,attestation,device_id,initial_twin", ...lines, ""].join("\n"));

    await using service = await startService();
    await using line = await serviceLine(service);
    const caFile = join(directory, "line.pem");
    writeFileSync(caFile, line.certificate);
    const start = (): Started =>
      startMooring(["enrollment", "import", file, "--json"], {
        env: { MOORING_SERVICE: line.connectionString, MOORING_SERVICE_CA: caFile },
      });

    let child: ChildProcess | undefined;
    let created = 0;
    const kill = (): undefined => void child?.kill("SIGKILL");
    const busy = { status: 429, body: '{"errorCode":429001,"message":"throttled"}', retryAfter: 0 };
    line.spoil = async (request, count, handOn) => {
      if (!request.url.startsWith("/enrollments?")) return handOn();
      if (count % 37 === 0) return busy;
      if (count === 50) return { status: 503, body: "" };
      // Killed before the request is carried out, and after.
      if (count === 61) return kill();
      const answer = await handOn();
      created += taken(request, answer);
      if (count === 120) return kill();
      // The answer is lost on the way, and the import lives on.
      return count === 90 ? undefined : answer;
    };

    for (const _killed of [1, 2]) {
      const started = start();
      child = started.child;
      const { signal, stderr } = await started.ended;
      expect(signal, stderr).toBe("SIGKILL");
      expect(existsSync(`${file}.journal`)).toBe(true);
    }
    const last = start();
    const run = await last.ended;
    expect(run.stderr).toMatch(/^continuing after row \d+ of 2000, where the last import stopped\n$/);
    expect(run.code).toBe(0);
    const done = run.json as { created: number; alreadyThere: number };
    expect(done).toMatchObject({ rows, updated: 0, refused: [] });
    expect(done.created + done.alreadyThere).toBe(rows);
    expect(existsSync(`${file}.journal`)).toBe(false);

    // The service saw each of them created, once.
    expect(created).toBe(rows);
    const exported = join(directory, "all.json");
    await succeed(service.operator("enrollment", "export", exported, "--json"));
    const there = JSON.parse(readFileSync(exported, "utf8")) as {
      registrationId: string;
      deviceId: string;
    }[];
    expect(there.map(({ registrationId, deviceId }) => [registrationId, deviceId])).toEqual(
      ids.map((id, n) => [id, `device-${n}`]),
    );
  });
});
