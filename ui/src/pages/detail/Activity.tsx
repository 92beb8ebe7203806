import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { runsQuery } from '../../api/runs';
import type { ModelMeta } from '../../api/types';
import { ProblemState, SkeletonRows } from '../../components/States';
import { RunTable } from '../runs/RunTable';
import classes from './Detail.module.css';

const SHOWN = 20;

/** The runs that wrote to this document, the newest first. */
export function Activity({ model, id }: { model: ModelMeta; id: string }) {
  const { t } = useTranslation();
  const touched = `${model.name}/${id}`;
  const { data, error, refetch } = useQuery(runsQuery(`touched=${encodeURIComponent(touched)}&limit=${SHOWN}`));
  if (error !== null) return <ProblemState error={error} retry={() => void refetch()} />;
  if (data === undefined) return <SkeletonRows rows={4} />;
  if (data.runs.length === 0) return <p className={classes.nothing}>{t('detail.noActivity')}</p>;
  return <RunTable runs={data.runs} />;
}
