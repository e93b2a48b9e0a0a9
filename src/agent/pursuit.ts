// What the daemon pursues, one piece of work at a time: each is an errand of a process of its own, and comes to an end
// that is told. What failed for good is not tried again before something changes.

import type { Config } from "../config/schema.ts";
import type { MooringError } from "../errors.ts";
import { recordAttempt } from "./attempt.ts";
import type { Tools } from "./connect.ts";
import type { Reason } from "./decide.ts";
import type { Work } from "./errand.ts";
import type { Outlook } from "./outlook.ts";
import type { Provisioned } from "./provision.ts";
import type { Setting } from "./setting.ts";
import type { Troubles } from "./troubles.ts";

export interface PursuitOptions extends Pick<Tools, "signal"> {
  /** Does what needs a TPM or a line, in a process of its own. */
  readonly sendOnErrand: (config: Config, work: Work, signal: AbortSignal) => Promise<Provisioned | null>;
}

/** Rejects only with the signal's reason. */
export type End =
  | { readonly done: Provisioned | null }
  | { readonly failure: MooringError }
  | { readonly interrupted: true };

export class Pursuit {
  readonly #options: PursuitOptions;
  readonly #setting: Setting;
  readonly #troubles: Troubles;
  #interrupt = new AbortController();
  /** By what was to be done. */
  readonly #final = new Map<Work["do"], MooringError>();

  constructor(options: PursuitOptions, setting: Setting, troubles: Troubles) {
    this.#options = options;
    this.#setting = setting;
    this.#troubles = troubles;
  }

  /** How provisioning failed for good. */
  get finalFailure(): MooringError | undefined {
    return this.#final.get("provision");
  }

  /** Something changed: what failed for good may work now. */
  startAnew(): void {
    this.#final.clear();
  }

  /** Ends a provisioning that is under way, without harm; other work is not worth less for that. */
  interrupt(reason: MooringError): void {
    this.#interrupt.abort(reason);
  }

  /** Registers, on the record. */
  async provision({ trigger, because }: Reason, { current, facts }: Outlook): Promise<End> {
    const { config, attempts } = this.#setting;
    const { assignment, wanted } = facts;
    const decidedOn = current && { decidedOn: current.number };
    const work: Work = { do: "provision", reason: { trigger, because }, ...decidedOn };
    this.#final.delete("provision");
    this.#interrupt = new AbortController();
    const interrupt = this.#interrupt.signal;
    const signal = AbortSignal.any([this.#options.signal, interrupt]);
    const end = await this.#endOf("provisioning.failed", work, () =>
      recordAttempt(config, attempts, { trigger, assignment, wanted }, () => this.#errand(work, signal)),
    );
    return "failure" in end && interrupt.aborted ? { interrupted: true } : end;
  }

  /** What is in the way of it; a wrong password is not tried twice, because the TPM counts them. */
  async mendHubKey(): Promise<MooringError | undefined> {
    const work: Work = { do: "mend-hub-key" };
    const final = this.#final.get(work.do);
    if (final) return final;
    const end = await this.#endOf("hub-key.unmended", work, () => this.#errand(work));
    return "failure" in end ? end.failure : undefined;
  }

  /** A person's wish: it is tried as often as it is asked for. */
  rollBack(): Promise<End> {
    const work: Work = { do: "roll-back" };
    return this.#endOf("rollback.failed", work, () => this.#errand(work));
  }

  #errand(work: Work, signal: AbortSignal = this.#options.signal): Promise<Provisioned | null> {
    return this.#options.sendOnErrand(this.#setting.config, work, signal);
  }

  async #endOf(event: string, work: Work, act: () => Promise<Provisioned | null>): Promise<End> {
    try {
      return { done: await act() };
    } catch (error) {
      const failure = this.#troubles.tell(event, error);
      if (failure.retry === "never") this.#final.set(work.do, failure);
      return { failure };
    }
  }
}
