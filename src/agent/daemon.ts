// The long-lived agent: serves what there is, decides, acts, rests, and decides again when something happened. One loop
// does one thing at a time; whatever fails is told, remembered, and feeds the next decision.

import { type Generation, loadCurrent } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { asMooringError, causeText, type ErrorCode, MooringError } from "../errors.ts";
import { recordAttempt } from "./attempt.ts";
import { type Attempts, tooManyAttempts } from "./attempt-history.ts";
import { type AttemptTools, openAttempts } from "./attempts.ts";
import { mayBeOfTime } from "./clock-fault.ts";
import type { Tools } from "./connect.ts";
import { type Decision, onlyConfirms, type Reason } from "./decide.ts";
import { activityOf, type Doing, restAfter } from "./doing.ts";
import type { Work } from "./errand.ts";
import { needsItsHubKey } from "./hub-key.ts";
import { watchIdentity } from "./identity-watch.ts";
import { lookAhead, type Outlook } from "./outlook.ts";
import type { Provisioned } from "./provision.ts";
import { createQuestions, type Question } from "./questions.ts";
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

export type Occasion = "reload" | "identity-changed" | "clock-stepped";

type Wake = Question | Occasion | "clock-waited";

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #wakes;
  readonly #questions = createQuestions();
  #config: Config;
  #attempts: Attempts;
  #identityWatch: Disposable;
  #doing: Doing = { activity: "starting" };
  /** Ends the attempt that is under way, without harm. */
  #interrupt = new AbortController();
  #finalFailure: MooringError | undefined;
  /** Why the hub key is left alone until something changes: a wrong password is not tried twice. */
  #unmendable: MooringError | undefined;
  #isClockWaitGivenUp = false;
  /** Since when, on the monotonic clock, it waits for the other one to be right. */
  #clockAwaitedFrom: number | undefined;
  /** Since when, on the monotonic clock, it has been idle. */
  #idleFrom: number | undefined;
  /** The generation that the outputs tell of, and what is wrong with one of them. */
  #served: { readonly number?: number; readonly trouble?: MooringError } = {};
  /** What could not be done here since it last looked. */
  #trouble: MooringError | undefined;
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
      const served = current && (await serve(this.#config, current, this.#options));
      this.#noteServed(current, served);
      return served;
    } catch (error) {
      this.#served = { trouble: this.#troubled("assignment.unserved", error) };
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

  /** Somebody asks; resolves with what came of it. */
  ask(question: Question): Promise<Provisioned> {
    const answer = this.#questions.ask(question);
    this.#wakes.post(question);
    return answer;
  }

  /** Something happened. An attempt under the old configuration is not worth its end. */
  notice(occasion: Occasion): void {
    this.#wakes.post(occasion);
    if (occasion === "reload") this.#interrupt.abort(new MooringError("ERR_CANCELLED", "told to start anew"));
  }

  async #look(): Promise<Outlook | undefined> {
    this.#trouble = undefined;
    const asked = (["operator", "start"] as const).find((question) => this.#questions.has(question));
    const finalFailure = this.#finalFailure?.code;
    const circumstances = { asked, finalFailure, isClockWaitGivenUp: this.#isClockWaitGivenUp } as const;
    try {
      const outlook = await lookAhead(this.#config, this.#attempts, circumstances, this.#options);
      this.#become({ activity: activityOf(outlook), outlook });
      return outlook;
    } catch (error) {
      this.#trouble = this.#troubled(isOfState(error) ? "state.unreadable" : "identity.unreadable", error);
      this.#become({ activity: "stopped" });
      this.#questions.fail(this.#trouble, "operator", "start");
      return undefined;
    }
  }

  async #act(outlook: Outlook | undefined): Promise<void> {
    if (!outlook) return;
    const { decision, current, asked } = outlook;
    if (decision.act === "provision") return this.#provision(decision, outlook);
    if (decision.act === "withdraw" && current) await this.#withdraw(current, decision);
    else if (current && needsItsHubKey(current)) await this.#mendHubKey();

    if (asked !== "start" && current?.number === this.#served.number) return;
    const served = await this.serve();
    // Who asks only now is answered by the next look.
    if (asked !== "start") return;
    if (decision.act === "wait" && !onlyConfirms(decision.trigger))
      this.#questions.fail(heldBack(decision), "start");
    else if (served) this.#questions.answer(served, "start");
    else if (this.#served.trouble) this.#questions.fail(this.#served.trouble, "start");
  }

  async #provision(reason: Reason, { current, facts }: Outlook): Promise<void> {
    const { trigger, because } = reason;
    const about = { trigger, assignment: facts.assignment, wanted: facts.wanted };
    const decidedOn = current && { decidedOn: current.number };
    this.#finalFailure = undefined;
    this.#isClockWaitGivenUp = false;
    this.#interrupt = new AbortController();
    const { signal } = this.#interrupt;
    if (this.#wakes.has("reload")) return;
    try {
      const done = await recordAttempt(this.#config, this.#attempts, about, () =>
        this.#errand({ do: "provision", reason: { trigger, because }, ...decidedOn }, signal),
      );
      if (done) this.#questions.answer(done, "operator", "start");
    } catch (error) {
      const failure = this.#troubled("provisioning.failed", error);
      // Whoever asked for it is answered by the attempt under the new configuration.
      if (signal.aborted) return;
      if (failure.retry === "never") this.#finalFailure = failure;
      const served = onlyConfirms(trigger) && this.#questions.has("start") && (await this.serve());
      if (served) this.#questions.answer(served, "start");
      this.#questions.fail(failure, "operator", "start");
    }
  }

  #noteServed(current: Generation | undefined, done: Provisioned | undefined): void {
    const trouble = done?.outputs.find(({ error }) => error)?.error;
    this.#served = { ...(current && { number: current.number }), ...(trouble && { trouble }) };
  }

  async #withdraw(current: Generation, reason: Reason): Promise<void> {
    try {
      this.#noteServed(current, await withdraw(this.#config, current, reason, this.#options));
    } catch (error) {
      this.#trouble = this.#troubled("assignment.not-withdrawn", error);
    }
  }

  async #mendHubKey(): Promise<void> {
    this.#trouble = this.#unmendable;
    if (this.#trouble) return;
    try {
      await this.#errand({ do: "mend-hub-key" });
    } catch (error) {
      this.#trouble = this.#troubled("hub-key.unmended", error);
      if (this.#trouble.retry === "never") this.#unmendable = this.#trouble;
    }
  }

  #errand(work: Work, interrupt?: AbortSignal): Promise<Provisioned | null> {
    const { sendOnErrand, signal } = this.#options;
    return sendOnErrand(this.#config, work, interrupt ? AbortSignal.any([signal, interrupt]) : signal);
  }

  /** Until something happens or is due. False when it is time to leave. */
  async #rest(): Promise<boolean> {
    const { clock, signal, isInUse } = this.#options;
    const { outlook } = this.#doing;
    const decision = outlook?.decision;
    const trouble = this.#whatTroubles();
    const rest = restAfter(outlook, trouble);
    if (!rest || rest.forMs > 0) {
      const next = rest && { at: clock.monotonic() + rest.forMs, because: rest.because };
      this.#become({ ...this.#doing, ...(next && { next }) });
    }

    const needsClock = decision?.act === "wait" && decision.forMs === undefined;
    if (!needsClock) this.#clockAwaitedFrom = undefined;
    using _waiting = needsClock ? this.#awaitClock() : undefined;
    const { idleExitMs = Number.POSITIVE_INFINITY } = this.#config.daemon;
    const isIdle =
      decision?.act === "keep" && !trouble && idleExitMs < (rest?.forMs ?? Number.POSITIVE_INFINITY);
    if (!isIdle) this.#idleFrom = undefined;
    // Sleep has a longest time of its own, after which it only looks around.
    const idleLeftMs = (): number => {
      this.#idleFrom ??= clock.monotonic();
      return idleExitMs - (clock.monotonic() - this.#idleFrom);
    };
    const wakes = await this.#wakes.next({ forMs: isIdle ? idleLeftMs() : rest?.forMs, signal });
    for (const wake of wakes) await this.#take(wake);
    if (wakes.length > 0 || isInUse()) this.#idleFrom = undefined;
    // It has rested since: what could not be published may be published now.
    if (wakes.length === 0 && this.#served.trouble) this.#served = {};
    return wakes.length > 0 || !isIdle || idleLeftMs() > 0;
  }

  async #take(wake: Wake): Promise<void> {
    if (wake === "reload") return this.#reload();
    if (wake === "roll-back") return this.#rollBack();
    const isPerson = wake === "start" || wake === "operator";
    // An attempt that was under way has answered already.
    if (isPerson && !this.#questions.has(wake)) return;
    if (this.#isNewStart(wake)) this.#startAnew({ isBusyForgiven: isPerson });
  }

  /** Something changed, or a person has come: what failed before may work now. */
  #isNewStart(wake: Wake): boolean {
    const isClock = wake === "clock-stepped" || (wake === "clock-waited" && !this.#isClockWaitGivenUp);
    const { lastFailure } = this.#attempts;
    if (isClock) return lastFailure !== undefined && mayBeOfTime(lastFailure.code);
    return wake !== "clock-waited";
  }

  #startAnew(how: { isBusyForgiven: boolean }): void {
    this.#attempts.forgive(how);
    this.#finalFailure = undefined;
    this.#unmendable = undefined;
  }

  /** A configuration that cannot be read leaves the old one in force. */
  async #reload(): Promise<void> {
    const { readConfig, log, onReloaded } = this.#options;
    const { endpoint } = this.#config.provisioning;
    try {
      this.#config = readConfig();
      this.#attempts = openAttempts(this.#config.state.directory, this.#options);
      this.#identityWatch[Symbol.dispose]();
      this.#identityWatch = this.#watchIdentity();
      this.#configTrouble = undefined;
      log.info("config.read-again");
    } catch (error) {
      this.#configTrouble = this.#troubled("config.refused", error);
    }
    this.#startAnew({ isBusyForgiven: endpoint !== this.#config.provisioning.endpoint });
    await this.serve();
    onReloaded();
  }

  #watchIdentity(): Disposable {
    return watchIdentity(this.#config, () => this.notice("identity-changed"), this.#options);
  }

  async #rollBack(): Promise<void> {
    try {
      const done = await this.#errand({ do: "roll-back" });
      if (done) this.#questions.answer(done, "roll-back");
    } catch (error) {
      this.#questions.fail(this.#troubled("rollback.failed", error), "roll-back");
    }
  }

  /** Posts a wake when the clock is right, or was waited for long enough, in however many rests. */
  #awaitClock(): Disposable {
    const over = new AbortController();
    const { signal } = over;
    const now = this.#options.clock.monotonic();
    this.#clockAwaitedFrom ??= now;
    const waitMs = Math.max(0, this.#config.daemon.clockWaitMs - (now - this.#clockAwaitedFrom));
    openTrustedTime(this.#config, this.#attempts, this.#options)
      .awaitPlausible({ waitMs, signal })
      .then((outcome) => {
        this.#isClockWaitGivenUp = outcome === "gave-up";
        this.#wakes.post("clock-waited");
      })
      .catch(() => {});
    return { [Symbol.dispose]: () => over.abort() };
  }

  #become({ trouble: _before, ...doing }: Doing): void {
    const trouble = this.#whatTroubles();
    this.#doing = { ...doing, ...(trouble && { trouble }) };
    this.#options.onDoing(this.#doing);
  }

  #whatTroubles(): MooringError | undefined {
    return this.#trouble ?? this.#served.trouble ?? this.#configTrouble;
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

const stateCodes: ReadonlySet<string> = new Set<ErrorCode>([
  "ERR_STATE_DIRECTORY",
  "ERR_STATE_CORRUPT",
  "ERR_STATE_FULL",
]);

const isOfState = (thrown: unknown): boolean => stateCodes.has(asMooringError(thrown).code);

const heldBack = ({ because, forMs }: Extract<Decision, { act: "wait" }>): MooringError =>
  tooManyAttempts({ because, forMs: forMs ?? 0 });
