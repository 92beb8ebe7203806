import { ActionIcon, Select } from '@mantine/core';
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { number } from '../../components/format';
import classes from './List.module.css';
import { ROWS, type ListState } from './state';

export function Pager({ state, total, go }: { state: ListState; total: number; go: (next: Partial<ListState>) => void }) {
  const { t } = useTranslation();
  const size = state.rows === 'all' ? total : state.rows;
  const from = state.rows === 'all' ? 1 : (state.page - 1) * size + 1;
  const to = Math.min(total, from + size - 1);
  return (
    <div className={classes.pager}>
      <span className="dimmed tabular" role="status">
        {t('list.range', { from: number(from), to: number(to), total: number(total) })}
      </span>
      <Select
        size="xs"
        w={130}
        aria-label={t('list.rows')}
        allowDeselect={false}
        value={String(state.rows)}
        data={[
          ...ROWS.map((rows) => ({ value: String(rows), label: `${rows} ${t('list.rows').toLowerCase()}` })),
          { value: 'all', label: t('list.scroll') },
        ]}
        onChange={(rows) => go({ rows: rows === 'all' ? 'all' : Number(rows) })}
      />
      {state.rows !== 'all' && (
        <>
          <ActionIcon variant="default" aria-label={t('list.previous')} disabled={state.page <= 1} onClick={() => go({ page: state.page - 1 })}>
            <IconChevronLeft size={16} aria-hidden />
          </ActionIcon>
          <ActionIcon variant="default" aria-label={t('list.next')} disabled={to >= total} onClick={() => go({ page: state.page + 1 })}>
            <IconChevronRight size={16} aria-hidden />
          </ActionIcon>
        </>
      )}
    </div>
  );
}
