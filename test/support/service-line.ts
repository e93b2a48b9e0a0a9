// A line to a local service that a test can spoil: an HTTPS server that hands every request on, unless it is told to
// answer itself, or to break.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { type ScriptedRequest, type ScriptedService, scriptedService } from "./scripted-service.ts";

export interface HandedOn {
  readonly status: number;
  readonly body: string;
}

export interface ServiceLine extends AsyncDisposable {
  /** Leads here, with the service's own policy and key. */
  readonly connectionString: string;
  /** PEM, to be trusted. */
  readonly certificate: string;
  /** What each request, counted from 1, is answered. */
  spoil: (request: ScriptedRequest, count: number, handOn: () => Promise<HandedOn>) => Promise<Answer>;
}

/** `undefined` breaks the connection. */
type Answer = (HandedOn & { readonly retryAfter?: number }) | undefined;

export async function serviceLine(service: {
  readonly httpsPort: number;
  readonly caFile: string;
  readonly connectionString: string;
}): Promise<ServiceLine> {
  const scripted: ScriptedService = await scriptedService();
  const ca = readFileSync(service.caFile);
  const handOn = async ({ method, url, headers, body }: ScriptedRequest): Promise<HandedOn> => {
    const sending = request({
      ...{ host: "localhost", port: service.httpsPort, ca, agent: false, method, path: url },
      headers: { ...headers, host: `localhost:${service.httpsPort}` },
    });
    sending.end(body);
    const [answer] = await once(sending, "response");
    return { status: answer.statusCode, body: await text(answer) };
  };
  let count = 0;
  const line: ServiceLine = {
    connectionString: service.connectionString.replace(/:\d+;/, `:${scripted.httpsPort};`),
    certificate: scripted.certificate,
    spoil: (_request, _count, onward) => onward(),
    [Symbol.asyncDispose]: () => scripted[Symbol.asyncDispose](),
  };
  scripted.answer = async (response, asked) => {
    count++;
    const answer = await line.spoil(asked, count, () => handOn(asked));
    if (answer === undefined) {
      asked.socket.destroy();
      return;
    }
    const retry = answer.retryAfter === undefined ? {} : { "retry-after": String(answer.retryAfter) };
    response.writeHead(answer.status, { "content-type": "application/json; charset=utf-8", ...retry });
    response.end(answer.body);
  };
  return line;
}
