// Looking at a certificate before it is enrolled. The only question of the management API whose body is no JSON.

import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import * as v from "valibot";
import { reportCertificate } from "./certificate-report.ts";
import { readInput } from "./json-input.ts";
import { type OperatorApiOptions, operatorApi } from "./operator-api.ts";
import { Refusal } from "./refusal.ts";

/** In bytes: ten certificates of the largest kind. */
const largestFile = 128 * 1024;

const query = v.object({ use: v.optional(v.picklist(["device", "ca"])) });

/** A plugin for `app.register(certificateApi(…))`; see operatorApi for what it asks of the server. */
export const certificateApi = (options: OperatorApiOptions): FastifyPluginAsync =>
  operatorApi(
    options,
    (route) =>
      route("POST", "/mooring/certificate", "EnrollmentRead", ({ request, body, now }) => {
        const { use } = readInput(query, request.query);
        const file = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
        if (file.length > largestFile) throw new Refusal(413000, "This is far too large for a certificate.");
        return reportCertificate(file, { use, now });
      }),
    { parse: takeBytes },
  );

/** Whatever the content type says. */
function takeBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, bytes, done) => done(null, bytes));
}
