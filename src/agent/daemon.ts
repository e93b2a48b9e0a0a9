// The long-lived agent: serves what there is, decides, acts, rests, and decides again when something happened. One loop
// does one thing at a time; whatever fails is told, remembered, and feeds the next decision.

import type { Generation } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import type { Attempts } from "./attempt-history.ts";
import { createCertificateAlarm } from "./certificate-end.ts";
import { createClockWait } from "./clock-wait.ts";
import type { Tools } from "./connect.ts";
import { onlyConfirms, type Reason } from "./decide.ts";
import { activityOf, type Doing, isIdleWith, restAfter, waitsForClock } from "./doing.ts";
import { needsItsHubKey } from "./hub-key.ts";
import { isNewStart, type Occasion, type Wake } from "./occasions.ts";
import { isOfState, lookAhead, type Outlook } from "./outlook.ts";
import type { Provisioned } from "./provision.ts";
import { createPublication } from "./publication.ts";
import { Pursuit, type PursuitOptions } from "./pursuit.ts";
import { answerStart, createQuestions, type Question } from "./questions.ts";
import { openSetting, type Setting, type SettingOptions } from "./setting.ts";
import { createStretch } from "./stretch.ts";
import { createTroubles } from "./troubles.ts";
import { createWakes } from "./wakes.ts";

