import { useEffect, useState } from 'react';

/** The time, as often as asked for while `on`: what runs is measured against it. */
export function useNow(on: boolean, every = 250): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [on, every]);
  return now;
}
