import { Link } from '@tanstack/react-router';

import { may, slug } from '../api/meta';
import type { Document, ModelMeta } from '../api/types';
import { at, isObject } from '../schema/values';
import { columnsOf, firstColumns, type Column } from './model';
import classes from './Table.module.css';
import { titleOf } from './titles';
import { alignment, Value } from './Value';

interface ListProps {
  model: ModelMeta;
  documents: readonly Document[];
  columns?: readonly string[];
  without?: string;
}

const MOST = 4;

/** A few documents in a small table, each leading to its own page. */
export function DocumentList({ model, documents, columns, without }: ListProps) {
  const all = columnsOf(model);
  const shown = (columns ?? firstColumns(model).filter((path) => path !== without && path !== model.label).slice(0, MOST))
    .filter((path) => path !== model.label)
    .flatMap((path) => all.find((column) => column.path === path) ?? []);
  return (
    <div className={classes.scroll}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th>{model.title}</th>
            {shown.map((column) => (
              <th key={column.path} data-align={alignment(column.node)}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {documents.map((document) => (
            <tr key={document.id}>
              <td className="nowrap">
                {may(model, 'get') ? (
                  <Link to="/data/$model/$id" params={{ model: slug(model), id: document.id }}>
                    {titleOf(model, document)}
                  </Link>
                ) : (
                  titleOf(model, document)
                )}
              </td>
              {shown.map((column) => (
                <Cell key={column.path} column={column} document={document} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ column, document }: { column: Column; document: Document }) {
  const holder = column.path.includes('.') ? at(document, column.path.replace(/\.[^.]+$/, '')) : document;
  return (
    <td data-align={alignment(column.node)}>
      <Value node={column.node} value={at(document, column.path) ?? null} within={isObject(holder) ? holder : document} />
    </td>
  );
}
