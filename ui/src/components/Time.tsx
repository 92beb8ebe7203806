import { useSyncExternalStore } from 'react';

import { fromNow, moment } from './format';

const EVERY = 15_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | null = null;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  now = Date.now();
  timer ??= setInterval(() => {
    now = Date.now();
    listeners.forEach((each) => each());
  }, EVERY);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** `4 minutes ago`, kept up to date; the exact time is its title. */
export function Ago({ value }: { value: string }) {
  const at = useSyncExternalStore(subscribe, () => now);
  return (
    <time dateTime={value} title={moment(value)} className="nowrap">
      {fromNow(value, at)}
    </time>
  );
}
