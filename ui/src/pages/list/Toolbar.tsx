import { Button, Checkbox, Menu, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconColumns3, IconDownload, IconFilter, IconSearch, IconX } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { API } from '../../api/client';
import { useCatalogue } from '../../api/meta';
import type { ModelMeta } from '../../api/types';
import { enumTitle } from '../../display/enums';
import { firstColumns, type Column } from '../../display/model';
import { useTitle } from '../../display/titles';
import { day } from '../../components/format';
import { FilterMenu } from './FilterMenu';
import classes from './List.module.css';
import { toQuery, type Filter, type ListState } from './state';
import { ViewsMenu } from './ViewsMenu';

interface ToolbarProps {
  model: ModelMeta;
  state: ListState;
  go: (next: Partial<ListState>) => void;
  columns: Column[];
  shown: string[];
  choose: (columns: string[] | null) => void;
}

const QUICK = 2;

export function Toolbar({ model, state, go, columns, shown, choose }: ToolbarProps) {
  const { t } = useTranslation();
  const quick = quickFilters(model, columns);
  const pills = state.filters.filter((filter) => filter.operator !== 'eq' || !quick.some(({ path }) => path === filter.path));
  const setFilter = (path: string, value: string | null) => {
    const others = state.filters.filter((filter) => filter.path !== path || filter.operator !== 'eq');
    go({ filters: value === null ? others : [...others, { path, operator: 'eq', value }] });
  };
  return (
    <>
      <div className={classes.toolbar} role="search">
        {model.searched.length > 0 && <SearchField q={state.q} model={model} go={(q) => go({ q })} />}
        {quick.map((column) => (
          <Select
            key={column.path}
            className={classes.quick ?? ''}
            leftSection={<IconFilter size={15} aria-hidden />}
            placeholder={column.title}
            aria-label={column.title}
            clearable
            data={valuesOf(column).map((value) => ({ value, label: column.node.kind === 'boolean' ? t(value === 'true' ? 'common.yes' : 'common.no') : enumTitle(value) }))}
            value={state.filters.find((filter) => filter.path === column.path && filter.operator === 'eq')?.value ?? null}
            onChange={(value) => setFilter(column.path, value)}
          />
        ))}
        <FilterMenu model={model} add={(filter) => go({ filters: [...state.filters, filter] })} />
        <div className={classes.grow} />
        <ViewsMenu model={model} state={state} go={go} />
        <Button
          variant="default"
          component="a"
          href={`${API}${model.path}/export?${exportQuery(state)}`}
          download
          leftSection={<IconDownload size={15} aria-hidden />}
        >
          {t('list.export')}
        </Button>
        <ColumnsMenu model={model} columns={columns} shown={shown} choose={choose} />
      </div>
      {pills.length > 0 && (
        <div className={classes.pills}>
          {pills.map((filter) => (
            <Pill
              key={`${filter.path} ${filter.operator} ${filter.value}`}
              filter={filter}
              column={columns.find((column) => column.path === filter.path)}
              remove={() => go({ filters: state.filters.filter((each) => each !== filter) })}
            />
          ))}
        </div>
      )}
    </>
  );
}

function exportQuery(state: ListState): string {
  const query = toQuery(state);
  query.set('format', 'csv');
  return query.toString();
}

/** The filters that stand ready: the project's choice, else the first fields of few values. */
function quickFilters(model: ModelMeta, columns: Column[]): Column[] {
  const few = columns.filter((column) => column.node.kind === 'enum' || column.node.kind === 'boolean');
  const chosen = model.ui.filters;
  if (chosen === undefined) return few.filter((column) => column.node.kind === 'enum').slice(0, QUICK);
  return chosen.flatMap((path) => few.find((column) => column.path === path) ?? []);
}

function valuesOf(column: Column): string[] {
  return column.node.kind === 'boolean' ? ['true', 'false'] : column.node.values.map(String);
}

function SearchField({ q, model, go }: { q: string; model: ModelMeta; go: (q: string) => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState(q);
  const asked = useRef(q);
  useEffect(() => {
    if (q !== asked.current) setText(q); // it changed from elsewhere: a view, the browser's back
    asked.current = q;
  }, [q]);
  const search = useDebouncedCallback((next: string) => {
    asked.current = next;
    go(next);
  }, 250);
  return (
    <TextInput
      type="search"
      className={classes.searchField ?? ''}
      leftSection={<IconSearch size={15} aria-hidden />}
      placeholder={t('list.search')}
      aria-label={t('list.searchIn', { plural: model.plural.toLowerCase() })}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        search(event.currentTarget.value.trim());
      }}
    />
  );
}

function Pill({ filter, column, remove }: { filter: Filter; column: Column | undefined; remove: () => void }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const node = column?.node.kind === 'list' ? column.node.item : column?.node;
  const title = useTitle(node?.kind === 'ref' ? catalogue.model(node.target) : undefined, filter.value);
  const name = column?.title ?? filter.path;
  const operator = t(`list.operators.${filter.operator as 'eq'}`);
  const value =
    node?.kind === 'enum' ? filter.value.split(',').map(enumTitle).join(', ') : node?.kind === 'datetime' ? day(filter.value) : title;
  return (
    <span className={classes.pill}>
      {name} {operator} <b>{value}</b>
      <button type="button" onClick={remove} aria-label={t('list.removeFilter', { name })}>
        <IconX size={13} aria-hidden />
      </button>
    </span>
  );
}

function ColumnsMenu({ model, columns, shown, choose }: Pick<ToolbarProps, 'model' | 'columns' | 'shown' | 'choose'>) {
  const { t } = useTranslation();
  const toggle = (path: string) =>
    choose(shown.includes(path) ? shown.filter((each) => each !== path) : [...shown, path]);
  return (
    <Menu closeOnItemClick={false} width={240}>
      <Menu.Target>
        <Button variant="default" leftSection={<IconColumns3 size={15} aria-hidden />}>
          {t('list.columns')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah={380} style={{ overflowY: 'auto' }}>
        {columns.map((column) => (
          <Menu.Item key={column.path} onClick={() => toggle(column.path)} disabled={shown.length === 1 && shown[0] === column.path}>
            <Checkbox.Indicator checked={shown.includes(column.path)} size="xs" mr={9} style={{ verticalAlign: 'middle' }} />
            {column.title}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => choose(null)} disabled={shown.join() === firstColumns(model).join()}>
          {t('list.reset')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
