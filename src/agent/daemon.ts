// The long-lived agent: serves what there is, decides, acts, rests, and decides again when something happened. One loop
// does one thing at a time; whatever fails is told, remembered, and feeds the next decision.

import { loadCurrent } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { asMooringError, causeText, MooringError } from "../errors.ts";
import { recordAttempt } from "./attempt.ts";
import type { Attempts } from "./attempt-history.ts";
import { type AttemptTools, openAttempts } from "./attempts.ts";
import { mayBeOfTime } from "./clock-fault.ts";
import type { Tools } from "./connect.ts";
import { type Decision, onlyConfirms, type Reason } from "./decide.ts";
import type { Work } from "./errand.ts";
import { needsItsHubKey } from "./hub-key.ts";
import { watchIdentity } from "./identity-watch.ts";
import { lookAhead, type Outlook } from "./outlook.ts";
import type { Provisioned } from "./provision.ts";
import { serve, withdraw } from "./serve.ts";
import { openTrustedTime } from "./time.ts";
import { createWakes } from "./wakes.ts";

export interface DaemonOptions extends Tools, Pick<AttemptTools, "boot" | "random"> {
  /** Reads the configuration: at the start, and when it is asked to. Throws what loadConfig() throws. */
  readonly readConfig: () => Config;
  /** Does what needs a TPM or a line, in a process of its own. */
  readonly sendOnErrand: (config: Config, work: Work, signal: AbortSignal) => Promise<Provisioned | null>;
  /** Told what it is at, whenever that changes. */
  readonly onDoing: (doing: Doing) => void;
  /** Told once a reload is over, whether the new configuration is in force or was refused. */
  readonly onReloaded: () => void;
  /** While somebody is connected, this is no time to leave. */
  readonly isInUse: () => boolean;
}

/** What the daemon is at. */
export interface Doing {
  readonly activity: "starting" | "provisioning" | "waiting" | "resting" | "stopped";
  /** Absent before it has looked around, and when it could not: then `trouble` says why. */
  readonly outlook?: Outlook;
  readonly trouble?: MooringError;
  /** When it acts next of its own accord: ms on the monotonic clock. */
  readonly nextAt?: number;
}

/** Asked by somebody who waits for the answer. */
export type Question = "start" | "operator" | "roll-back";

export type Occasion = "reload" | "identity-changed" | "clock-stepped";

type Wake = Question | Occasion | "clock-waited";

