// `mooring manual`: the man page and the completion of the shell, made from the same descriptions as --help, so that the
// three never disagree.

import { Argument, type Command, type Option } from "commander";
import { exampleConfig } from "../config/example.ts";
import { errorTable } from "../errors.ts";
import { version } from "../system/version.ts";
import { dependentUnit, files, units } from "./manual-places.ts";

const kinds = ["mooring.8", "mooring.toml.5", "completion"] as const;

/** Hidden: packages are made with it. */
export function addManualCommand(program: Command): void {
  program
    .command("manual", { hidden: true })
    .addArgument(new Argument("<kind>", "which").choices(kinds))
    .option("--date <day>", "day of the release", "1970-01-01")
    .action((kind: (typeof kinds)[number], { date }: { date: string }) => {
      const pages = {
        "mooring.8": () => manualPage(program, date),
        "mooring.toml.5": () => configPage(date),
        completion: () => bashCompletion(program),
      };
      process.stdout.write(pages[kind]());
    });
}

/** Commands that people use, in the order of --help. */
const shown = (command: Command): readonly Command[] =>
  command.commands.filter((one) => !("_hidden" in one && one._hidden) && one.name() !== "help");

/** Every command with its words, such as `service run`; those that only group others are left out. */
function* leaves(
  command: Command,
  words: readonly string[] = [],
): Generator<{ words: readonly string[]; command: Command }> {
  for (const one of shown(command)) {
    const path = [...words, one.name()];
    if (shown(one).length > 0) yield* leaves(one, path);
    else yield { words: path, command: one };
  }
}

const optionsOf = (command: Command): readonly Option[] => command.options.filter((option) => !option.hidden);

/** man(7) takes a backslash, and a dot or an apostrophe at the start of a line, for orders, and is ASCII. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1")
    .replace(
      /[^\n -~]/gu,
      (sign) => `\\[u${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`,
    );

const argumentText = (argument: Argument): string => {
  const name = `${argument.name()}${argument.variadic ? "…" : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
};

/** mooring(8) as man(7) source. `date`: day of the release, ISO 8601. */
function manualPage(program: Command, date: string): string {
  const lines = [
    `.TH MOORING 8 "${date}" "mooring ${version}" "System Administration"`,
    ".SH NAME",
    "mooring \\- provisions this gateway with the Azure IoT Hub Device Provisioning Service",
    ".SH SYNOPSIS",
    ".B mooring",
    ".I command",
    "[options]",
    ".SH DESCRIPTION",
    roff(program.description()),
    ".SH COMMANDS",
    ...[...leaves(program)].flatMap(({ words, command }) => commandSection(words, command)),
    ".SH UNITS",
    ...units.flatMap(([name, what]) => [".TP", `.B ${roff(name)}`, roff(what)]),
    ...[
      ".PP",
      "A program that needs the assignment says in its unit:",
      ".PP",
      ".nf",
      roff(dependentUnit),
      ".fi",
    ],
    ".SH EXIT STATUS",
    ...exitStatus(),
    ".SH FILES",
    ...files.flatMap(([path, what]) => [".TP", `.I ${roff(path)}`, roff(what)]),
    ".SH SEE ALSO",
    ".BR mooring.toml (5),",
    ".BR systemd.unit (5)",
  ];
  return `${lines.join("\n")}\n`;
}

/** What --help says behind the options. */
function remarksOf(command: Command): string {
  let help = "";
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  return help.replace(command.helpInformation(), "").trim();
}

function commandSection(words: readonly string[], command: Command): string[] {
  const remarks = remarksOf(command);
  const usage = [...words, ...command.registeredArguments.map(argumentText)].join(" ");
  return [
    `.SS "${roff(`mooring ${usage}`)}"`,
    roff(command.description()),
    ...optionsOf(command).flatMap((option) => [".TP", `.B ${roff(option.flags)}`, roff(option.description)]),
    ...(remarks === "" ? [] : [".PP", ".nf", roff(remarks), ".fi"]),
  ];
}

function exitStatus(): string[] {
  const codes = Map.groupBy(Object.entries(errorTable), ([, { exitCode }]) => exitCode);
  const rows = [...codes].sort(([a], [b]) => a - b);
  return [
    ...[".TP", ".B 0", "Done."],
    ...rows.flatMap(([exitCode, errors]) => [
      ...[".TP", `.B ${exitCode}`],
      roff(`${errors.map(([code]) => code).join(", ")}.`),
    ]),
  ];
}

/** mooring.toml(5): the commented template, word for word. */
const configPage = (date: string): string =>
  [
    `.TH MOORING.TOML 5 "${date}" "mooring ${version}" "File Formats"`,
    ".SH NAME",
    "mooring.toml \\- configuration of the Mooring agent",
    ".SH DESCRIPTION",
    "What",
    ".B mooring config example",
    "prints: every key, with its default or an example.",
    ".PP",
    ".nf",
    roff(exampleConfig),
    ".fi",
    ".SH SEE ALSO",
    ".BR mooring (8)",
    "",
  ].join("\n");

/** Completion of commands and options for bash; what an option takes is completed as a file. */
function bashCompletion(program: Command): string {
  const cases: string[] = [];
  const visit = (command: Command, words: readonly string[]): void => {
    const next = shown(command).map((one) => one.name());
    const options = [...optionsOf(command).flatMap(({ long }) => long ?? []), "--help"];
    cases.push(
      `    ${JSON.stringify(words.join(" "))}) words=${JSON.stringify([...next, ...options].join(" "))} ;;`,
    );
    for (const one of shown(command)) visit(one, [...words, one.name()]);
  };
  visit(program, []);
  return `# bash completion for mooring; made by \`mooring manual --completion\`.
_mooring() {
  local current=\${COMP_WORDS[COMP_CWORD]} path= words= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) _mooring_words "\${path:+$path }$word"; [ -z "$words" ] || path="\${path:+$path }$word" ;; esac
  done
  _mooring_words "$path"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
_mooring_words() {
  words=
  case $1 in
${cases.join("\n")}
  esac
}
complete -o default -F _mooring mooring
`;
}
