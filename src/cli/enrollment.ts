// `mooring enrollment …` and `mooring enrollment-group …`: who may register, at the local service or at Azure.

import type { Command } from "commander";
import { addCreate } from "./enrollment-create.ts";
import { addDelete } from "./enrollment-delete.ts";
import { addExport } from "./enrollment-export.ts";
import { addImport } from "./enrollment-import.ts";
import { type CommandKind, devices, groups } from "./enrollment-kind.ts";
import { addRollCertificate } from "./enrollment-roll.ts";
import { addList, addShow } from "./enrollment-show.ts";
import { addUpdate } from "./enrollment-update.ts";

export function addEnrollmentCommands(program: Command): void {
  addCommands(
    program.command(devices.command).description("devices that may register, each by itself"),
    devices as CommandKind,
  );
  addCommands(
    program
      .command(groups.command)
      .description("devices that may register because a CA or a group key vouches for them"),
    groups as CommandKind,
  );
}

function addCommands(commands: Command, kind: CommandKind): void {
  addCreate(commands.command("create"), kind);
  addShow(commands.command("show"), kind);
  addList(commands.command("list"), kind);
  addUpdate(commands.command("update"), kind);
  addRollCertificate(commands.command("roll-certificate"), kind);
  addDelete(commands.command("delete"), kind);
  addImport(commands.command("import"), kind);
  addExport(commands.command("export"), kind);
}
