import type { Json } from '../api/types';
import classes from './JsonView.module.css';

export function JsonView({ value, label }: { value: Json; label: string }) {
  return (
    <pre className={classes.json} tabIndex={0} aria-label={label} role="region">
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}