export interface DaemonOptions extends Tools, SettingOptions, PursuitOptions {
  /** Told what it is at, whenever that changes. */
  readonly onDoing: (doing: Doing) => void;
  /** Told once a reload is over, whether the new configuration is in force or was refused. */
  readonly onReloaded: () => void;
  /** While somebody is connected, this is no time to leave. */
  readonly isInUse: () => boolean;
}

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #wakes;
  readonly #questions = createQuestions();
  readonly #troubles;
  readonly #setting: Setting;
  readonly #publication;
  readonly #pursuit: Pursuit;
  readonly #clockWait;
  readonly #idleness;
  readonly #tellOfCertificate;
  #doing: Doing = { activity: "starting" };

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#wakes = createWakes<Wake>(options.clock);
    this.#troubles = createTroubles(options);
    this.#setting = openSetting(options, this.#troubles, (occasion) => this.notice(occasion));
    this.#publication = createPublication(options, this.#troubles);
    this.#pursuit = new Pursuit(options, this.#setting, this.#troubles);
    this.#clockWait = createClockWait(options);
    this.#idleness = createStretch(options.clock);
    this.#tellOfCertificate = createCertificateAlarm(options);
  }

  get config(): Config {
    return this.#setting.config;
  }

  get attempts(): Attempts {
    return this.#setting.attempts;
  }

  get doing(): Doing {
    return this.#doing;
  }

  /** Whether programs of the gateway can read this one already. */
  isPublished(current: Generation): boolean {
    return this.#publication.isOutFor(current);
  }

  /** Publishes what there is, without network or TPM. A failure is told, and the daemon goes on. */
  serve(): Promise<Provisioned | undefined> {
    return this.#publication.serve(this.config);
  }

  /** Decides and acts until the signal aborts, or until there was nothing to do for `idle_exit`. */
  async run(): Promise<void> {
    using _watching = this.#setting;
    do {
      await this.#act(await this.#look());
    } while (await this.#rest());
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
    if (occasion === "reload")
      this.#pursuit.interrupt(new MooringError("ERR_CANCELLED", "told to start anew"));
  }

  async #look(): Promise<Outlook | undefined> {
    this.#troubles.stand("look", undefined);
    const asked = (["operator", "start"] as const).find((question) => this.#questions.has(question));
    const finalFailure = this.#pursuit.finalFailure?.code;
    const circumstances = { asked, finalFailure, isClockWaitGivenUp: this.#clockWait.isGivenUp };
    try {
      const outlook = await lookAhead(this.config, this.attempts, circumstances, this.#options);
      this.#tellOfCertificate(outlook.facts);
      this.#become({ activity: activityOf(outlook), outlook });
      return outlook;
    } catch (error) {
      const trouble = this.#troubles.tell(
        isOfState(error) ? "state.unreadable" : "identity.unreadable",
        error,
      );
      this.#troubles.stand("look", trouble);
      this.#become({ activity: "stopped" });
      this.#questions.fail(trouble, "operator", "start");
      return undefined;
    }
  }

  async #act(outlook: Outlook | undefined): Promise<void> {
    // What there is can be published without an identity.
    if (!outlook) {
      if (!isOfState(this.#troubles.at("look"))) await this.serve();
      return;
    }
    const { decision, current, asked } = outlook;
    if (decision.act === "provision") return this.#provision(decision, outlook);
    if (decision.act === "withdraw" && current)
      await this.#publication.withdraw(this.config, current, decision);
    else if (current && needsItsHubKey(current)) {
      const trouble = await this.#pursuit.mendHubKey();
      this.#troubles.stand("look", trouble);
      // It is announced only now, and this process knows whether that succeeds when it has done it.
      if (!trouble) await this.serve();
    }

    const unmended = this.#troubles.at("look");
    if (asked === "start" && unmended) return this.#questions.fail(unmended, "start");
    if (asked !== "start" && this.#publication.tellsOf(current)) return;
    const served = await this.serve();
    // Who asks only now is answered by the next look.
    if (asked === "start")
      answerStart(this.#questions, { decision, served, trouble: this.#troubles.at("outputs") });
  }

  async #provision(reason: Reason, outlook: Outlook): Promise<void> {
    this.#clockWait.forget();
    if (this.#wakes.has("reload")) return;
    const end = await this.#pursuit.provision(reason, outlook);
    const isOnlyUnconfirmed =
      "failure" in end && onlyConfirms(reason.trigger) && this.#questions.has("start");
    // What an errand published, this process knows only when it has looked.
    const served = "done" in end || isOnlyUnconfirmed ? await this.serve() : undefined;
    if (served && isOnlyUnconfirmed) this.#questions.answer(served, "start");
    // Whoever asked for what was interrupted is answered by the attempt under the new configuration.
    this.#questions.close(end, "operator", "start");
  }

  /** Until something happens or is due. False when it is time to leave. */
  async #rest(): Promise<boolean> {
    const { clock, signal, isInUse } = this.#options;
    const { outlook } = this.#doing;
    const trouble = this.#troubles.first;
    const rest = restAfter(outlook, trouble);
    if (!rest || rest.forMs > 0) {
      const next = rest && { at: clock.monotonic() + rest.forMs, because: rest.because };
      this.#become({ ...this.#doing, ...(next && { next }) });
    }

    using _waiting = this.#clockWaitFor(outlook);
    const { idleExitMs = Number.POSITIVE_INFINITY } = this.config.daemon;
    const isIdle = isIdleWith(outlook, trouble) && idleExitMs < (rest?.forMs ?? Number.POSITIVE_INFINITY);
    if (!isIdle) this.#idleness.end();
    // Sleep has a longest time of its own, after which the daemon only looks around.
    const forMs = isIdle ? this.#idleness.leftOf(idleExitMs) : rest?.forMs;
    const wakes = await this.#wakes.next({ forMs, signal });
    for (const wake of wakes) await this.#take(wake);
    if (wakes.length > 0 || isInUse()) this.#idleness.end();
    // It has rested since.
    if (wakes.length === 0) {
      this.#publication.tryAgain();
      this.#setting.check();
    }
    return wakes.length > 0 || !isIdle || this.#idleness.leftOf(idleExitMs) > 0;
  }

  #clockWaitFor(outlook: Outlook | undefined): Disposable | undefined {
    if (outlook && waitsForClock(outlook))
      return this.#clockWait.goOn(this.#setting, () => this.#wakes.post("clock-waited"));
    this.#clockWait.pass();
    return undefined;
  }

  async #take(wake: Wake): Promise<void> {
    if (wake === "reload") return this.#reload();
    if (wake === "roll-back") return this.#rollBack();
    const isPerson = wake === "start" || wake === "operator";
    // An attempt that was under way has answered already.
    if (isPerson && !this.#questions.has(wake)) return;
    const isClockWaitGivenUp = this.#clockWait.isGivenUp;
    if (isNewStart(wake, { lastFailure: this.attempts.lastFailure, isClockWaitGivenUp }))
      this.#startAnew({ isBusyForgiven: isPerson });
  }

  async #rollBack(): Promise<void> {
    const end = await this.#pursuit.rollBack();
    await this.serve();
    this.#questions.close(end, "roll-back");
  }

  async #reload(): Promise<void> {
    const { endpoint } = this.config.provisioning;
    this.#setting.reload();
    this.#startAnew({ isBusyForgiven: endpoint !== this.config.provisioning.endpoint });
    await this.serve();
    this.#options.onReloaded();
  }

  #startAnew(how: { isBusyForgiven: boolean }): void {
    this.attempts.forgive(how);
    this.#pursuit.startAnew();
  }

  #become({ trouble: _before, ...doing }: Doing): void {
    const trouble = this.#troubles.first;
    this.#doing = { ...doing, ...(trouble && { trouble }) };
    this.#options.onDoing(this.#doing);
  }
}
