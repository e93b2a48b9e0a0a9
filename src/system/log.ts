// What happens, as events: name first (`registration.assigned`), then fields with fixed names. Rooms take a Log
// and know nothing of pino, terminals or journald; `cli/` decides where the lines go.

export type Fields = Record<string, unknown>;

export interface Log {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
}

const ignore = (): void => {};

export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
