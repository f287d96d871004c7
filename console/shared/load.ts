// Loading what a page shows, and carrying out what the reader does there.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { Refusal } from "./api";

export interface Loaded<T> {
  value?: T;
  refusal?: Refusal;
  isLoading: boolean;
  reload: () => void;
}

const asRefusal = (error: unknown) =>
  error instanceof Refusal ? error : new Refusal(-1, String(error), "This is a defect of the console: report it.");

// Loads again when one of `inputs` changes.  The last value is shown meanwhile if it `lasts`, or if `reload` was asked
// for.  The signal says that nobody waits for what is being loaded any more.
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  inputs: readonly unknown[],
  lasts = false,
): Loaded<T> {
  const [state, setState] = useState<{ value?: T; refusal?: Refusal; isLoading: boolean }>({ isLoading: true });
  const newest = useRef(new AbortController());
  const start = useCallback(async () => {
    newest.current.abort();
    newest.current = new AbortController();
    const { signal } = newest.current;
    try {
      const value = await load(signal);
      if (!signal.aborted) setState({ value, isLoading: false });
    } catch (error) {
      if (!signal.aborted) setState({ refusal: asRefusal(error), isLoading: false });
    }
  }, inputs);
  useEffect(() => {
    setState(({ value }) => ({ value: lasts ? value : undefined, isLoading: true }));
    void start();
    return () => newest.current.abort();
  }, [start]);
  const reload = useCallback(() => {
    setState(({ value }) => ({ value, isLoading: true }));
    void start();
  }, [start]);
  return { ...state, reload };
}

export interface Act {
  isRunning: boolean;
  refusal?: Refusal;
  run: (work: () => Promise<unknown>) => Promise<boolean>;
  clear: () => void;
}

// Carries out one thing at a time.  `run` is true if it was done.
export function useAct(): Act {
  const [state, setState] = useState<{ isRunning: boolean; refusal?: Refusal }>({ isRunning: false });
  const run = useCallback(async (work: () => Promise<unknown>) => {
    setState({ isRunning: true });
    try {
      await work();
      setState({ isRunning: false });
      return true;
    } catch (error) {
      setState({ isRunning: false, refusal: asRefusal(error) });
      return false;
    }
  }, []);
  const clear = useCallback(() => setState({ isRunning: false }), []);
  return { ...state, run, clear };
}
