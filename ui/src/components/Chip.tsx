import type { ReactNode } from 'react';

import classes from './Chip.module.css';

export function Chip({ colour = 'gray', children }: { colour?: string; children: ReactNode }) {
  return (
    <span className={classes.chip} data-colour={colour}>
      {children}
    </span>
  );
}
