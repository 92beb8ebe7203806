import { DateInput, DateTimePicker } from '@mantine/dates';

import { common } from './common';
import type { InputProps } from './types';

const SHOWN = 'YYYY-MM-DD HH:mm';

/** A moment is written in the browser's time and sent in UTC. */
export function MomentField(props: InputProps) {
  const { node, value, onChange } = props;
  return (
    <DateTimePicker
      {...common(props)}
      value={typeof value === 'string' ? new Date(value) : null}
      onChange={(next) => onChange(next === null ? null : new Date(next).toISOString())}
      valueFormat={SHOWN}
      clearable={!node.required}
      popoverProps={{ shadow: 'none' }}
    />
  );
}

export function DayField(props: InputProps) {
  const { node, value, onChange } = props;
  return (
    <DateInput
      {...common(props)}
      value={typeof value === 'string' ? value : null}
      onChange={(next) => onChange(next)}
      valueFormat="YYYY-MM-DD"
      clearable={!node.required}
      popoverProps={{ shadow: 'none' }}
    />
  );
}
