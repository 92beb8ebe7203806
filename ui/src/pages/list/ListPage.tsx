import { Button, Group } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconPlus } from '@tabler/icons-react';
import type { RowSelectionState } from '@tanstack/react-table';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { may, slug, useCatalogue } from '../../api/meta';
import type { ModelMeta } from '../../api/types';
import { Page, Panel } from '../../components/Page';
import { BusyBar, Empty, ProblemState, SkeletonRows } from '../../components/States';
import { firstColumns, useColumns } from '../../display/model';
import { NotFound } from '../NotFound';
import { BulkBar, selectable } from './BulkBar';
import { Cards } from './Cards';
import { DocumentTable } from './DocumentTable';
import { Pager } from './Pager';
import { isFiltered, parseState, toSearch, type ListState } from './state';
import { Toolbar } from './Toolbar';
import { useRows } from './useRows';
import { useChosenColumns } from './useStored';

export function ListPage() {
  const { model: address } = useParams({ from: '/data/$model' });
  const model = useCatalogue().modelAt(address);
  if (model === undefined || !may(model, 'list')) return <NotFound what="list" />;
  return <List key={model.name} model={model} />;
}

function List({ model }: { model: ModelMeta }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const navigate = useNavigate();
  const search = useSearch({ from: '/data/$model' });
  const state = useMemo(() => parseState(search, model), [search, model]);
  const phone = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });

  const all = useColumns(model);
  const [chosen, setChosen] = useChosenColumns(model);
  const shown = chosen ?? firstColumns(model);
  const columns = useMemo(
    () => shown.flatMap((path) => all.find((column) => column.path === path) ?? []),
    [shown, all],
  );

  const rows = useRows(model, state, columns);
  const [selected, setSelected] = useState<RowSelectionState>({});
  const ids = Object.keys(selected);

  const go = (next: Partial<ListState>) => {
    const merged = { ...state, page: 1, ...next };
    void navigate({ to: '/data/$model', params: { model: slug(model) }, search: toSearch(merged, model) });
  };

  return (
    <Page
      title={model.plural}
      actions={
        may(model, 'create') && (
          <Button
            leftSection={<IconPlus size={16} aria-hidden />}
            renderRoot={(props) => (
              <Link to="/data/$model/new" params={{ model: slug(model) }} search={{}} {...props} />
            )}
          >
            {t('list.create', { title: model.title.toLowerCase() })}
          </Button>
        )
      }
    >
      <Panel flush label={model.plural}>
        <Toolbar model={model} state={state} go={go} columns={all} shown={shown} choose={setChosen} />
        <BusyBar busy={rows.refetching} />
        {ids.length > 0 && <BulkBar model={model} ids={ids} clear={() => setSelected({})} />}
        {rows.error !== null && rows.total === null ? (
          <ProblemState error={rows.error} retry={rows.retry} />
        ) : rows.total === null ? (
          <SkeletonRows rows={14} />
        ) : rows.total === 0 ? (
          <Nothing model={model} state={state} go={go} />
        ) : phone ? (
          <Cards model={model} rows={rows} columns={columns} />
        ) : (
          <DocumentTable
            model={model}
            rows={rows}
            columns={columns}
            state={state}
            sort={(sort) => go({ sort })}
            selected={selected}
            setSelected={selectable(catalogue, model) ? setSelected : null}
          />
        )}
        {rows.total !== null && rows.total > 0 && <Pager state={state} total={rows.total} go={go} />}
      </Panel>
    </Page>
  );
}

function Nothing({ model, state, go }: { model: ModelMeta; state: ListState; go: (next: Partial<ListState>) => void }) {
  const { t } = useTranslation();
  const plural = model.plural.toLowerCase();
  if (isFiltered(state)) {
    return (
      <Empty title={t('list.noMatch', { plural })}>
        <p className="dimmed">{t('list.noMatchHint')}</p>
        <Button variant="default" onClick={() => go({ q: '', filters: [] })}>
          {t('list.clearFilters')}
        </Button>
      </Empty>
    );
  }
  if (!may(model, 'create')) return <Empty title={t('list.none', { plural })} />;
  const address = `${location.origin}/api${model.path}`;
  const code = `curl -X POST ${address} \\\n  -H "Content-Type: application/json" \\\n  -d '{…}'`;
  return (
    <Empty title={t('list.none', { plural })} code={code}>
      <p className="dimmed">{t('list.noneHint')}</p>
      <Group>
        <Button
          renderRoot={(props) => <Link to="/data/$model/new" params={{ model: slug(model) }} search={{}} {...props} />}
        >
          {t('list.create', { title: model.title.toLowerCase() })}
        </Button>
      </Group>
    </Empty>
  );
}
