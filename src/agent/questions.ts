// What people ask the daemon, until it is answered. Who asks the same meanwhile gets the same answer; nobody has to stay
// for it.

import type { MooringError } from "../errors.ts";
import { tooManyAttempts } from "./attempt-history.ts";
import { type Decision, onlyConfirms } from "./decide.ts";
import type { Provisioned } from "./provision.ts";
import type { End } from "./pursuit.ts";

/** `start`: what `mooring provision` does. `operator`: a new registration, whatever there is. */
export type Question = "start" | "operator" | "roll-back";

export interface Questions {
  /** Resolves, or rejects, with what comes of it. */
  ask(question: Question): Promise<Provisioned>;
  has(question: Question): boolean;
  /** Answers those of `questions` that somebody has asked. */
  answer(done: Provisioned, ...questions: readonly Question[]): void;
  fail(failure: MooringError, ...questions: readonly Question[]): void;
  /** Whoever has asked for what has come to an end hears of it. What was interrupted goes on in another attempt. */
  close(end: End, ...questions: readonly Question[]): void;
}

export function createQuestions(): Questions {
  const asked = new Map<Question, PromiseWithResolvers<Provisioned>>();
  const take = (questions: readonly Question[]): PromiseWithResolvers<Provisioned>[] =>
    questions.flatMap((question) => {
      const one = asked.get(question);
      asked.delete(question);
      return one ?? [];
    });
  const answer: Questions["answer"] = (done, ...questions) => {
    for (const one of take(questions)) one.resolve(done);
  };
  const fail: Questions["fail"] = (failure, ...questions) => {
    for (const one of take(questions)) one.reject(failure);
  };
  return {
    answer,
    fail,
    close: (end, ...questions) => {
      if ("failure" in end) fail(end.failure, ...questions);
      else if ("done" in end && end.done) answer(end.done, ...questions);
    },
    ask: (question) => {
      const before = asked.get(question);
      if (before) return before.promise;
      const one = Promise.withResolvers<Provisioned>();
      one.promise.catch(() => {});
      asked.set(question, one);
      return one.promise;
    },
    has: (question) => asked.has(question),
  };
}

/** Whoever has asked for a start hears what there is after a look that began no attempt. */
export function answerStart(
  questions: Pick<Questions, "answer" | "fail">,
  {
    decision,
    served,
    trouble,
  }: { decision: Decision; served?: Provisioned | undefined; trouble?: MooringError | undefined },
): void {
  if (decision.act === "wait" && !onlyConfirms(decision.trigger)) {
    const { because, forMs = 0 } = decision;
    questions.fail(tooManyAttempts({ because, forMs }), "start");
  } else if (served) questions.answer(served, "start");
  else if (trouble) questions.fail(trouble, "start");
}
