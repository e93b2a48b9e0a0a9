// How much the service takes in a minute, as Azure limits it; without numbers it takes everything.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Loaded, useLoad } from "../data/load.ts";
import { fetchQuotas, saveQuotas } from "../data/management-calls.ts";
import type { Quotas } from "../data/records.ts";
import { useMay } from "../data/session.ts";
import { useTask, withRefusal } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { Actions } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { TextField } from "../parts/inputs.tsx";
import { notify } from "../parts/notices.tsx";
import { PageTitle } from "../parts/page-title.tsx";

export function QuotaPage(): JSX.Element {
  const loaded = useLoad(fetchQuotas, []);
  return (
    <>
      <PageTitle title="Quotas" />
      <p class="lead">
        Azure allows a thousand registrations and a thousand service calls a minute, and answers 429 beyond
        that. This service has no limits until you set them.
      </p>
      {loaded.failure && <FailureNotice failure={loaded.failure} title="The quotas could not be loaded" />}
      {loaded.value && <QuotaForm quotas={loaded.value} reload={loaded.reload} />}
    </>
  );
}

const fields = {
  registrationsPerMinute: "Registrations per minute",
  serviceCallsPerMinute: "Service calls per minute",
} as const;
type FieldName = keyof typeof fields;
const names = Object.keys(fields) as FieldName[];

const textOf = (quota: number | null): string => (quota === null ? "" : String(quota));

function QuotaForm({
  quotas,
  reload,
}: {
  readonly quotas: Quotas;
  readonly reload: Loaded<Quotas>["reload"];
}): JSX.Element {
  const mayWrite = useMay("EnrollmentWrite");
  const [texts, setTexts] = useState<Readonly<Record<FieldName, string>>>({
    registrationsPerMinute: textOf(quotas.registrationsPerMinute),
    serviceCallsPerMinute: textOf(quotas.serviceCallsPerMinute),
  });
  const [found, setFound] = useState<ReadonlyMap<string, string>>(new Map());
  const { busy, failure, run } = useTask();
  const mistakes = withRefusal(found, failure);

  const save = async (): Promise<void> => {
    const wrong = names.filter(
      (name) => texts[name].trim() !== "" && !/^[1-9]\d{0,8}$/.test(texts[name].trim()),
    );
    setFound(new Map(wrong.map((name) => [name, "A whole number of at least 1, or nothing."])));
    if (wrong.length > 0) return;
    const number = (name: FieldName): number | null =>
      texts[name].trim() === "" ? null : Number(texts[name]);
    await run(async () => {
      await saveQuotas({
        registrationsPerMinute: number("registrationsPerMinute"),
        serviceCallsPerMinute: number("serviceCallsPerMinute"),
      });
      notify("Saved the quotas.");
      reload();
    });
  };

  return (
    <form
      class="card narrow"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <fieldset class="bare" disabled={!mayWrite}>
        {names.map((name) => (
          <TextField
            key={name}
            label={fields[name]}
            name={name}
            type="number"
            placeholder="no quota"
            value={texts[name]}
            mistake={mistakes.get(name)}
            onValue={(value) => setTexts({ ...texts, [name]: value })}
          />
        ))}
      </fieldset>
      {failure && <FailureNotice failure={failure} title="The quotas were not saved" />}
      {mayWrite && (
        <Actions>
          <Button type="submit" look="primary" busy={busy}>
            {busy ? "Saving…" : "Save"}
          </Button>
        </Actions>
      )}
    </form>
  );
}
