import { useEffect, useState } from 'react';

const MINUTE = 60_000;

/** The time, by the minute: figures that depend on it are asked for again when it has changed. */
export function useMinute(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), MINUTE);
    return () => clearInterval(timer);
  }, []);
  return now;
}
