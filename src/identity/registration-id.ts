/** What is wrong with a registration id, in words, naming the offending character; undefined when it is valid. */
export declare function registrationIdProblem(id: string): string | undefined;