/** What failed although it needs no service is tried this often. */
const troubledMs = 10 * 60_000;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #wakes;
  #config: Config;
  #attempts: Attempts;
  #identityWatch: Disposable;
  #doing: Doing = { activity: "starting" };
  /** Whose questions are still to be answered. */
  readonly #asked = new Map<Question, PromiseWithResolvers<Provisioned>>();
  /** Ends the work that is under way, without harm. */
  #interrupt = new AbortController();
  #finalFailure: MooringError | undefined;
  #isClockGivenUp = false;
  /** Why the configuration is not the one on disk. */
  #configTrouble: MooringError | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#wakes = createWakes<Wake>(options.clock);
    this.#config = options.readConfig();
    this.#attempts = openAttempts(this.#config.state.directory, options);
    this.#identityWatch = this.#watchIdentity();
  }

  get config(): Config {
    return this.#config;
  }

  get attempts(): Attempts {
    return this.#attempts;
  }

  get doing(): Doing {
    return this.#doing;
  }

  /** Publishes what there is, without network or TPM. A failure is told, and the daemon goes on. */
  async serve(): Promise<Provisioned | undefined> {
    try {
      const current = loadCurrent(this.#config.state.directory, this.#options);
      return current && (await serve(this.#config, current, this.#options));
    } catch (error) {
      this.#troubled("assignment.unserved", error);
      return undefined;
    }
  }

  /** Decides and acts until the signal aborts, or until there was nothing to do for `idle_exit`. */
  async run(): Promise<void> {
    try {
      do {
        await this.#act(await this.#look());
      } while (await this.#rest());
    } finally {
      this.#identityWatch[Symbol.dispose]();
    }
  }

  /** Somebody asks; resolves with what came of it. Who asks the same meanwhile gets the same answer. */
  ask(question: Question): Promise<Provisioned> {
    const before = this.#asked.get(question);
    if (before) return before.promise;
    const asked = Promise.withResolvers<Provisioned>();
    asked.promise.catch(() => {}); // who asked need not stay for the answer
    this.#asked.set(question, asked);
    this.#wakes.post(question);
    return asked.promise;
  }

  /** Something happened. An attempt under the old configuration is not worth its end. */
  notice(occasion: Occasion): void {
    if (occasion === "reload") this.#interrupt.abort(new MooringError("ERR_CANCELLED", "told to start anew"));
    this.#wakes.post(occasion);
  }

  async #look(): Promise<Outlook | undefined> {
    const asked = this.#asked.has("operator") ? "operator" : this.#asked.has("start") ? "start" : undefined;
    const finalFailure = this.#finalFailure?.code;
    const circumstances = { asked, finalFailure, isClockGivenUp: this.#isClockGivenUp } as const;
    try {
      const outlook = await lookAhead(this.#config, this.#attempts, circumstances, this.#options);
      this.#become({ activity: activityOf(outlook.decision), outlook });
      return outlook;
    } catch (error) {
      const trouble = this.#troubled("identity.unreadable", error);
      this.#become({ activity: "stopped", trouble });
      this.#answer((asked) => asked.reject(trouble), "operator", "start");
      return undefined;
    }
  }

  async #act(outlook: Outlook | undefined): Promise<void> {
    if (!outlook) return;
    const { decision, current } = outlook;
    if (decision.act === "provision") return this.#provision(decision, outlook);
    if (decision.act === "withdraw" && current) {
      await withdraw(this.#config, current, decision, this.#options);
    } else if (current && needsItsHubKey(current)) {
      await this.#errand({ do: "mend-hub-key" }).catch((error) => this.#troubled("hub-key.unmended", error));
    }
    const served = this.#asked.has("start") && (await this.serve());
    if (served) this.#answer((asked) => asked.resolve(served), "start");
  }

  async #provision(reason: Reason, { current, facts }: Outlook): Promise<void> {
    const { trigger, because } = reason;
    const about = { trigger, assignment: facts.assignment, wanted: facts.wanted };
    const decidedOn = current && { decidedOn: current.number };
    this.#finalFailure = undefined;
    this.#isClockGivenUp = false;
    try {
      const done = await recordAttempt(this.#config, this.#attempts, about, () =>
        this.#errand({ do: "provision", reason: { trigger, because }, ...decidedOn }),
      );
      if (done) this.#answer((asked) => asked.resolve(done), "operator", "start");
    } catch (error) {
      const failure = this.#troubled("provisioning.failed", error);
      if (failure.retry === "never") this.#finalFailure = failure;
      const served = onlyConfirms(trigger) && this.#asked.has("start") && (await this.serve());
      if (served) this.#answer((asked) => asked.resolve(served), "start");
      this.#answer((asked) => asked.reject(failure), "operator", "start");
    }
  }

  #errand(work: Work): Promise<Provisioned | null> {
    const { sendOnErrand, signal } = this.#options;
    this.#interrupt = new AbortController();
    return sendOnErrand(this.#config, work, AbortSignal.any([signal, this.#interrupt.signal]));
  }

  /** False when it is time to leave. */
  async #rest(): Promise<boolean> {
    const { outlook, trouble } = this.#doing;
    const decision = outlook?.decision;
    if (decision?.act === "provision" || decision?.act === "withdraw") return true;
    const needsMending = trouble || (outlook?.current && needsItsHubKey(outlook.current));
    const forMs = decision?.act === "wait" ? decision.forMs : outlook?.facts.timerDueInMs;
    return this.#sleep(needsMending ? Math.min(forMs ?? troubledMs, troubledMs) : forMs, decision);
  }

  async #sleep(forMs: number | undefined, decision: Decision | undefined): Promise<boolean> {
    const { clock, signal, isInUse } = this.#options;
    const nextAt = forMs !== undefined && { nextAt: clock.monotonic() + forMs };
    this.#become({ ...this.#doing, ...nextAt });
    using _waiting = decision?.act === "wait" && forMs === undefined ? this.#awaitClock() : undefined;
    const { idleExitMs = Number.POSITIVE_INFINITY } = this.#config.daemon;
    const isIdle = decision?.act === "keep" && idleExitMs < (forMs ?? Number.POSITIVE_INFINITY);
    const wake = await this.#wakes.next({ forMs: isIdle ? idleExitMs : forMs, signal });
    if (wake === undefined) return !isIdle || isInUse();
    await this.#take(wake);
    return true;
  }

  async #take(wake: Wake): Promise<void> {
    if (wake === "reload") this.#reload();
    if (wake === "roll-back") await this.#rollBack();
    if (this.#isNewStart(wake)) {
      this.#attempts.forgive();
      this.#finalFailure = undefined;
    }
    if (wake !== "reload") return;
    await this.serve();
    this.#options.onReloaded();
  }

  /** Something changed, or a person has come: what failed before may work now. */
  #isNewStart(wake: Wake): boolean {
    const isClock = wake === "clock-stepped" || (wake === "clock-waited" && !this.#isClockGivenUp);
    const { lastFailure } = this.#attempts;
    if (isClock) return lastFailure !== undefined && mayBeOfTime(lastFailure.code);
    return wake === "reload" || wake === "identity-changed" || wake === "start" || wake === "operator";
  }

  /** A configuration that cannot be read leaves the old one in force. */
  #reload(): void {
    const { readConfig, log } = this.#options;
    try {
      this.#config = readConfig();
      this.#attempts = openAttempts(this.#config.state.directory, this.#options);
      this.#identityWatch[Symbol.dispose]();
      this.#identityWatch = this.#watchIdentity();
      log.info("config.read-again");
    } catch (error) {
      this.#configTrouble = this.#troubled("config.refused", error);
      return;
    }
    this.#configTrouble = undefined;
  }

  #watchIdentity(): Disposable {
    return watchIdentity(this.#config, () => this.notice("identity-changed"), this.#options);
  }

  async #rollBack(): Promise<void> {
    try {
      const done = await this.#errand({ do: "roll-back" });
      if (done) this.#answer((asked) => asked.resolve(done), "roll-back");
    } catch (error) {
      const failure = this.#troubled("rollback.failed", error);
      this.#answer((asked) => asked.reject(failure), "roll-back");
    }
  }

  /** Posts a wake when the clock is right, or was waited for long enough. */
  #awaitClock(): Disposable {
    const over = new AbortController();
    const { signal } = over;
    openTrustedTime(this.#config, this.#attempts, this.#options)
      .awaitPlausible({ waitMs: this.#config.daemon.clockWaitMs, signal })
      .then((outcome) => {
        this.#isClockGivenUp = outcome === "gave-up";
        this.#wakes.post("clock-waited");
      })
      .catch(() => {});
    return { [Symbol.dispose]: () => over.abort() };
  }

  #become(doing: Doing): void {
    this.#doing = {
      ...doing,
      ...(!doing.trouble && this.#configTrouble && { trouble: this.#configTrouble }),
    };
    this.#options.onDoing(this.#doing);
  }

  #answer(how: (asked: PromiseWithResolvers<Provisioned>) => void, ...questions: readonly Question[]): void {
    for (const question of questions) {
      const asked = this.#asked.get(question);
      this.#asked.delete(question);
      if (asked) how(asked);
    }
  }

  /** Tells of a failure that ends nothing. Being told to stop is none, and ends all. */
  #troubled(event: string, thrown: unknown): MooringError {
    this.#options.signal.throwIfAborted();
    const failure = asMooringError(thrown);
    const { code, hint } = failure;
    if (code !== "ERR_CANCELLED") this.#options.log.warn(event, { code, error: causeText(failure), hint });
    return failure;
  }
}

function activityOf({ act }: Decision): Doing["activity"] {
  switch (act) {
    case "provision":
    case "withdraw":
      return "provisioning";
    case "wait":
      return "waiting";
    case "keep":
      return "resting";
    case "stop":
      return "stopped";
  }
}
