// `mooring errand`: what the daemon starts for the work that it does not do itself.

import { goOnErrand } from "../agent/errand.ts";
import { commandTools } from "./options.ts";

/** Does what the parent process asks for, and tells it what came of it. Throws ERR_USAGE where nobody can ask. */
export const runErrand = (): Promise<void> =>
  goOnErrand(async ({ config, work }, tools) => {
    switch (work.do) {
      case "provision": {
        const { provisionAnew } = await import("../agent/provision.ts");
        return provisionAnew(config, work.reason, work.decidedOn, tools);
      }
      case "mend-hub-key": {
        const { mendHubKey } = await import("../agent/provision.ts");
        await mendHubKey(config, tools);
        return null;
      }
      case "roll-back": {
        const { rollBack } = await import("../agent/rollback.ts");
        return rollBack(config, tools);
      }
    }
  }, commandTools({}));
