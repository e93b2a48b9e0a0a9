// What a client may ask for, and who may ask for what. Pure.

import { MooringError } from "../../errors.ts";
import type { Peer } from "../../system/system-addon.ts";
import { decodeLine, type Request } from "./wire.ts";

/** Throws ERR_CONTROL_PROTOCOL. */
export function parseRequest(line: string): Request {
  const request = decodeLine(line);
  switch (request?.["do"]) {
    case "status":
    case "wait":
    case "rollback":
      return { do: request["do"] };
    case "provision":
    case "reprovision":
      return { do: request["do"], wait: request["wait"] === true };
    default:
      throw new MooringError(
        "ERR_CONTROL_PROTOCOL",
        `the request ${JSON.stringify(line.slice(0, 80))} is none that this daemon knows`,
      );
  }
}

/** Who asks: `unknown` where the kernel was not asked, and the mode of the socket is the only guard. */
export type Client = Peer | "stranger" | "unknown";

/** Root and the daemon's own user may change things; whoever else can open the socket may look and wait. */
export const mayChangeThings = (client: Client, ownUid: number | undefined): boolean =>
  client === "unknown" || (client !== "stranger" && (client.uid === 0 || client.uid === ownUid));

/** Throws ERR_CONTROL_PERMISSION. */
export function requirePermission(request: Request, client: Client, ownUid: number | undefined): void {
  if (request.do === "status" || request.do === "wait" || mayChangeThings(client, ownUid)) return;
  const who = typeof client === "object" ? `user ${client.uid}` : "somebody whom the kernel does not name";
  throw new MooringError("ERR_CONTROL_PERMISSION", `${who} may not ask the daemon for ${request.do}`);
}
