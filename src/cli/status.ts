// `mooring status`: what this gateway is assigned to, and whether the configuration still asks for the same.

import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { MooringError } from "../errors.ts";
import { type CommonOptions, commandTools, withCommonOptions } from "./options.ts";
import { paint, printFacts, printJson, printLine } from "./output.ts";

export function addStatusCommand(program: Command): void {
  withCommonOptions(program.command("status"))
    .description("show the assignment, and whether it still fits the configuration")
    .addHelpText(
      "after",
      "\nReads local state only: no network, no TPM. Exits 0 with an assignment, 66 without one.",
    )
    .action(async (options: CommonOptions) => {
      const config = loadConfig(options.config);
      const tools = commandTools(options);
      const [{ loadCurrent }, { decide }, { lookAround }, { openAttempts }] = await Promise.all([
        import("../assignment/generations.ts"),
        import("../agent/decide.ts"),
        import("../agent/situation.ts"),
        import("../agent/attempts.ts"),
      ]);
      const generation = loadCurrent(config.state.directory, tools);
      if (!generation) {
        throw new MooringError("ERR_NOT_PROVISIONED", `there is no assignment in ${config.state.directory}`);
      }
      const { assignment, number } = generation;
      const attempts = openAttempts(config.state.directory, { ...tools, isReadOnly: true });
      const facts = await lookAround(config, generation, attempts, { ...tools, operatorAsks: false });
      const decision = decide(facts);
      if (options.json) {
        printJson({ ...assignment, generation: number, decision });
        return;
      }
      printFacts({
        hub: assignment.assignedHub,
        "device id": assignment.deviceId,
        "registration id": assignment.registrationId,
        "id scope": assignment.idScope,
        attestation: assignment.attestation,
        transport: assignment.transport,
        substatus: assignment.substatus,
        since: assignment.assignedAt,
        generation: number,
      });
      printLine(
        "because" in decision
          ? paint("yellow", `\`mooring provision\` would register again: ${decision.because}.`)
          : paint("green", "The assignment fits the configuration."),
      );
    });
}
