// `mooring run`, put together: the daemon, the socket on which it can be asked, the service manager that started it, and
// what may happen on this machine that it has to notice.

import { EventEmitter } from "node:events";
import { loadCurrent } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { asMooringError, causeText, MooringError } from "../errors.ts";
import { watchClockSteps } from "../system/clock-steps.ts";
import type { Log } from "../system/log.ts";
import { ownerBesideRoot } from "../system/owner.ts";
import { type ServiceManager, serviceManager } from "../system/service-manager.ts";
import { tellIfUnheard } from "./announcement.ts";
import type { Tools } from "./connect.ts";
import { type Events, overheard } from "./control/events.ts";
import { type Controlled, type ControlServer, serveControl } from "./control/server.ts";
import { turnAway } from "./control/turn-away.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";
import type { Doing } from "./doing.ts";
import { sendOnErrand } from "./errand.ts";
import { type Status, statusOf } from "./status.ts";
import { openTrustedTime } from "./time.ts";
import { untilUsable } from "./usable.ts";

export interface RunOptions extends Tools {
  readonly readConfig: () => Config;
  /** This program's own file, for its errands. */
  readonly program: string;
}

/**
 * Serves, decides and acts until the signal aborts or the daemon has been idle for long enough. It is ready once what
 * there is has been published, with or without an assignment: an offline boot waits for nobody. Throws what reading the
 * configuration throws, and ERR_DAEMON_RUNNING.
 */
export async function run(options: RunOptions): Promise<void> {
  const { clock, signal, program, readConfig } = options;
  const { log, events } = overheard(options.log);
  const tools = { clock, log, signal };
  const manager = serviceManager({ log });
  const startedAt = clock.monotonic();
  const changes = new EventEmitter().setMaxListeners(0);
  let control: ControlServer | undefined;

  const daemon: Daemon = await start(
    {
      ...tools,
      readConfig,
      sendOnErrand: (config, work, stop) => sendOnErrand({ config, work }, { program, log, signal: stop }),
      onDoing: (doing) => {
        manager.status(inWords(doing));
        changes.emit("change");
      },
      onReloaded: () => manager.ready(inWords(daemon.doing)),
      isInUse: () => (control?.connections() ?? 0) > 0,
    },
    manager,
  );
  requireOwn(daemon.config.state.directory);
  // From here on a hang-up is a word, and no end.
  using _notices = noticesFor(daemon, manager, tools);
  const status = (): Promise<Status> => statusOfDaemon(daemon, startedAt, tools);
  try {
    tellIfUnheard(daemon.config, log);
    await daemon.serve();
    const { controlSocket: path, controlGroup: group } = daemon.config.daemon;
    control = await serveControl(controlled(daemon, status, changes, events), {
      ...{ path, fd: manager.listenFds[0], group, stateDirectory: () => daemon.config.state.directory },
      ...tools,
    }).catch((error) => withoutControl(error, log));
    using _watchdog = manager.feedWatchdog();
    manager.ready(inWords(daemon.doing));
    await daemon.run();
    log.info("daemon.idle");
  } catch (error) {
    // To be told to stop is a good end at every moment.
    if (!signal.aborted) throw error;
  } finally {
    manager.stopping();
    await control?.close();
  }
}

/** Throws why there can be no daemon, once whoever asks for it has heard so. */
async function start(options: DaemonOptions, manager: ServiceManager): Promise<Daemon> {
  const [fd] = manager.listenFds;
  try {
    return new Daemon(options);
  } catch (error) {
    const failure = asMooringError(error);
    manager.status(`not started: ${failure.code}`);
    if (fd !== undefined) await turnAway(failure, { ...options, fd });
    throw error;
  }
}

/** Root's files among those of the package's agent would end that. Throws ERR_STATE_DIRECTORY. */
function requireOwn(stateDirectory: string): void {
  if (!ownerBesideRoot(stateDirectory)) return;
  throw new MooringError(
    "ERR_STATE_DIRECTORY",
    `${stateDirectory} belongs to another user, as whom the agent has to run`,
    { path: stateDirectory, hint: "`systemctl start mooring` runs it as that user" },
  );
}

/** A daemon that nobody can ask still does its work; commands then work on the state directly, under its lock. */
function withoutControl(error: unknown, log: Log): undefined {
  if (!(error instanceof MooringError && error.code === "ERR_CONTROL_SOCKET")) throw error;
  log.warn("control.unavailable", { code: error.code, error: causeText(error), hint: error.hint });
}

function controlled(
  daemon: Daemon,
  status: () => Promise<Status>,
  changes: EventEmitter,
  events: Events,
): Controlled {
  return {
    status,
    provision: () => daemon.ask("start"),
    reprovision: () => daemon.ask("operator"),
    rollBack: () => daemon.ask("roll-back"),
    usable: (tools) => untilUsable(status, changes, tools),
    events,
  };
}

/** `startedAt` is monotonic: the wall clock may have been set since. */
async function statusOfDaemon(daemon: Daemon, startedAt: number, tools: Tools): Promise<Status> {
  const { config, attempts } = daemon;
  const { activity, outlook, trouble, next } = daemon.doing;
  const { clock } = tools;
  // To the second: two clocks that are read one after the other differ by a breath.
  const startedAtSeconds = (clock.now() - (clock.monotonic() - startedAt)) / 1000;
  const since = new Date(Math.round(startedAtSeconds) * 1000).toISOString();
  const current = loadCurrent(config.state.directory, tools);
  return statusOf(config, {
    alive: { running: true, pid: process.pid, since, activity },
    current,
    isPublished: current && daemon.isPublished(current),
    decision: outlook?.decision,
    trouble,
    attempts,
    clock: openTrustedTime(config, attempts, tools).state,
    next: next && { inMs: Math.max(0, next.at - clock.monotonic()), because: next.because },
    now: clock.now(),
  });
}

/** Until disposed of, SIGHUP and a clock that was set are told to the daemon. */
function noticesFor(daemon: Daemon, manager: ServiceManager, { clock }: Tools): Disposable {
  const over = new AbortController();
  const onHangup = (): void => {
    manager.reloading();
    daemon.notice("reload");
  };
  process.on("SIGHUP", onHangup);
  void watchClockSteps(() => daemon.notice("clock-stepped"), { clock, signal: over.signal });
  return {
    [Symbol.dispose]: () => {
      over.abort();
      process.off("SIGHUP", onHangup);
    },
  };
}

/** For `systemctl status`. */
function inWords({ activity, outlook, trouble }: Doing): string {
  // Before the first look it is not known what there is.
  if (!outlook && !trouble) return activity;
  const assignment = outlook?.facts.assignment;
  const has = assignment ? `${assignment.deviceId} at ${assignment.assignedHub}` : "no assignment yet";
  const decision = outlook?.decision;
  const why = trouble ? trouble.code : decision && "because" in decision ? decision.because : undefined;
  return `${activity}: ${has}${why === undefined ? "" : `; ${why}`}`;
}
