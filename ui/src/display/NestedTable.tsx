import { useTranslation } from 'react-i18next';

import type { Json } from '../api/types';
import type { Node } from '../schema/tree';
import { isObject } from '../schema/values';
import classes from './Table.module.css';
import { alignment, Value } from './Value';

/** A list of objects as a table. */
export function NestedTable({ node, value }: { node: Node; value: Json }) {
  const { t } = useTranslation();
  const entries = Array.isArray(value) ? value.filter(isObject) : [];
  const columns = (node.item?.fields ?? []).filter((column) => column.ui.hidden !== true && column.name !== 'id');
  if (entries.length === 0) return <p className={classes.none}>{t('detail.empty')}</p>;
  return (
    <div className={classes.scroll}>
      <table className={classes.table}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} data-align={alignment(column)}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {entries.map((entry, place) => (
            <tr key={place}>
              {columns.map((column) => (
                <td key={column.name} data-align={alignment(column)}>
                  <Value node={column} value={entry[column.name] ?? null} within={entry} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
