import { Link } from '@tanstack/react-router';

import { slug } from '../../api/meta';
import type { Document, ModelMeta } from '../../api/types';
import type { Column } from '../../display/model';
import { titleOf } from '../../display/titles';
import { Value } from '../../display/Value';
import { at } from '../../schema/values';
import classes from './List.module.css';
import type { Rows } from './useRows';

const MOST = 100;

/** A list on a phone: a card for each document. */
export function Cards({ model, rows, columns }: { model: ModelMeta; rows: Rows; columns: Column[] }) {
  const documents: Document[] = [];
  for (let row = 0; row < Math.min(rows.count, MOST); row += 1) {
    const document = rows.at(row);
    if (document !== undefined) documents.push(document);
  }
  const status = columns.find((column) => column.node.kind === 'enum');
  const rest = columns.filter((column) => column.path !== model.label && column !== status);
  return (
    <ul className={classes.cards}>
      {documents.map((document) => (
        <li key={document.id} className={classes.card}>
          <div className={classes.cardHead}>
            <Link to="/data/$model/$id" params={{ model: slug(model), id: document.id }} className={classes.leading}>
              {titleOf(model, document)}
            </Link>
            {status && <Value node={status.node} value={at(document, status.path) ?? null} within={document} />}
          </div>
          <dl className={classes.pairs}>
            {rest.map((column) => (
              <div key={column.path}>
                <dt>{column.title}</dt>
                <dd>
                  <Value node={column.node} value={at(document, column.path) ?? null} within={document} />
                </dd>
              </div>
            ))}
          </dl>
        </li>
      ))}
    </ul>
  );
}
