import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { decodeAssignment, encodeAssignment, inputsFingerprint } from "../../src/assignment/assignment.ts";
import { anAssignment } from "../support/assignments.ts";

describe("assignment.json", () => {
  it("reads back as it was written, payload and hub key included", () => {
    const assignment = anAssignment({
      payload: { z: [1, null, { b: "ü", a: true }], a: "\u2028" },
      hubKey: { handle: 0x81000100, name: "000b" },
    });
    const hubKey = Buffer.from("wrapped");
    expect(decodeAssignment(encodeAssignment(assignment, hubKey), hubKey)).toEqual({
      state: "good",
      assignment,
    });
  });

  it("carries the SHA-256 of its canonical form, which others can compute", () => {
    const stored = JSON.parse(encodeAssignment(anAssignment()));
    const { checksum, ...rest } = stored;
    const canonical = JSON.stringify(
      Object.fromEntries(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))),
    );
    expect(checksum).toBe(createHash("sha256").update(canonical).digest("hex"));
  });

  it("does not depend on the order or the white space of the file", () => {
    const stored = Object.entries(JSON.parse(encodeAssignment(anAssignment())));
    expect(decodeAssignment(JSON.stringify(Object.fromEntries(stored.reverse())))).toMatchObject({
      state: "good",
    });
  });

  it("is damaged when a single bit of it or of the hub key flips", () => {
    const hubKey = Buffer.from("wrapped");
    const good = Buffer.from(encodeAssignment(anAssignment({ payload: { a: [1, 2] } }), hubKey));
    for (let bit = 0; bit < good.length * 8; bit += 7) {
      const flipped = Buffer.from(good);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const reading = decodeAssignment(flipped.toString(), hubKey);
      // White space is all that may change unnoticed.
      if (reading.state === "good")
        expect(JSON.parse(flipped.toString())).toEqual(JSON.parse(good.toString()));
      else expect(reading.state).toBe("damaged");
    }
    for (const key of [undefined, Buffer.from(""), Buffer.from("wrappee")]) {
      expect(decodeAssignment(good.toString(), key)).toEqual({
        state: "damaged",
        why: "its checksum does not match",
      });
    }
  });

  it.each(["", "{", "null", "[]", "3", "{}", '{"schemaVersion":1}', "\0", "[".repeat(100_000)])(
    "is damaged as %j",
    (content) => {
      expect(decodeAssignment(content)).toMatchObject({ state: "damaged" });
    },
  );

  it("of a newer version is not damaged, only not ours to read", () => {
    expect(decodeAssignment('{"schemaVersion":2,"hubs":[]}')).toEqual({ state: "newer", schemaVersion: 2 });
  });
});

describe("inputsFingerprint", () => {
  const inputs = {
    endpoint: "dps.example",
    idScope: "0ne0012ABCD",
    registrationId: "gw-0001",
    publicKeySha256: "ab",
  };

  it("changes with each of its inputs", () => {
    const all = [
      inputs,
      { ...inputs, endpoint: "dps.example2" },
      { ...inputs, idScope: "0ne0012ABCE" },
      { ...inputs, registrationId: "gw-0002" },
      { ...inputs, publicKeySha256: "ac" },
      // The same letters, divided otherwise.
      { ...inputs, endpoint: "dps.example0", idScope: "ne0012ABCD" },
    ].map(inputsFingerprint);
    expect(new Set(all).size).toBe(all.length);
  });

  it("does not change with letter case, which DPS does not see", () => {
    const shouted = { ...inputs, endpoint: "DPS.Example", registrationId: "GW-0001" };
    expect(inputsFingerprint(shouted)).toBe(inputsFingerprint(inputs));
  });
});
