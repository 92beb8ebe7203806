import { Button, SegmentedControl, Select } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useCatalogue } from '../../api/meta';
import { LIVE, runPagesQuery, UNHAPPY } from '../../api/runs';
import { first } from '../../app/search';
import { Page, Panel } from '../../components/Page';
import { BusyBar, Empty, ProblemState, SkeletonRows } from '../../components/States';
import { NotFound } from '../NotFound';
import classes from './Runs.module.css';
import { RunTable } from './RunTable';

type Show = 'all' | 'live' | 'failed' | 'stuck';

const STATES: Readonly<Record<Show, readonly string[]>> = { all: [], live: LIVE, failed: UNHAPPY, stuck: ['waiting'] };

export function RunsPage() {
  return useCatalogue().mayRuns('list') ? <Runs /> : <NotFound what="page" />;
}

function Runs() {
  const { t } = useTranslation();
  const { meta } = useCatalogue();
  const navigate = useNavigate();
  const search = useSearch({ from: '/runs' });
  const show = asShow(first(search, 'show'));
  const name = first(search, 'name') ?? null;
  const query = useInfiniteQuery(runPagesQuery(toQuery(show, name)));
  const runs = query.data?.pages.flatMap((page) => page.runs) ?? [];
  const total = query.data?.pages[0]?.total ?? null;
  const go = (next: { show?: Show; name?: string | null }) => {
    const merged = { show, name, ...next };
    void navigate({
      to: '/runs',
      search: {
        ...(merged.show === 'all' ? {} : { show: merged.show }),
        ...(merged.name === null ? {} : { name: merged.name }),
      },
    });
  };
  const names = [
    { group: t('runs.flow'), items: meta.flows.map((flow) => ({ value: flow.name, label: flow.title })) },
    { group: t('runs.operation'), items: meta.operations.map((operation) => ({ value: operation.name, label: operation.title })) },
  ];
  return (
    <Page title={t('runs.title')}>
      <Panel flush label={t('runs.title')}>
        <div className={classes.toolbar}>
          <SegmentedControl
            value={show}
            onChange={(value) => go({ show: asShow(value) })}
            aria-label={t('runs.state')}
            data={[
              { value: 'all', label: t('runs.everything') },
              { value: 'live', label: t('runs.onlyLive') },
              { value: 'stuck', label: t('runs.stuck') },
              { value: 'failed', label: t('runs.onlyFailed') },
            ]}
          />
          <Select
            w={260}
            searchable
            clearable
            placeholder={t('runs.name')}
            aria-label={t('runs.name')}
            data={unique(names)}
            value={name}
            onChange={(value) => go({ name: value })}
            nothingFoundMessage={t('form.nothingFound')}
          />
          {total !== null && (
            <span className={`dimmed tabular ${classes.count ?? ''}`} role="status">
              {t('runs.count', { count: total })}
            </span>
          )}
        </div>
        <BusyBar busy={query.isFetching && query.data !== undefined} />
        {query.error !== null && query.data === undefined ? (
          <ProblemState error={query.error} retry={() => void query.refetch()} />
        ) : query.data === undefined ? (
          <SkeletonRows />
        ) : runs.length === 0 ? (
          <NoRuns filtered={show !== 'all' || name !== null} clear={() => go({ show: 'all', name: null })} />
        ) : (
          <RunTable runs={runs} />
        )}
        {query.hasNextPage && (
          <div className={classes.more}>
            <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              {t('runs.more')}
            </Button>
          </div>
        )}
      </Panel>
    </Page>
  );
}

function NoRuns({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  const { t } = useTranslation();
  if (!filtered) {
    return (
      <Empty title={t('runs.none')}>
        <p className="dimmed">{t('runs.noneHint')}</p>
      </Empty>
    );
  }
  return (
    <Empty title={t('runs.noMatch')}>
      <Button variant="default" onClick={clear}>
        {t('list.clearFilters')}
      </Button>
    </Empty>
  );
}

function asShow(value: string | undefined): Show {
  return value === 'live' || value === 'failed' || value === 'stuck' ? value : 'all';
}

function toQuery(show: Show, name: string | null): string {
  const query = new URLSearchParams({ limit: '50' });
  if (STATES[show].length > 0) query.set('state[in]', STATES[show].join(','));
  if (name !== null) query.set('name', name);
  return query.toString();
}

/** A flow may be called like an operation; Mantine takes each value once. */
function unique<T extends { items: { value: string }[] }>(groups: T[]): T[] {
  const seen = new Set<string>();
  return groups.map((group) => ({
    ...group,
    items: group.items.filter(({ value }) => !seen.has(value) && seen.add(value)),
  }));
}
