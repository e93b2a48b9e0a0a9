// The kinds of scenarios: what they are called, what each of them does, and which number it takes.

export interface ScenarioKind {
  readonly name: string;
  readonly title: string;
  readonly effect: string;
  readonly number?: {
    readonly name: string;
    readonly label: string;
    readonly unit: string;
    readonly initial: number;
    readonly least: number;
    readonly most: number;
  };
}

export const scenarioKinds: readonly ScenarioKind[] = [
  {
    name: "throttle",
    title: "Throttle",
    effect: "Every request is answered with 429 and this Retry-After.",
    number: {
      name: "retryAfterSeconds",
      label: "Retry-After",
      unit: "seconds",
      initial: 10,
      least: 0,
      most: 86_400,
    },
  },
  {
    name: "assigning",
    title: "Slow assignment",
    effect: "The device is told to keep polling before it is assigned.",
    number: {
      name: "polls",
      label: "Polls until assigned",
      unit: "polls",
      initial: 3,
      least: 1,
      most: 10_000,
    },
  },
  {
    name: "assigning-forever",
    title: "Never assigned",
    effect: "Every poll says assigning; the device has to give up by itself.",
  },
  {
    name: "duplicate",
    title: "Duplicate answers",
    effect:
      "Over MQTT each answer comes twice; over HTTPS a second registration gets the operation of the first.",
  },
  {
    name: "late",
    title: "Late answers",
    effect: "Answers are held back.",
    number: {
      name: "delayMs",
      label: "Delay",
      unit: "milliseconds",
      initial: 10_000,
      least: 1,
      most: 600_000,
    },
  },
  {
    name: "cut-after-202",
    title: "Cut after 202",
    effect: "The connection is cut as soon as the registration was accepted.",
  },
  {
    name: "wrong-key",
    title: "Wrong key",
    effect: "A TPM gets a challenge that it cannot open; other devices are refused.",
  },
  {
    name: "malformed-json",
    title: "Malformed JSON",
    effect: "Answers break off in the middle.",
  },
  {
    name: "clock-skew",
    title: "Clock skew",
    effect: "The service's clock is off, and with it the Date header and the judgement of tokens.",
    number: {
      name: "skewSeconds",
      label: "Skew",
      unit: "seconds",
      initial: 86_400,
      least: -316_224_000,
      most: 316_224_000,
    },
  },
  {
    name: "disconnect",
    title: "Disconnect",
    effect: "MQTT ends at CONNECT, HTTPS in place of an answer to the registration.",
  },
];
