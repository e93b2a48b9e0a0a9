// What people ask the daemon, until it is answered. Who asks the same meanwhile gets the same answer; nobody has to stay
// for it.

import type { MooringError } from "../errors.ts";
import type { Provisioned } from "./provision.ts";

/** `start`: what `mooring provision` does. `operator`: a new registration, whatever there is. */
export type Question = "start" | "operator" | "roll-back";

export interface Questions {
  /** Resolves, or rejects, with what comes of it. */
  ask(question: Question): Promise<Provisioned>;
  has(question: Question): boolean;
  /** Answers those of `questions` that somebody has asked. */
  answer(done: Provisioned, ...questions: readonly Question[]): void;
  fail(failure: MooringError, ...questions: readonly Question[]): void;
}

export function createQuestions(): Questions {
  const asked = new Map<Question, PromiseWithResolvers<Provisioned>>();
  const take = (questions: readonly Question[]): PromiseWithResolvers<Provisioned>[] =>
    questions.flatMap((question) => {
      const one = asked.get(question);
      asked.delete(question);
      return one ?? [];
    });
  return {
    ask: (question) => {
      const before = asked.get(question);
      if (before) return before.promise;
      const one = Promise.withResolvers<Provisioned>();
      one.promise.catch(() => {});
      asked.set(question, one);
      return one.promise;
    },
    has: (question) => asked.has(question),
    answer: (done, ...questions) => {
      for (const one of take(questions)) one.resolve(done);
    },
    fail: (failure, ...questions) => {
      for (const one of take(questions)) one.reject(failure);
    },
  };
}
