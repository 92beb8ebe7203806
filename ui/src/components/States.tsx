import { Button, Skeleton } from '@mantine/core';
import { IconAlertCircle, IconPlugConnectedX } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '../api/client';
import classes from './States.module.css';

export function Empty({ title, children, code }: { title: string; children?: ReactNode; code?: string }) {
  return (
    <div className={classes.state}>
      <p className={classes.title}>{title}</p>
      {children}
      {code !== undefined && (
        <pre className={classes.code} tabIndex={0}>
          {code}
        </pre>
      )}
    </div>
  );
}

/** An error in place of what should be here: what is wrong, what to do, and a way to try again. */
export function ProblemState({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  const problem = asProblem(error);
  const gone = problem.status === 0 || problem.code === 'PULPO803';
  return (
    <div className={classes.state} role="alert">
      {gone ? (
        <IconPlugConnectedX size={28} stroke={1.5} aria-hidden />
      ) : (
        <IconAlertCircle size={28} stroke={1.5} aria-hidden />
      )}
      <p className={classes.title}>{gone ? t('problem.unreachable') : problem.detail}</p>
      {gone ? <p className="dimmed">{t('problem.unreachableHint')}</p> : problem.hint && <p>{problem.hint}</p>}
      {!gone && (
        <p className="dimmed">
          {problem.code}
          {problem.requestId !== null && ` · ${t('common.request', { id: problem.requestId })}`}
        </p>
      )}
      {retry && (
        <Button variant="default" onClick={retry}>
          {t('common.retry')}
        </Button>
      )}
    </div>
  );
}

/** The 2 px bar over what is shown while it is read again. */
export function BusyBar({ busy }: { busy: boolean }) {
  return <div className={classes.bar} data-busy={busy || undefined} aria-hidden />;
}

export function SkeletonRows({ rows = 10, height = 36 }: { rows?: number; height?: number }) {
  const { t } = useTranslation();
  return (
    <div role="status" aria-label={t('common.loading')}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} style={{ height, display: 'flex', alignItems: 'center', padding: '0 14px' }}>
          <Skeleton height={12} width={`${88 - ((row * 17) % 35)}%`} radius={4} />
        </div>
      ))}
    </div>
  );
}
