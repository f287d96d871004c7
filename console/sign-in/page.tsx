// Signing in with a key.
import { useEffect, useState } from "preact/hooks";

import type { Refusal } from "../shared/api";
import { Check, Field, Form } from "../shared/form";
import { useAct } from "../shared/load";
import { Problem } from "../shared/parts";

export function SignIn({
  problem,
  onRetry,
  onEnter,
}: {
  problem?: Refusal;
  onRetry?: () => void;
  onEnter: (secret: string, keep: boolean) => Promise<void>;
}) {
  const [secret, setSecret] = useState("");
  const [keep, setKeep] = useState(false);
  const act = useAct();
  useEffect(() => {
    document.title = "Sign in · pg_org";
  }, []);
  return (
    <main class="narrow" id="main">
      <h1>pg_org</h1>
      <p class="lead">See who spends what on models, and act on it.</p>
      {!act.refusal && <Problem refusal={problem} onRetry={onRetry} />}
      <div class="card">
        <Form act={act} submit="Sign in" onSubmit={() => act.run(() => onEnter(secret.trim(), keep))}>
          <Field
            label="API key"
            type="password"
            required
            autoComplete="current-password"
            placeholder="sk-…"
            value={secret}
            onValue={setSecret}
            hint="It is sent to this gateway only. Unless you choose otherwise, closing the page forgets it."
          />
          <Check label="Remember on this device" value={keep} onValue={setKeep} />
        </Form>
      </div>
    </main>
  );
}
