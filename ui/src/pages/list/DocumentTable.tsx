import { Checkbox, Skeleton } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import {
  columnVisibilityFeature,
  createColumnHelper,
  rowSelectionFeature,
  tableFeatures,
  useTable,
  type RowSelectionState,
} from '@tanstack/react-table';
import { Link } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState, type Dispatch, type MouseEvent, type RefObject, type SetStateAction } from 'react';
import { useTranslation } from 'react-i18next';

import { may, slug } from '../../api/meta';
import type { Document, ModelMeta } from '../../api/types';
import type { Column } from '../../display/model';
import { titleOf } from '../../display/titles';
import { alignment, Value } from '../../display/Value';
import { at, isObject } from '../../schema/values';
import classes from './List.module.css';
import { nextSort, type ListState } from './state';
import type { Rows } from './useRows';

const ROW = 36;
const AROUND = 12;

interface TableProps {
  model: ModelMeta;
  rows: Rows;
  columns: Column[];
  state: ListState;
  sort: (sort: string) => void;
  selected: RowSelectionState;
  /** Null where nothing can be done with many at once. */
  setSelected: Dispatch<SetStateAction<RowSelectionState>> | null;
}

const features = tableFeatures({ rowSelectionFeature, columnVisibilityFeature });
const helper = createColumnHelper<typeof features, Document>();

export function DocumentTable({ model, rows, columns, state, sort, selected, setSelected }: TableProps) {
  const { t } = useTranslation();
  const { place, window } = useWindow(rows);
  const documents = useMemo(() => slice(rows, window), [rows, window]);
  const defined = useMemo(
    () =>
      helper.columns(
        columns.map((column) =>
          helper.accessor((document) => at(document, column.path) ?? null, { id: column.path, header: column.title }),
        ),
      ),
    [columns],
  );
  const table = useTable({
    features,
    columns: defined,
    data: documents,
    getRowId: (document) => document.id,
    state: { rowSelection: selected },
    enableRowSelection: setSelected !== null,
    ...(setSelected === null ? {} : { onRowSelectionChange: setSelected }),
  });
  const byPath = new Map(columns.map((column) => [column.path, column]));
  const drawn = table.getRowModel().rows;
  const before = window.from * ROW;
  const missing = window.to - window.from - drawn.length;
  const after = (rows.count - window.to) * ROW;

  return (
    <div ref={place} className={classes.scroll} data-scrolling={rows.scrolling || undefined} tabIndex={rows.scrolling ? 0 : -1}>
      <table className={classes.table} aria-rowcount={rows.count}>
        <thead>
          <tr>
            {setSelected !== null && (
              <th className={classes.check}>
                <Checkbox
                  size="xs"
                  aria-label={t('list.selectAll')}
                  checked={table.getIsAllRowsSelected()}
                  indeterminate={table.getIsSomeRowsSelected()}
                  onChange={table.getToggleAllRowsSelectedHandler()}
                />
              </th>
            )}
            {columns.map((column) => (
              <HeadCell key={column.path} column={column} model={model} state={state} sort={sort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr aria-hidden style={{ height: before }} />}
          {drawn.map((row) => (
            <tr
              key={row.id}
              data-selected={row.getIsSelected() || undefined}
              onClick={(event) => openOnClick(event)}
            >
              {setSelected !== null && (
                <td className={classes.check}>
                  <Checkbox
                    size="xs"
                    aria-label={t('list.selectRow', { title: titleOf(model, row.original) })}
                    checked={row.getIsSelected()}
                    onChange={row.getToggleSelectedHandler()}
                  />
                </td>
              )}
              {row.getVisibleCells().map((cell, index) => {
                const column = byPath.get(cell.column.id);
                return (
                  column && (
                    <td key={cell.id} data-align={alignment(column.node)}>
                      <Cell model={model} column={column} document={row.original} leading={index === 0} />
                    </td>
                  )
                );
              })}
            </tr>
          ))}
          {Array.from({ length: Math.max(0, missing) }, (_, row) => (
            <tr key={`missing-${row}`} aria-hidden>
              <td colSpan={columns.length + 1}>
                <Skeleton height={10} width="60%" />
              </td>
            </tr>
          ))}
          {after > 0 && <tr aria-hidden style={{ height: after }} />}
        </tbody>
      </table>
    </div>
  );
}

function HeadCell({ column, model, state, sort }: { column: Column; model: ModelMeta; state: ListState; sort: (sort: string) => void }) {
  const { t } = useTranslation();
  const up = state.sort === column.path;
  const down = state.sort === `-${column.path}`;
  const direction = up ? 'ascending' : down ? 'descending' : 'none';
  return (
    <th data-align={alignment(column.node)} aria-sort={direction}>
      {model.sorts.includes(column.path) ? (
        <button type="button" className={classes.sort} onClick={() => sort(nextSort(state, column.path))}>
          {column.title}
          {up && <IconArrowUp size={13} aria-label={t('list.sortAscending')} />}
          {down && <IconArrowDown size={13} aria-label={t('list.sortDescending')} />}
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

export function Cell({ model, column, document, leading }: { model: ModelMeta; column: Column; document: Document; leading: boolean }) {
  const value = at(document, column.path) ?? null;
  const parent = column.path.includes('.') ? at(document, column.path.replace(/\.[^.]+$/, '')) : document;
  const within = isObject(parent) ? parent : document;
  if (!leading || !may(model, 'get')) return <Value node={column.node} value={value} within={within} />;
  return (
    <Link to="/data/$model/$id" params={{ model: slug(model), id: document.id }} className={classes.leading} data-leading>
      {column.node.kind === 'ref' || value === null || value === '' ? titleOf(model, document) : <Value node={column.node} value={value} within={within} />}
    </Link>
  );
}

/** A click anywhere in a row is one on its first link, unless it was meant for something else. */
function openOnClick(event: MouseEvent<HTMLTableRowElement>): void {
  const clicked = event.target as Element;
  if (clicked.closest('a, button, input, label') !== null || getSelection()?.isCollapsed === false) return;
  event.currentTarget.querySelector<HTMLAnchorElement>('a[data-leading]')?.click();
}

interface Window {
  from: number;
  to: number;
}

/** The rows in sight, with some around them; of a list that does not scroll by itself, all. */
function useWindow(rows: Rows): { place: RefObject<HTMLDivElement | null>; window: Window } {
  const place = useRef<HTMLDivElement>(null);
  const { scrolling, count, see } = rows;
  const [sight, setSight] = useState<Window>({ from: 0, to: 40 });
  useEffect(() => {
    const element = place.current;
    if (!scrolling || element === null) return;
    const look = () => {
      const from = Math.max(0, Math.floor(element.scrollTop / ROW) - AROUND);
      const to = Math.ceil((element.scrollTop + element.clientHeight) / ROW) + AROUND;
      setSight((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    look();
    element.addEventListener('scroll', look, { passive: true });
    return () => element.removeEventListener('scroll', look);
  }, [scrolling]);
  const window = scrolling ? { from: Math.min(sight.from, count), to: Math.min(sight.to, count) } : { from: 0, to: count };
  useEffect(() => {
    if (scrolling) see(window.from, window.to);
  });
  return { place, window };
}

function slice(rows: Rows, { from, to }: Window): Document[] {
  const found: Document[] = [];
  for (let row = from; row < to; row += 1) {
    const document = rows.at(row);
    if (document !== undefined) found.push(document);
  }
  return found;
}
