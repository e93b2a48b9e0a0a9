// A plan as people read it. Pure.

import type { Plan } from "../agent/plan.ts";
import type { Row } from "./output.ts";

export function planRows({ decision, sends, replaces, hubKeyHandle, removes, outputs }: Plan): Row[][] {
  const { endpoint, idScope, registrationId, attestation, transports, because, payloadBytes, proxy } = sends;
  const place = ({ generation, deviceId, assignedHub }: NonNullable<Plan["replaces"]>): string =>
    `generation ${generation}, ${deviceId} at ${assignedHub}`;
  const row = (name: string, text: string | undefined): Row[] => (text === undefined ? [] : [[name, text]]);
  return [
    [
      ["asks", endpoint],
      ["id scope", idScope],
      ["registration id", registrationId ?? "the one that the TPM's endorsement key gives"],
      ["attestation", attestation],
      [
        "over",
        `${transports.map(({ transport, port }) => `${transport} on ${port}`).join(", then ")}: ${because}`,
      ],
      ...row("proxy", proxy),
      ["payload", payloadBytes === 0 ? "none" : `${payloadBytes} bytes`],
    ],
    [
      ["replaces", replaces ? place(replaces) : "nothing: there is no assignment yet"],
      ...row("keeps", replaces && "it in use until the new one is proven, then for `mooring rollback`"),
      ...row("hub key", hubKeyHandle && `the new one takes ${hubKeyHandle} once it is in force`),
      ...removes.map((one): Row => ["removes", place(one)]),
      ...outputs.map((path): Row => ["writes", path]),
    ],
    [["unasked", unasked(decision)]],
  ];
}

function unasked(decision: Plan["decision"]): string {
  if ("because" in decision) return `\`mooring provision\` would ${verbs[decision.act]}: ${decision.because}`;
  if (decision.act === "keep" && decision.pending)
    return `nothing, because [reprovision] on_change is "ask": ${decision.pending.because}`;
  return "nothing: the assignment fits the configuration";
}

const verbs = {
  provision: "do so too",
  wait: "wait",
  stop: "not try again",
  withdraw: "withdraw the assignment",
};
